"""What may come out of a sandbox, without one: the folder is written by the test. `test_hostile.py` does the same from inside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.worker.outcomes import Log, Made
from leaderboard.rerun import admission
from leaderboard.rerun.admission import take_over, with_logs

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "trusted" / "checkpoints")


@pytest.fixture
def base(store: Store, tmp_path: Path) -> Checkpoint:
    like = tmp_path / "like"
    like.mkdir()
    (like / "config.json").write_text("{}")
    return store.add_in_fp32(WEIGHTS.items(), like)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "box" / "checkpoints").mkdir(parents=True)
    return tmp_path / "box"


def made(folder: Path, base: Checkpoint, weights: dict[str, torch.Tensor]) -> Checkpoint:
    """A checkpoint that the method's own store wrote."""
    return Store(folder / "checkpoints").add_in_fp32(weights.items(), base.folder)


def test_a_checkpoint_comes_out_with_the_base_config(store: Store, base: Checkpoint, folder: Path) -> None:
    own = made(folder, base, {name: 2 * tensor for name, tensor in WEIGHTS.items()})
    (own.folder / "config.json").write_text('{"auto_map": "evil"}')
    (own.folder / "pytorch_model.bin").write_bytes(b"pickle")
    take_over(own.hash, folder, base, store)
    out = Checkpoint(store.folder / own.hash)
    assert torch.equal(out.tensor("a"), 2 * WEIGHTS["a"])
    assert sorted(file.name for file in out.folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (out.folder / "config.json").read_text() == "{}"


def test_shards_come_out_without_their_index(store: Store, base: Checkpoint, folder: Path) -> None:
    own = made(folder, base, {name: tensor + 1 for name, tensor in WEIGHTS.items()})
    (own.folder / "model.safetensors").unlink()
    for name, tensor in WEIGHTS.items():
        save_file({name: tensor + 1}, own.folder / f"part-{name}.safetensors")
    (own.folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../../trusted/x"}}')
    take_over(own.hash, folder, base, store)
    assert torch.equal(Checkpoint(store.folder / own.hash).tensor("b"), WEIGHTS["b"] + 1)


def _twice(own: Checkpoint) -> None:
    save_file({"b": torch.ones(4)}, own.folder / "more.safetensors")


def _fewer(own: Checkpoint) -> None:
    save_file({"a": WEIGHTS["a"]}, own.folder / "model.safetensors")


def _linked(own: Checkpoint) -> None:
    file = own.folder / "model.safetensors"
    file.rename(own.folder / "kept")
    file.symlink_to(own.folder / "kept")


def _linked_folder(own: Checkpoint) -> None:
    own.folder.rename(own.folder.with_name("kept"))
    own.folder.symlink_to(own.folder.with_name("kept"))


def _linked_store(own: Checkpoint) -> None:
    own.folder.parent.rename(own.folder.parents[1] / "kept")
    own.folder.parent.symlink_to(own.folder.parents[1] / "kept")


def _pipe(own: Checkpoint) -> None:
    (own.folder / "model.safetensors").unlink()
    os.mkfifo(own.folder / "model.safetensors")


def _huge(own: Checkpoint) -> None:
    with (own.folder / "model.safetensors").open("ab") as file:
        file.truncate(1 << 40)


def _other(own: Checkpoint) -> None:
    save_file({"a": WEIGHTS["a"], "b": torch.zeros(4)}, own.folder / "model.safetensors")


def _infinite(own: Checkpoint) -> None:
    save_file({"a": WEIGHTS["a"] / 0, "b": torch.ones(4)}, own.folder / "model.safetensors")


def _shape(own: Checkpoint) -> None:
    save_file({"a": WEIGHTS["a"].T.contiguous(), "b": torch.ones(4)}, own.folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_twice, "a tensor twice"),
        (_fewer, "of another model: 'b'"),
        (_linked, "not an ordinary file"),
        (_linked_folder, "not an ordinary file"),
        (_linked_store, "not an ordinary file"),
        (_pipe, "not an ordinary file"),
        (_huge, "too large"),
        (_other, "does not match its content hash"),
        (_infinite, "not finite, in a"),
        (_shape, r"a has shape \(3, 2\), not \(2, 3\)"),
    ],
)
def test_what_does_not_come_out(change: Callable[[Checkpoint], None], reason: str, store: Store, base: Checkpoint, folder: Path) -> None:
    own = made(folder, base, WEIGHTS | {"b": torch.full((4,), 7.0)})
    before = sorted(path.name for path in store.folder.iterdir())
    change(own)
    with pytest.raises(UserError, match=reason):
        take_over(own.hash, folder, base, store)
    assert sorted(path.name for path in store.folder.iterdir()) == before
    assert not list(store.folder.parent.glob("tmp*")), "nothing half-copied is left"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "logs/../../secret", "logs", "logs/link", "logs/pipe", "missing", ""])
def test_logs_that_do_not_come_out(path: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "logs").mkdir()
    (folder / "logs" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "logs" / "pipe")
    with pytest.raises(UserError, match=r"ordinary file|outside its folder"):
        with_logs(Made("0" * 64, logs=(Log("math", str(folder / path)),)), folder, tmp_path / "copies")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no steps"),
        (b"\xff", "UTF-8|utf-8"),
        (b"no json\n", "no JSON at line 1"),
        (b"[" * 9_000, "nested"),
        (b"{}\n", "rewards by domain"),
        (b'{"step": 1, "reward": {"math": 1}}\n', "tokens is None"),
        (b'{"step": 1, "reward": {"math": 1}, "groups_with_spread": 0, "tokens": ' + b"9" * 400 + b"}\n", "has more than 30 digits"),
        (b'{"step": 1, "reward": {"math": 1}, "groups_with_spread": 0, "tokens": 1e99}\n', "must be a number from 0 to 1,000,000"),
    ],
)
def test_a_log_that_is_none_does_not_come_out(content: bytes, said: str, folder: Path, tmp_path: Path) -> None:
    """Its numbers would be a bound on the cost."""
    (folder / "log.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=rf"'log\.jsonl' is no training log: .*({said})"):
        with_logs(Made("0" * 64, logs=(Log("math", str(folder / "log.jsonl")),)), folder, tmp_path / "copies")


def test_a_log_comes_out_as_a_copy(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{"step": 1, "tokens": 3.5, "groups_with_spread": 0.5, "reward": {"math": 0.25}}\n'
    (folder / "log.jsonl").write_text(line)
    (log,) = with_logs(Made("0" * 64, logs=(Log("math", str(folder / "log.jsonl")),)), folder, tmp_path / "copies").logs
    assert (log.what, Path(log.file).read_text(), Path(log.file).parent) == ("math", line, tmp_path / "copies")
    monkeypatch.setattr(admission, "MAX_LOG", 2)
    with pytest.raises(UserError, match="too large"):
        with_logs(Made("0" * 64, logs=(Log("math", str(folder / "log.jsonl")),)), folder, tmp_path / "copies")
