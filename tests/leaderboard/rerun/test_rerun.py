"""The whole rerun, but for the training: what is run, what is written, what is refused. `test_hostile.py` runs methods for real."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from entries import write_runs
from forgeries import edit, put
from typer.testing import CliRunner
from verdict_files import judge

from bench import hardware
from bench.checkpoint import Store
from bench.errors import UserError
from bench.registry import describe
from bench.results.run import Run
from bench.runs.execute import FailedRun, FailedRunsError
from bench.runs.plan import Plan
from bench.runs.pool import Ended
from bench.suite import Suite
from leaderboard.cli import app
from leaderboard.limits import Limits
from leaderboard.rank import leaderboard
from leaderboard.rerun import bubblewrap, execute, rerun
from leaderboard.rerun.bubblewrap import Bubblewrap
from leaderboard.rerun.docker import Docker
from leaderboard.rerun.draw import fresh
from leaderboard.rerun.execute import Bench
from leaderboard.rerun.sandbox import Confined, environment
from leaderboard.verdicts import OWN, Verdict, digest, rerun_of, verdict_on
from leaderboard.verify import Place

NOTHING = {"repaired": (0.5, 0.3, 0.6, 0.8)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench("none", None, tmp_path / "cache", tmp_path / "work")


class Fake:
    """In the place of `execute`: writes runs with given rates. outcomes: the rates of each call in turn, or an error; fields: of
    `write_entry_run`."""

    def __init__(self, suite: Suite, out: Path, outcomes: Sequence[Any], fields: dict[str, Any]) -> None:
        self.suite, self.out, self.outcomes, self.fields, self.plans = suite, out, list(outcomes), fields, []

    def __call__(self, plans: Sequence[Plan], **given: Any) -> list[Run]:
        self.plans.append(list(plans))
        outcome = self.outcomes.pop(0)
        if outcome == "fails":
            words = "recover failed: the method raised an error: the claim is bit-exact"
            raise FailedRunsError([FailedRun(plans[0], words, False, "recover failed: the method raised an error", by_method=True)], [])
        seeds = [planned.spec.seed for planned in plans]
        found = write_runs(self.out / str(len(self.plans)), self.suite, plans[0].spec.method, rates=outcome, seeds=seeds, **self.fields)
        for run, planned in zip(found, plans, strict=True):
            run.manifest.__dict__["spec"] = planned.spec
        return found


@pytest.fixture
def fake(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def put(*outcomes: Any, **fields: Any) -> Fake:
        made = Fake(suite, tmp_path / "again", outcomes, fields)
        monkeypatch.setattr(execute, "execute", made)
        return made

    return put


def test_the_same_seeds(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake(None)
    (verdict,) = rerun.rerun(["mine"], "same", "", place, bench)
    (plans,) = executed.plans
    assert [planned.spec.seed for planned in plans] == [0, 1, 2, 3, 4]
    assert {planned.split for planned in plans} == {"test"}
    assert {planned.method.source for planned in plans} == {
        json.loads((place.submissions / "mine" / "submission.json").read_text())["method"]["source"]
    }
    assert all(planned.spec.method == f"{bench.work / 'mine' / 'method.py'}:Mine" for planned in plans)
    assert (bench.work / "mine" / "method.py").read_bytes() == (place.submissions / "mine" / "method.py").read_bytes()
    assert verdict.level == "reproduced"
    assert verdict == verdict_on(place.submissions / "mine", place.verdicts)
    assert verdict.reruns[0].same == (0, 5), "the fake repair depends on where the method's file lies"
    assert [run.seed for run in rerun_of(verdict, place.verdicts)] == [0, 1, 2, 3, 4]
    assert next(s for s in leaderboard(place).rankings[0].standings if s.submission.name == "mine").places is not None


def test_a_method_of_the_package_is_rerun_with_this_versions_code(place: Place, bench: Bench, fake: Any) -> None:
    edit(place.submissions / "refresh-4", "submission.json", put("method.source", "0" * 64))
    executed = fake(None)
    rerun.rerun(["refresh-4"], "same", "", place, bench)
    assert all(planned.method == describe("refresh", {"steps": 4}).record for planned in executed.plans[0])
    assert any(standing.submission.name == "refresh-4" for standing in leaderboard(place).rankings[0].standings)


def test_what_the_machine_has_too_little_of_is_not_the_methods_fault(tmp_path: Path) -> None:
    """No entry is disputed for it."""

    def found(free: float) -> Ended | None:
        return Confined._crowded(SimpleNamespace(limits=Limits(free=free), place=tmp_path))

    assert found(0.0) is None
    assert found(1e9) == Ended("this machine was almost out of memory", machine=True)


def test_a_method_over_its_limit_is_not_excused_by_a_full_machine() -> None:
    """It is what may have filled it."""
    over, full = Ended("it took more than 4 GB of memory"), Ended("this machine was almost out of memory", machine=True)
    watched = SimpleNamespace(process=SimpleNamespace(poll=lambda: None), ended=None)
    sandbox = SimpleNamespace(_over=lambda watched: over, _crowded=lambda: full, stop=lambda process: None)
    Confined._watch(sandbox, watched)
    assert watched.ended == over


def test_a_spot_check_runs_the_first_seeds_and_ranks_nothing(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake(NOTHING, "fails")
    (verdict,) = rerun.rerun(["mine"], "same", "drand 7", place, bench, first=2)
    assert [planned.spec.seed for planned in executed.plans[0]] == [0, 1]
    assert (len(executed.plans), verdict.level, verdict.reruns[0].spot) == (1, "claimed", True)
    assert not rerun_of(verdict, place.verdicts)
    (verdict,) = rerun.rerun(["mine"], "same", "drand 7", place, bench, first=1)
    assert (verdict.level, len(verdict.reruns)) == ("claimed", 2)
    assert verdict.note.startswith("rerun on some of its seeds (0) gave no result: recover failed")
    fake(None)
    (verdict,) = rerun.rerun(["refresh-4"], "same", "", place, bench, first=5)
    assert not verdict.reruns[0].spot, "all of its seeds"


def test_a_spot_check_is_of_the_same_seeds(place: Place, bench: Bench, fake: Any) -> None:
    with pytest.raises(UserError, match="--first is for a spot check on the same seeds"):
        rerun.rerun(["mine"], "fresh", "drand 7", place, bench, first=2)


def test_fresh_seeds_and_items(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake(None)
    (verdict,) = rerun.rerun(["mine"], "fresh", "drand 7", place, bench)
    draw = fresh(digest(place.submissions / "mine"), "drand 7")
    (plans,) = executed.plans
    assert tuple(planned.spec.seed for planned in plans) == draw.seeds
    assert {(planned.spec.draw, planned.split) for planned in plans} == {(draw.items, "reserve")}
    jobs = [job for planned in plans for job in planned.jobs.values()]
    assert {job.draw for job in jobs if job.kind == "score"} == {draw.items}
    told = [json.dumps(again_json(job)) for job in jobs if job.lane]
    assert told
    assert not [text for text in told if str(draw.items) in text], "no job that runs the method knows which items are scored"
    assert verdict.level == "reproduced on fresh seeds and items"
    assert (verdict.reruns[0].public, verdict.reruns[0].items) == ("drand 7", draw.items)


def again_json(job: Any) -> dict[str, Any]:
    from bench.worker.jobs import to_json

    return to_json(job)


def test_a_claim_that_is_not_reproduced_twice_is_disputed(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake(NOTHING, NOTHING)
    (verdict,) = rerun.rerun(["mine"], "same", "drand 7", place, bench)
    assert len(executed.plans) == 2
    assert tuple(planned.spec.seed for planned in executed.plans[1]) == fresh(digest(place.submissions / "mine"), "drand 7", 1).seeds
    assert (verdict.level, len(verdict.reruns)) == ("disputed", 2)
    standing = next(s for s in leaderboard(place).rankings[0].standings if s.submission.name == "mine")
    assert (standing.level, standing.places, standing.unranked) == ("disputed", None, "disputed")


def test_without_a_public_value_it_stays_claimed(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake(NOTHING)
    (verdict,) = rerun.rerun(["mine"], "same", "", place, bench)
    assert (len(executed.plans), verdict.level) == (1, "claimed")


def test_costs_that_the_logs_contradict_are_noted(place: Place, bench: Bench, fake: Any) -> None:
    fake(None, repair_cost=1e-6)
    (verdict,) = rerun.rerun(["mine"], "same", "", place, bench)
    (first, *others) = verdict.reruns[0].unmetered
    assert len(others) == 4
    assert "charged 1e-06 of the baseline run, but its training logs imply at least 0.00" in first
    assert verdict.note.endswith("not all of its work was charged")
    fake(None)
    (verdict,) = rerun.rerun(["mine"], "same", "", place, bench)
    assert verdict.reruns[-1].unmetered == ()


def test_every_training_of_a_run_counts(place: Place, bench: Bench, fake: Any) -> None:
    """What is charged would do for one of two trainings."""
    for trainings, lines in ((1, 0), (2, 5)):
        fake(None, repair_cost=0.005, trainings=trainings)
        (verdict,) = rerun.rerun(["mine"], "same", "", place, bench)
        assert len(verdict.reruns[-1].unmetered) == lines


def test_a_log_that_is_none_ends_no_rerun(place: Place, bench: Bench, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out of a sandbox is checked there. Should one get through, the verdict says so, and the other entries have theirs."""
    fake(None, None)
    whole = Run.file
    monkeypatch.setattr(Run, "file", lambda run, name: b'{"step": 1}\n' if name.startswith("training/") else whole(run, name))
    found = rerun.rerun(["refresh-4", "mine"], "same", "", place, bench)
    assert [len(verdict.reruns) for verdict in found] == [1, 1]
    assert "a file of its training is no log: step 1: must be an object with the rewards by domain" in found[1].reruns[0].unmetered[0]


def test_several_entries_are_judged_together(place: Place, bench: Bench, fake: Any) -> None:
    fake(None, None)
    found = rerun.rerun(["mine", "refresh-4", "mine"], "same", "", place, bench)
    assert [verdict.name for verdict in found] == ["mine", "refresh-4"]


def test_a_method_of_the_package_runs_as_itself(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake(None)
    rerun.rerun(["refresh-4"], "same", "", place, bench)
    assert {planned.spec.method for planned in executed.plans[0]} == {"refresh"}
    assert {job.lane for planned in executed.plans[0] for job in planned.jobs.values()} == {""}


def test_a_method_that_fails_did_not_reproduce_its_claim(place: Place, bench: Bench, fake: Any) -> None:
    """The verdict repeats none of its words."""
    executed = fake("fails", "fails")
    judge(place, "mine", "reproduced")
    (verdict,) = rerun.rerun(["mine"], "fresh", "drand 7", place, bench)
    assert (len(executed.plans), verdict.level) == (2, "disputed")
    assert verdict.note.endswith("gave no result: recover failed: the method raised an error")
    assert "bit-exact" not in (place.verdicts / "mine.json").read_text()


def test_the_maintainers_own_entry_stays_a_reference(place: Place, bench: Bench, fake: Any) -> None:
    fake(None)
    (verdict,) = rerun.rerun(["reference"], "fresh", "drand 7", place, bench)
    assert verdict.level == OWN
    assert place.is_ours("reference")


def test_nothing_runs_for_a_submission_that_is_refused(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake()
    (place.submissions / "mine" / "extra").write_text("x")
    with pytest.raises(UserError, match="must be accepted before it is rerun"):
        rerun.rerun(["refresh-4", "mine"], "same", "", place, bench)
    assert not executed.plans


# --- on a GPU


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The submissions are of a board on CUDA, and this machine has two cards, the first one full."""
    whole = rerun.verify_all

    def found(names: Any, place: Place) -> Any:
        found = whole(names, place)
        for each in found.values():
            each.submission.board.__dict__["device"] = "cuda"
        return found

    monkeypatch.setattr(rerun, "verify_all", found)
    monkeypatch.setattr(rerun.Numerics, "choose", lambda device: None)
    monkeypatch.setattr(hardware, "version", lambda package: "2.13.0+cu130")
    monkeypatch.setattr(
        hardware, "cards", lambda: (hardware.Card("GPU-aa", "NVIDIA H200", 0.0), hardware.Card("GPU-bb", "NVIDIA H200", 90.0))
    )


def test_docker_is_refused_on_a_gpu(place: Place, bench: Bench, fake: Any, on_cuda: None) -> None:
    """Its containers have none, and the method would be blamed for that. Methods of the package run without a sandbox."""
    executed = fake(None)
    docker = replace(bench, kind="docker", sandbox=Docker)
    with pytest.raises(UserError, match="--sandbox docker: its containers have no GPU, and mine needs one; use --sandbox bubblewrap"):
        rerun.rerun(["refresh-4", "mine"], "same", "", place, docker)
    assert not executed.plans
    rerun.rerun(["refresh-4"], "same", "", place, docker)
    assert len(executed.plans) == 1


class Plain(Confined):
    """No sandbox: its commands run as they are."""

    command = _hand_over = lambda self, *given: None

    def _started(self, folder: Path, inner: Sequence[str], errors: Any, card: str) -> subprocess.Popen:
        return subprocess.Popen(inner, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment(card))


def test_a_sandbox_without_a_gpu_is_refused_before_the_method_runs(place: Place, bench: Bench, fake: Any, on_cuda: None) -> None:
    """Python starts in this one. There is no GPU, or none with this UUID."""
    executed = fake(None)
    with pytest.raises(UserError, match=r"--sandbox plain: torch cannot use the GPU in there \(.+\)"):
        rerun.rerun(["mine"], "same", "", place, replace(bench, kind="plain", sandbox=Plain))
    assert not executed.plans


def test_the_trial_uses_a_card_with_room(place: Place, bench: Bench, fake: Any, on_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(None)
    tried: list[str] = []
    monkeypatch.setattr(Plain, "_check", lambda self, card: tried.append(card))
    rerun.rerun(["mine"], "same", "", place, replace(bench, kind="plain", sandbox=Plain))
    assert tried == ["GPU-bb"]


@pytest.mark.parametrize("card", ["", "GPU-bb"])
def test_a_worker_under_bubblewrap_sees_its_card_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: str) -> None:
    started: list[dict[str, str]] = []

    def popen(command: list[str], **given: Any) -> Any:
        started.append(given["env"])
        return SimpleNamespace(pid=1, poll=lambda: 0)

    monkeypatch.setattr(bubblewrap, "subprocess", SimpleNamespace(PIPE=subprocess.PIPE, Popen=popen))
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda name: name)
    monkeypatch.setattr(Bubblewrap, "_check", lambda self, card: None)
    box = Bubblewrap(tmp_path / "box", Store(tmp_path / "checkpoints"), [])
    with (tmp_path / "errors").open("wb") as errors:
        box.start(SimpleNamespace(run="", lane="mine"), errors, card)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in started] == [card]


def test_fresh_needs_a_public_value(place: Place, bench: Bench, fake: Any) -> None:
    executed = fake()
    with pytest.raises(UserError, match="add --public"):
        rerun.rerun(["mine"], "fresh", " ", place, bench)
    assert not executed.plans


def test_no_sandbox_without_a_word(place: Place) -> None:
    done = CliRunner().invoke(app, ["rerun", "mine", "--sandbox", "none"])
    assert done.exit_code != 0
    assert "runs a stranger's code with all your rights" in done.output


def test_a_verdict_reads_as_it_was_written(place: Place, bench: Bench, fake: Any) -> None:
    fake(None)
    (verdict,) = rerun.rerun(["mine"], "fresh", "drand 7", place, bench)
    assert Verdict.model_validate_json((place.verdicts / "mine.json").read_bytes()) == verdict
