"""What cannot work is refused in one line, before the plan is shown and before anything is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench import hardware
from bench.cli import app
from bench.runs import preflight
from bench.suite import load_suite

Refused = Callable[..., str]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A command in this process, in an empty folder, with a cache of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def refused(invoke: Callable[..., Result], tmp_path: Path) -> Refused:
    """The one line of a command that is refused and leaves nothing behind."""

    def run(*words: object) -> str:
        before = {path for path in tmp_path.rglob("*") if path.name != "__pycache__" and path.suffix != ".pyc"}
        result = invoke(*words)
        assert result.exit_code == 2, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "runs:" not in result.stdout, "a forecast was shown"
        after = {path for path in tmp_path.rglob("*") if path.name != "__pycache__" and path.suffix != ".pyc"}
        assert {path for path in after - before if not path.is_relative_to(tmp_path / "cache")} == set()
        line = result.stderr.strip()
        assert len(line.splitlines()) == 1, line
        assert line.startswith("bench: ")
        return line

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--method", "refrehs"], "unknown method 'refrehs': did you mean refresh"),
        (["run", "--sequence", "papr"], "unknown sequence or design 'papr': did you mean paper"),
        (["run", "--suite", "mikro"], "unknown suite 'mikro': did you mean micro"),
        (["run", "--targets", "al"], "unknown --targets 'al': did you mean all"),
        (["run", "--method", "refresh", "--set", "stpes=3"], "unknown setting of refresh 'stpes': did you mean steps"),
        (["run", "--method", "refresh", "--set", "steps=many"], "--set steps=many"),
        (["run", "--method", "refresh", "--set", "steps=0"], "steps=0: must be from 1 to"),
        (["run", "--method", "refresh", "--set", "steps=0", "--dry-run"], "steps=0: must be from 1 to"),
        (["run", "--method", "relearn", "--set", "steps=0", "--dry-run"], "steps=0: must be from 1 to"),
        (["run", "--method", "longer", "--set", "steps=-1", "--dry-run"], "steps=-1: must be from 0 to"),
        (["run", "--method", "nowhere.py:Mine"], "no file"),
        (["run", "--device", "gpu"], "--device"),
        (["run", "--set", "steps"], "write key=value"),
        (["run", "--method", "none", "--set", "a=1"], "takes no settings"),
        (["run", "--suite", "gym", "--dry-run"], "add --model"),
        (["run", "--suite", "gym", "--model", "no/such/model/at/all", "--dry-run"], "--model no/such/model/at/all"),
        (["run", "--suite", "gym", "--model", "owner/absent", "--dry-run"], "--model owner/absent"),
        (["run", "--also", "absent.yaml", "--dry-run"], "--also absent.yaml: no such file"),
        (["run", "--also-limit", "3"], "--also-limit"),
        (["run", "--from", "nowhere"], "no finished run"),
        (["compare", "--methods", "refesh"], "did you mean refresh"),
        (["compare", "--methods", "refresh[stps=3]"], "did you mean steps"),
        (["compare", "--methods", "refresh[steps=0]", "--dry-run"], "steps=0"),
        (["compare", "--sequence", "ballanced"], "did you mean balanced"),
        (["compare", "--shard", "3/2"], "write i/n"),
        (["compare", "--log-to", "tensorbord"], "did you mean tensorboard"),
        (["tune", "--method", "none"], "declares no search space"),
        (["import", "--base", "nowhere", "--stage", "math"], "write domain=folder"),
    ],
)
def test_a_typo_gets_one_line(words: list[str], message: str, refused: Refused) -> None:
    assert message in refused(*words)


@pytest.mark.parametrize(
    "command", [["run"], ["compare"], ["tune", "--method", "refresh"], ["run", "--dry-run"], ["tune", "--method", "refresh", "--dry-run"]]
)
def test_a_device_or_an_engine_that_is_not_there_is_refused(command: list[str], refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cards", tuple)
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    assert "--device cuda: no CUDA device" in refused(*command, "--device", "cuda")
    assert "--engine vllm: vllm is not installed" in refused(*command, "--engine", "vllm")


def test_more_vllm_workers_than_cards_are_refused(refused: Refused, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cards", lambda: tuple(hardware.Card(f"GPU-{name}", "NVIDIA H200", 140.0) for name in "ab"))
    monkeypatch.setattr(hardware, "version", lambda package: "2.13.0+cu130")
    monkeypatch.setattr(preflight, "find_spec", lambda name: True)
    monkeypatch.setattr(hardware, "cores", lambda: 7)
    words = ["run", "--dry-run", "--device", "cuda", "--jobs", 3]
    message = "--jobs 3: --engine vllm runs one worker a card, and there is room for 2; use --jobs 2, or leave it out"
    assert message in refused(*words, "--engine", "vllm")
    assert invoke(*words).exit_code == 0
    assert invoke(*words[:-2], "--engine", "vllm").stdout.endswith("on 2 workers\n")


# --- folders


@pytest.mark.parametrize("option", ["--out", "--cache"])
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_a_folder_that_cannot_be_one_is_refused(option: str, dry: list[str], refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for place, message in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "is a file"),
        (tmp_path / "link", "link"),
        (tmp_path / ("x" * 300), "name too long"),
        ("/proc/nowhere/x", "cannot be used"),
        ("/dev/full", "is a file"),
    ):
        line = refused("run", option, place, *dry)
        assert f"{option} {place}" in line
        assert message in line.lower()


def test_a_home_that_cannot_be_written_is_refused(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/proc/nobody")
    assert "--cache /proc/nobody" in refused("run")


def test_a_full_disk_is_refused(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.files.tempfile.TemporaryFile", full)
    assert "No space left on device); free some space" in refused("run", "--out", tmp_path / "out", "--dry-run")


def test_a_cache_is_no_folder_of_somebody_elses(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("")
    assert "not a cache" in refused("run", "--cache", tmp_path / "theirs")


def test_two_runs_do_not_share_a_folder(invoke: Callable[..., Result], build_run: Callable[..., Path], tmp_path: Path) -> None:
    """A run of that name lies there already, made from something else."""
    built = build_run(tmp_path / "out", quick=True, seed=3)
    (manifest,) = (built / "manifest.json",)
    manifest.write_text(manifest.read_text().replace('"targets": "single"', '"targets": "all"'))
    result = invoke("run", "--quick", "--seed", 3, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "holds another run" in result.stderr


# --- dry runs


def test_a_dry_run_tells_what_it_would_do_and_leaves_nothing(invoke: Callable[..., Result], tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    task.write_text("task: mine\n")
    result = invoke(
        "compare", "--methods", "refresh[steps=5]", "--also", task, "--sequence", "math-qa", "--seeds", 1, "--dry-run", "--jobs", 2
    )
    assert result.exit_code == 0, result.output
    expected = (
        "2 runs: 2 stages (0 in the cache), 1 repair (0 in the cache), 8 scorings (0 in the cache), 4 scorings by lm-eval (0 in the cache)"
    )
    assert expected in result.stdout
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "here").iterdir()) == []


def test_a_dry_run_of_tuning_counts_its_trials(invoke: Callable[..., Result], tmp_path: Path) -> None:
    result = invoke("tune", "--method", "refresh", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("24 runs: 12 stages")
    assert list((tmp_path / "here").iterdir()) == []


def test_the_context_that_a_model_needs_is_that_of_the_longest_answer() -> None:
    gym = load_suite("gym")
    longest = max(task.answer_tokens for task in gym.loaded_tasks.values())
    assert preflight.needed_context(gym) == longest + 1
    thinking = gym.model_copy(update={"prompting": gym.prompting.model_copy(update={"chat": "thinking", "thinking_tokens": 500})})
    assert preflight.needed_context(thinking) == preflight.needed_context(gym) + 500


def test_a_model_that_cannot_hold_an_answer_is_refused_before_the_plan(refused: Refused, chat_model: Path, tmp_path: Path) -> None:
    short = tmp_path / "short"
    shutil.copytree(chat_model, short)
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 320}))
    assert "its context window is 320 tokens, and this suite needs 321" in refused("run", "--suite", "gym", "--model", short, "--dry-run")


def test_the_default_number_of_workers_is_in_the_forecast(invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "cores", lambda: 7)
    monkeypatch.setattr(hardware, "cards", tuple)
    monkeypatch.setattr(hardware, "free_memory_gb", lambda: 20.0)
    assert invoke("run", "--dry-run").stdout.endswith("on 7 workers\n")
    monkeypatch.setattr(hardware, "free_memory_gb", lambda: 3.5)
    assert invoke("run", "--dry-run").stdout.endswith("on 3 workers; memory for 3 of 7 workers (3.5 GB free, 1 GB each)\n")
    assert invoke("run", "--dry-run", "--jobs", 9).stdout.endswith("on 9 workers\n")
