"""A worker does what was planned and nothing else; an interrupted training resumes from a sound snapshot only."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch

from bench.errors import UserError
from bench.method import Training
from bench.registry import describe
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.storage.cache import Cache
from bench.worker.jobs import Score
from bench.worker.perform import Performer, _method
from bench.worker.workbench import Workbench, _loaded_snapshot, _save_snapshot

MINE = """from bench.method import Method


class Mine(Method):
    def recover(self, checkpoint, targets, history):
        return checkpoint
"""


LOOKS = """from bench.method import Method


class Mine(Method):
    track = "during"

    def stage(self, stage, history):
        history.checkpoint(stage.earlier[-1]) if stage.earlier else history.base
        return super().stage(stage, history)

    def after_stage(self, stage, checkpoint, history):
        history.checkpoint(stage.earlier[-1]) if stage.earlier else history.base
        return checkpoint
"""


def test_a_method_edited_during_the_run_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    record = describe(f"{file}:Mine").record
    assert _method(record).settings() == {}
    file.write_text(MINE.replace("return checkpoint", "return history.base"))
    with pytest.raises(UserError, match="edited during the run"):
        _method(record)


def test_a_suite_edited_during_the_run_is_refused(tiny_suite: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(tiny_suite.read_text())
    start = plan(RunSpec(suite=str(file), device="cpu", sequence="math-qa")).makers.baseline[0]
    file.write_text(file.read_text().replace("test_items: 16", "test_items: 18"))
    with pytest.raises(UserError, match="edited during the run"):
        Performer(Cache(tmp_path / "cache"), lambda event: None).perform(start, {})


def test_a_model_with_broken_weights_is_named_with_what_made_it(tiny_bench: Workbench, tiny_suite: Path) -> None:
    start = plan(RunSpec(suite=str(tiny_suite), device="cpu", sequence="math-qa")).makers.baseline[0]
    broken = tiny_bench.base.map(lambda name, tensor: torch.full_like(tensor, torch.nan))
    with pytest.raises(UserError, match=r"logits are not numbers: what made the model \(start\) gave it damaged or diverged weights"):
        Performer(tiny_bench.cache, lambda event: None).perform(Score(start, "math", "test"), {start.key: broken.hash})


def test_a_domain_that_the_suite_lacks_is_named_with_its_neighbours(tiny_bench: Workbench) -> None:
    with pytest.raises(UserError, match="did you mean math"):
        tiny_bench.train(tiny_bench.base, Training.on("mth"), seed=100)


def test_a_training_of_another_draw_is_another_training(tiny_bench: Workbench) -> None:
    short = Training.on("math", steps=1)
    first, second = (tiny_bench.train(tiny_bench.base, short, seed=100, purpose="repair", draw=draw) for draw in (0, 1))
    assert first.value["checkpoint"] != second.value["checkpoint"]
    with pytest.raises(ValueError, match="draw=-1: must be at least 0"):
        tiny_bench.train(tiny_bench.base, short, seed=100, purpose="repair", draw=-1)


def test_a_reference_that_nothing_uses_is_refused(tiny_bench: Workbench) -> None:
    """Whoever sets one expects a KL term, which the suite's settings may not have."""
    short = Training.on("math", "qa", steps=1, reference=tiny_bench.base)
    with pytest.raises(UserError, match=r"training on math\+qa: nothing uses its reference \(kl 0, no advantages hook\)"):
        tiny_bench.train(tiny_bench.base, short, seed=100)
    assert tiny_bench.train(tiny_bench.base, short.but(kl=0.1), seed=100).value["checkpoint"]


def test_what_a_method_is_handed_is_no_access(tiny_bench: Workbench, tiny_suite: Path, tmp_path: Path) -> None:
    """Its stage starts from the base, and after the stage it is handed what was trained."""
    file = tmp_path / "mine.py"
    file.write_text(LOOKS)
    makers = plan(RunSpec(suite=str(tiny_suite), method=f"{file}:Mine", device="cpu", sequence="math-qa")).makers
    performer, made = Performer(tiny_bench.cache, lambda event: None), {makers.baseline[0].key: tiny_bench.base.hash}
    found = []
    for stage in makers.method[1:]:
        done = performer.perform(stage, made)
        made[stage.key] = done.checkpoint
        found.append(done.access.checkpoints)
    assert found == [{"base"}, {"math"}], "after the stage the base of the first is no longer what it is handed"


def test_a_snapshot_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    file = tmp_path / "snapshot.pt"
    assert _loaded_snapshot(file) is None
    _save_snapshot({"lines": [{"step": 4}], "weights": torch.ones(3)}, file)
    found = _loaded_snapshot(file)
    assert found["lines"] == [{"step": 4}]
    assert found["weights"].tolist() == [1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.pt"]


@pytest.mark.parametrize("content", [b"", b"no snapshot"])
def test_a_snapshot_that_cannot_be_read_starts_the_training_again(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "snapshot.pt"
    file.write_bytes(content)
    assert _loaded_snapshot(file) is None
    assert not file.exists()


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_state_that_could_not_be_resumed_from_is_refused_at_once(earlier: int, tmp_path: Path) -> None:
    """Even where an earlier step's could be, which is kept."""
    for step in range(earlier):
        _save_snapshot({"state": step}, tmp_path / "snapshot.pt")
    with pytest.raises(UserError, match="plain values and tensors"):
        _save_snapshot({"state": defaultdict(Path)}, tmp_path / "snapshot.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot.pt"][:earlier]


@pytest.mark.gpu
def test_a_snapshot_puts_tensors_back_where_they_were(tmp_path: Path) -> None:
    _save_snapshot({"own": torch.ones(2, device="cuda"), "counts": torch.ones(2)}, tmp_path / "snapshot.pt")
    found = _loaded_snapshot(tmp_path / "snapshot.pt")
    assert (found["own"].device.type, found["counts"].device.type) == ("cuda", "cpu")


SAVE = """
import sys
from pathlib import Path
import torch
from bench.worker.workbench import _save_snapshot

def most():  # not ru_maxrss: a child begins with the most that its parent held
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

state = {"weights": torch.ones(64_000_000)}
before = most()
_save_snapshot(state, Path(sys.argv[1]))
print(most() - before)
"""


def test_a_snapshot_is_checked_without_reading_its_weights(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SAVE, str(tmp_path / "snapshot.pt")], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 128e6  # of 256 MB
