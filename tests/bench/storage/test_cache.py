"""The cache: made once, whole or not at all, the same bytes for everybody, damage noticed."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from bench import weights as weights_module
from bench.checkpoint import Checkpoint, DamagedError
from bench.errors import MachineError, UserError
from bench.files import MARKER, cache_gate, cache_in_use, canonical, default_cache, key_hash, write_json
from bench.storage import cache as cache_module
from bench.storage.cache import Cache, Cached, Computed
from bench.weights import WEIGHTS

KEY = {"parent": "abc", "seed": 3}


class Maker:
    """A `make` that writes a file and a checkpoint, and counts its calls."""

    def __init__(self, folder: Path, tmp_path: Path) -> None:
        self.cache, self.calls = Cache(folder), 0
        self.like = tmp_path / "like"
        self.like.mkdir(exist_ok=True)
        (self.like / "config.json").write_text("{}")

    def __call__(self, files: Path, work: Path) -> Computed:
        self.calls += 1
        assert list(files.iterdir()) == []
        (files / "log.txt").write_text("two lines\nof log\n")
        checkpoint = self.cache.store.add_checkpoint([("weight", torch.tensor([1.0, 2.0]))], self.like)
        mask = self.cache.store.add_tensors([("mask", torch.tensor([True, False]))])
        return Computed({"checkpoint": checkpoint.hash, "tensors": mask.hash, "score": 0.625}, flops=1.5e9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Maker:
    return Maker(folder, tmp_path)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def fetch(folder: Path, make: Callable[[Path, Path], Computed]) -> Cached:
    """What a new process would get: a cache that has verified nothing yet."""
    return Cache(folder).remember("train", KEY, make)


# --- keys


def test_canonical_json_is_one_text_for_equal_values() -> None:
    assert canonical({"b": (1, 2.5, None), "a": {"y": True, "x": "é"}}) == '{"a":{"x":"\\u00e9","y":true},"b":[1,2.5,null]}'
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert canonical([1, [2]]) == canonical((1, (2,)))


def test_key_hash_is_sha256_of_that_text() -> None:
    assert key_hash({"b": 1, "a": [1, 2]}) == hashlib.sha256(b'{"a":[1,2],"b":1}').hexdigest()


@pytest.mark.parametrize(
    "other", [{"a": "1"}, {"a": 2}, {"a": None}, {"a": [1]}, {"b": 1}, {"a": 1, "b": None}, {"a": 0.1 + 0.2}, {"a": 0.3}, {}]
)
def test_different_keys_have_different_hashes(other: dict) -> None:
    assert key_hash(other) != key_hash({"a": 1})


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), torch.ones(1), Path("x"), b"x", float("nan"), float("inf")], ids=lambda value: type(value).__name__
)
def test_what_is_no_json_is_no_key(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical({"a": value})


def test_write_json_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"b": 1, "a": [1]})
    write_json(path, {"b": 2, "a": "é"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "é", "b": 2}
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": {1, 2}})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_default_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "mine"))
    assert default_cache() == tmp_path / "mine"
    assert Cache().folder == tmp_path / "mine"
    monkeypatch.delenv("BENCH_CACHE")
    assert default_cache().name == "interference-bench"


# --- remember


def test_made_once_and_the_same_afterwards(folder: Path, make: Maker) -> None:
    first = make.cache.remember("train", KEY, make)
    assert first.value["score"] == 0.625
    assert first.flops == 1.5e9
    assert (first.folder / "log.txt").read_text() == "two lines\nof log\n"
    assert make.cache.remember("train", dict(reversed(KEY.items())), make) == first
    assert fetch(folder, make) == first, "a cached cost and value are the fresh ones"
    assert make.calls == 1
    assert Cache(folder).find("train", KEY) == first
    assert torch.equal(make.cache.checkpoint(first.value["checkpoint"]).tensor("weight"), torch.tensor([1.0, 2.0]))
    assert torch.equal(make.cache.tensors(first.value["tensors"]).tensor("mask"), torch.tensor([True, False]))


def test_an_unknown_key_is_not_found(folder: Path, make: Maker) -> None:
    assert Cache(folder).find("train", KEY) is None
    make.cache.remember("train", KEY, make)
    assert make.cache.find("train", KEY | {"seed": 4}) is None
    assert make.cache.find("score", KEY) is None, "kinds share no keys"


def test_every_key_has_its_own_entry(make: Maker) -> None:
    entries = [make.cache.remember(kind, {"seed": seed}, make) for kind in ("train", "score") for seed in (0, 1)]
    assert make.calls == 4
    assert len({entry.folder for entry in entries}) == 4


def test_work_outlives_an_interruption_and_goes_with_success(folder: Path) -> None:
    found: list[list[str]] = []

    def interrupted(files: Path, work: Path) -> Computed:
        found.append([path.name for path in work.iterdir()])
        (work / "snapshot").write_text("step 25")
        if len(found) == 1:
            raise KeyboardInterrupt
        return Computed({"from": (work / "snapshot").read_text()})

    with pytest.raises(KeyboardInterrupt):
        fetch(folder, interrupted)
    assert fetch(folder, interrupted).value == {"from": "step 25"}
    assert found == [[], ["snapshot"]]
    assert list((folder / "work").iterdir()) == []


def test_an_exception_leaves_nothing_but_work(folder: Path) -> None:
    def broken(files: Path, work: Path) -> Computed:
        (files / "half.txt").write_text("half")
        (work / "snapshot").write_text("step 25")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fetch(folder, broken)
    assert list((folder / "entries").iterdir()) == []
    left = {path for path in files_below(folder) if not path.startswith("locks/")} - {MARKER}
    assert left == {f"work/{key_hash({'kind': 'train', **KEY})}/snapshot"}
    assert Cache(folder).find("train", KEY) is None


def test_a_value_that_is_no_json_leaves_nothing(folder: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        fetch(folder, lambda files, work: Computed({"score": float("nan")}))
    assert list((folder / "entries").iterdir()) == []


def test_the_lock_of_one_key_does_not_hold_another(folder: Path) -> None:
    def outer(files: Path, work: Path) -> Computed:
        return Computed({"inner": Cache(folder).remember("inner", {}, lambda f, w: Computed({"x": 1})).value["x"]})

    assert fetch(folder, outer).value == {"inner": 1}


ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}

PROCESS = """
import os, sys, time, uuid
from pathlib import Path
from bench.storage.cache import Cache, Computed
folder, flags, own = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def make(files, work):
    with open(flags / "made", "a") as log:
        log.write(own + "\\n")
    while not (flags / "go").exists():
        time.sleep(0.01)
    (files / "random").write_bytes(os.urandom(32))
    return Computed({"random": uuid.uuid4().hex}, flops=7.0)

(flags / own).write_text("")
entry = Cache(folder).remember("train", {"seed": 3}, make)
print(entry.value["random"], entry.flops, (entry.folder / "random").read_bytes().hex())
"""


def test_of_two_processes_one_makes_and_both_get_its_bytes(folder: Path, tmp_path: Path) -> None:
    """The maker is held inside `make` until the second process stands before the same key."""
    flags = tmp_path / "flags"
    flags.mkdir()
    command = [sys.executable, "-P", "-c", PROCESS, str(folder), str(flags)]
    processes = [subprocess.Popen([*command, own], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) for own in ("one", "two")]
    try:
        deadline = time.monotonic() + 300
        while not all((flags / name).exists() for name in ("one", "two", "made")):
            assert time.monotonic() < deadline
            assert all(process.poll() is None for process in processes)
            time.sleep(0.02)
        time.sleep(0.3)  # for the second to reach the lock
        (flags / "go").write_text("")
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0]
    assert len((flags / "made").read_text().split()) == 1, "both made it"
    assert outputs[0] == outputs[1]
    assert len(outputs[0].split()) == 3


def test_a_later_maker_adopts_the_winners_entry(folder: Path) -> None:
    """As on a file system whose locks do not hold."""

    def outrun(files: Path, work: Path) -> Computed:
        elsewhere = Cache(folder.with_name("elsewhere"))
        won = elsewhere.remember("train", KEY, lambda f, w: Computed({"by": "winner"}))
        won.folder.rename(folder / "entries" / won.key)
        return Computed({"by": "loser"})

    assert fetch(folder, outrun).value == {"by": "winner"}


# --- damage


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def damage_score(entry: Cached, store: Path) -> None:
    edit(entry.folder / "entry.json", "0.625", "0.925")


def damage_cost(entry: Cached, store: Path) -> None:
    edit(entry.folder / "entry.json", "1500000000.0", "1.0")


def damage_seed(entry: Cached, store: Path) -> None:
    edit(entry.folder / "entry.json", '"seed": 3', '"seed": 4')


def cut_entry(entry: Cached, store: Path) -> None:
    os.truncate(entry.folder / "entry.json", 20)


def empty_entry(entry: Cached, store: Path) -> None:
    (entry.folder / "entry.json").write_text("{}")


def remove_entry(entry: Cached, store: Path) -> None:
    (entry.folder / "entry.json").unlink()


def damage_file(entry: Cached, store: Path) -> None:
    edit(entry.folder / "log.txt", "two", "one")


def remove_file(entry: Cached, store: Path) -> None:
    (entry.folder / "log.txt").unlink()


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_checkpoint(entry: Cached, store: Path) -> None:
    flip_last_byte(store / entry.value["checkpoint"] / WEIGHTS)


def damage_tensors(entry: Cached, store: Path) -> None:
    flip_last_byte(store / entry.value["tensors"] / WEIGHTS)


def remove_checkpoint(entry: Cached, store: Path) -> None:
    (store / entry.value["checkpoint"] / WEIGHTS).unlink()


def swap_checkpoint(entry: Cached, store: Path) -> None:
    save_file({"weight": torch.tensor([1.0, 2.5])}, store / entry.value["checkpoint"] / WEIGHTS)


@pytest.mark.parametrize(
    "damage",
    [
        damage_score,
        damage_cost,
        damage_seed,
        cut_entry,
        empty_entry,
        remove_entry,
        damage_file,
        remove_file,
        damage_checkpoint,
        damage_tensors,
        remove_checkpoint,
        swap_checkpoint,
    ],
)
def test_damage_is_noticed_and_made_again(
    folder: Path, make: Maker, caplog: pytest.LogCaptureFixture, damage: Callable[[Cached, Path], None]
) -> None:
    first = fetch(folder, make)
    sound = {path: (folder / path).read_bytes() for path in files_below(folder) if not path.startswith("locks/")}
    damage(first, make.cache.store.folder)
    with caplog.at_level(logging.WARNING):
        assert fetch(folder, make) == first
    assert make.calls == 2
    assert [record.message for record in caplog.records if "damaged" in record.message and first.key[:12] in record.message]
    assert {path: (folder / path).read_bytes() for path in sound} == sound
    fetch(folder, make)
    assert make.calls == 2, "what was made again is found"


def test_find_gives_nothing_for_a_damaged_entry(folder: Path, make: Maker) -> None:
    damage_file(fetch(folder, make), make.cache.store.folder)
    assert Cache(folder).find("train", KEY) is None


def test_two_entries_of_one_damaged_checkpoint_are_both_made_again(folder: Path, make: Maker) -> None:
    first = make.cache.remember("train", KEY, make)
    make.cache.remember("train", {"seed": 9}, make)
    damage_checkpoint(first, make.cache.store.folder)
    again = Cache(folder)
    for key in (KEY, {"seed": 9}):
        entry = again.remember("train", key, make)
        again.checkpoint(entry.value["checkpoint"]).verify()
    assert make.calls >= 3


def test_a_damaged_checkpoint_is_no_obstacle_to_making_it_under_another_key(folder: Path, make: Maker) -> None:
    damage_checkpoint(fetch(folder, make), make.cache.store.folder)
    entry = Cache(folder).remember("train", {"seed": 9}, make)
    Cache(folder).checkpoint(entry.value["checkpoint"]).verify()


# --- size and prune


def test_size_counts_entries_by_kind_and_checkpoints(folder: Path, make: Maker) -> None:
    assert Cache(folder).size() == {"checkpoints": (0, 0)}
    entries = [make.cache.remember("train", {"seed": seed}, make) for seed in (0, 1)]
    scored = make.cache.remember("score", {}, lambda files, work: Computed({"greedy": 0.5}))

    def bytes_of(*folders: Path) -> int:
        return sum(path.stat().st_size for folder in folders for path in folder.iterdir())

    stored = list((folder / "checkpoints").iterdir())
    assert len(stored) == 2, "equal checkpoints are one"
    assert make.cache.size() == {
        "train": (2, bytes_of(*(entry.folder for entry in entries))),
        "score": (1, bytes_of(scored.folder)),
        "checkpoints": (2, bytes_of(*stored)),
    }


def test_prune_frees_all_and_the_cache_goes_on(folder: Path, make: Maker) -> None:
    fetch(folder, make)
    (folder / "work" / "left").mkdir(parents=True)
    (folder / "work" / "left" / "snapshot").write_bytes(b"x" * 100)
    held = sum((folder / path).stat().st_size for path in files_below(folder) - {MARKER})
    assert make.cache.prune() == held
    assert files_below(folder) == {MARKER, f".{MARKER}.lock"}
    assert make.cache.size() == {"checkpoints": (0, 0)}
    assert make.cache.remember("train", KEY, make).value["score"] == 0.625
    assert make.calls == 2


def test_a_cache_that_has_verified_an_entry_notices_that_it_was_pruned(folder: Path, make: Maker) -> None:
    make.cache.remember("train", KEY, make)
    Cache(folder).prune()
    make.cache.remember("train", KEY, make)
    assert make.calls == 2


def test_prune_spares_what_a_running_process_holds(folder: Path) -> None:
    def make(files: Path, work: Path) -> Computed:
        (work / "snapshot").write_text("step 25")
        code = "import sys; from bench.storage.cache import Cache; Cache(sys.argv[1]).prune()"
        done = subprocess.run([sys.executable, "-P", "-c", code, str(folder)], env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 1
        assert UserError.__name__ in done.stderr
        assert (work / "snapshot").exists()
        return Computed({"greedy": 0.5})

    assert fetch(folder, make).value == {"greedy": 0.5}
    assert Cache(folder).prune() > 0


def test_prune_spares_a_cache_that_a_command_uses(folder: Path, make: Maker) -> None:
    fetch(folder, make)
    with cache_in_use(folder), pytest.raises(UserError, match="in use by a running command"):
        Cache(folder).prune()
    assert len(list((folder / "entries").iterdir())) == 1
    assert not list((folder / "locks").glob("command-*"))
    assert Cache(folder).prune() > 0


def test_prune_spares_a_cache_that_a_command_begins_to_use_meanwhile(folder: Path, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it may while the files of a large cache are counted."""
    fetch(folder, make)
    with ExitStack() as held:
        sized = cache_module._bytes

        def slowly(path: Path) -> int:
            held.enter_context(cache_in_use(folder))
            return sized(path)

        monkeypatch.setattr(cache_module, "_bytes", slowly)
        with pytest.raises(UserError, match="in use by a running command"):
            Cache(folder).prune()
    assert len(list((folder / "entries").iterdir())) == 1


def test_a_command_waits_until_a_cache_is_emptied(folder: Path, make: Maker) -> None:
    fetch(folder, make)
    begun = threading.Event()

    def command() -> None:
        with cache_in_use(folder):
            begun.set()

    with cache_gate(folder):
        threading.Thread(target=command, daemon=True).start()
        assert not begun.wait(0.3)
    assert begun.wait(10)


def test_prune_takes_more_entries_than_a_process_may_open_files(folder: Path) -> None:
    Cache(folder).prepare()
    (folder / "locks").mkdir()
    for number in range(200):
        (folder / "locks" / f"{number}").touch()
    code = (
        "import resource, sys; from bench.storage.cache import Cache\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); Cache(sys.argv[1]).prune()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, str(folder)], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files_below(folder) == {MARKER, f".{MARKER}.lock"}


def test_size_counts_what_is_unfinished(folder: Path, make: Maker) -> None:
    fetch(folder, make)
    for name in ("work/key", "entries/.unfinished-a", "checkpoints/.unfinished-b"):
        (folder / name).mkdir()
        (folder / name / "part").write_bytes(b"x" * 100)
    assert make.cache.size()["unfinished"] == (3, 300)


def test_prune_frees_what_it_says_and_says_what_it_could_not(folder: Path, make: Maker, tmp_path: Path) -> None:
    """Somebody moved the checkpoints to another disk and left a link: what lies there is not below our marker."""
    fetch(folder, make)
    (folder / "checkpoints").rename(tmp_path / "elsewhere")
    (folder / "checkpoints").symlink_to(tmp_path / "elsewhere")
    freed = sum((folder / path).stat().st_size for path in files_below(folder) - {MARKER} if not path.startswith("checkpoints"))
    with pytest.raises(UserError, match=f"freed {freed / 1e6:.1f} MB, but checkpoints could not be deleted") as error:
        make.cache.prune()
    assert "\n" not in str(error.value)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2
    assert not (folder / "entries").exists()


def test_prune_counts_files_of_its_own_alone(folder: Path, make: Maker, tmp_path: Path) -> None:
    fetch(folder, make)
    make.cache.prune()
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    (folder / "logs").mkdir()
    (folder / "logs" / "link").symlink_to(tmp_path / "large")
    assert make.cache.prune() < 1000
    assert (tmp_path / "large").exists()


def test_prune_leaves_a_strangers_folders_alone(tmp_path: Path) -> None:
    for name in ("checkpoints", "work", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="not empty, and not a cache of interference-bench") as error:
        Cache(tmp_path).prune()
    assert "\n" not in str(error.value)
    assert len(files_below(tmp_path)) == 3


def test_a_strangers_folder_is_not_made_a_cache(tmp_path: Path, make: Maker) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").write_text("x")
    for use in (lambda: fetch(tmp_path / "own", make), lambda: Cache(tmp_path / "own").store):
        with pytest.raises(UserError, match="not a cache of interference-bench"):
            use()
    assert files_below(tmp_path / "own") == {"thesis.tex"}
    assert make.calls == 0


def test_prune_of_nothing_frees_nothing_and_of_a_file_is_refused(tmp_path: Path) -> None:
    assert Cache(tmp_path / "none").prune() == 0
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    assert Cache(tmp_path / "empty").prune() == 0
    (tmp_path / "file").write_text("x")
    for use in (Cache(tmp_path / "file").prune, Cache(tmp_path / "file").size, lambda: Cache(tmp_path / "file").store):
        with pytest.raises(UserError, match="a file, not a folder"):
            use()
    with pytest.raises(UserError, match="name too long"):
        Cache(tmp_path / ("x" * 300)).prune()


# --- entries in the wrong place


def test_an_entry_copied_over_anothers_is_not_believed(folder: Path, make: Maker, caplog: pytest.LogCaptureFixture) -> None:
    good = Cache(folder).remember("score", {"method": "none"}, lambda files, work: Computed({"greedy": 0.25}))
    other = Cache(folder).remember("score", {"method": "mine"}, lambda files, work: Computed({"greedy": 0.95}))
    shutil.rmtree(good.folder)
    shutil.copytree(other.folder, good.folder)
    assert Cache(folder).find("score", {"method": "none"}) is None
    assert "the entry of another key" in caplog.text
    again = Cache(folder).remember("score", {"method": "none"}, lambda files, work: Computed({"greedy": 0.25}))
    assert again.value == {"greedy": 0.25}


def test_an_entry_of_another_kind_is_not_believed(folder: Path) -> None:
    other = Cache(folder).remember("sample", KEY, lambda files, work: Computed({"greedy": 0.95}))
    name = key_hash({"kind": "score", **KEY})
    other.folder.rename(folder / "entries" / name)
    assert Cache(folder).find("score", KEY) is None


# --- other things in the place of an entry or a checkpoint


def in_place_of(path: Path, what: str) -> None:
    shutil.rmtree(path)
    if what == "file":
        path.write_text("x")
    elif what == "link":
        path.symlink_to(path.with_name("gone"))


@pytest.mark.parametrize("part", ["entry", "checkpoint", "tensors", "work"])
@pytest.mark.parametrize("what", ["file", "link", "nothing"])
def test_a_file_or_a_link_in_a_folders_place_heals(folder: Path, make: Maker, part: str, what: str) -> None:
    first = fetch(folder, make)
    place = first.folder if part == "entry" else folder / "work" / first.key
    if part in ("checkpoint", "tensors"):
        place = folder / "checkpoints" / first.value[part]
    if part == "work":
        shutil.rmtree(first.folder)
        place.mkdir(parents=True)
    in_place_of(place, what)
    assert fetch(folder, make) == first
    assert make.calls == 2
    Cache(folder).checkpoint(first.value["checkpoint"]).verify()
    fetch(folder, make)
    assert make.calls == 2


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "3", '"x"', "null", '{"seal": 1, "files": []}'], ids=lambda text: text[:12])
def test_an_entry_of_any_other_json_heals(folder: Path, make: Maker, text: str) -> None:
    first = fetch(folder, make)
    (first.folder / "entry.json").write_text(text)
    assert fetch(folder, make) == first
    (first.folder / "entry.json").write_text(text)
    assert Cache(folder).size()["damaged"][0] == 1


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", '{"weight_map": 3}'], ids=lambda text: text[:12])
def test_a_checkpoint_with_any_index_of_shards_heals(folder: Path, make: Maker, text: str) -> None:
    first = fetch(folder, make)
    stored = folder / "checkpoints" / first.value["checkpoint"]
    (stored / WEIGHTS).unlink()
    (stored / "model.safetensors.index.json").write_text(text)
    assert fetch(folder, make) == first
    Cache(folder).checkpoint(first.value["checkpoint"]).verify()


def test_a_folder_in_place_of_weights_heals(folder: Path, make: Maker) -> None:
    first = fetch(folder, make)
    weights = folder / "checkpoints" / first.value["checkpoint"] / WEIGHTS
    weights.unlink()
    weights.mkdir()
    assert fetch(folder, make) == first
    Cache(folder).checkpoint(first.value["checkpoint"]).verify()


def test_a_forged_entry_deletes_nothing_outside_the_store(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "thesis"
    own.mkdir()
    (own / "thesis.tex").write_text("x")
    entry = {"kind": "train", "key": KEY, "value": {"checkpoint": "../../thesis"}, "flops": 0.0, "files": {}}
    name = key_hash({"kind": "train", **KEY})
    write_json(folder / "entries" / name / "entry.json", entry | {"seal": key_hash(entry)})
    (folder / "checkpoints").mkdir()
    assert Cache(folder).find("train", KEY) is None
    assert (own / "thesis.tex").exists()


# --- checkpoints read by content


def test_a_verified_checkpoint_is_read_once_and_again_when_its_files_change(
    folder: Path, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = fetch(folder, make).value["checkpoint"]
    read: list[str] = []
    verify = Checkpoint.verify
    monkeypatch.setattr(Checkpoint, "verify", lambda self: read.append(self.hash) or verify(self))
    cache = Cache(folder)
    assert torch.equal(cache.verified(content).tensor("weight"), torch.tensor([1.0, 2.0]))
    cache.verified(content)
    assert read == [content]
    weights = folder / "checkpoints" / content / WEIGHTS
    before = weights.stat()
    flip_last_byte(weights)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))  # as one does who wants it not to be seen
    with pytest.raises(DamagedError):
        cache.verified(content)
    with pytest.raises(UserError, match=r"is not in the cache .*; pass the --cache"):
        cache.verified(content)


# --- owners


def test_an_owner_reads_the_common_entries_and_writes_its_own(folder: Path) -> None:
    def value(number: int) -> Callable[[Path, Path], Computed]:
        return lambda files, work: Computed({"x": number}, flops=float(number))

    shared, own = Cache(folder), Cache(folder, owner="mine.py:Mine")
    common = shared.remember("train", {"seed": 1}, value(1))
    assert own.remember("train", {"seed": 1}, value(2)) == common
    written = own.remember("train", {"seed": 2}, value(2))
    assert written.value == {"x": 2}
    assert shared.find("train", {"seed": 2}) is None
    assert Cache(folder, owner="other.py:Other").find("train", {"seed": 2}) is None
    assert Cache(folder, owner="mine.py:Mine").find("train", {"seed": 2}) == written
    assert shared.remember("train", {"seed": 2}, value(3)).value == {"x": 3}
    assert own.find("train", {"seed": 2}).value == {"x": 3}, "the common entry goes before the owner's"
    assert (own.made, own.made_flops) == (1, 2.0)
    assert (shared.made, shared.made_flops) == (2, 4.0)


def test_an_owners_entry_in_a_common_place_is_not_believed(folder: Path) -> None:
    forged = Cache(folder, owner="mine").remember("score", KEY, lambda files, work: Computed({"greedy": 1.0}))
    forged.folder.rename(folder / "entries" / key_hash({"kind": "score", **KEY}))
    assert Cache(folder).find("score", KEY) is None


# --- disks


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fills_up_is_one_line(folder: Path, number: int) -> None:
    def make(files: Path, work: Path) -> Computed:
        raise OSError(number, os.strerror(number))

    places = f"cache {folder}, or the temporary files in {re.escape(tempfile.gettempdir())}"
    with pytest.raises(MachineError, match=f"{places}: cannot be used .{os.strerror(number)}.*rerun the same command"):
        fetch(folder, make)


def test_a_full_disk_behind_another_error_is_one_line(folder: Path) -> None:
    def make(files: Path, work: Path) -> Computed:
        raise RuntimeError("unexpected pos") from OSError(errno.ENOSPC, "no space")

    with pytest.raises(MachineError, match="or the temporary files"):
        fetch(folder, make)


def test_a_disk_error_names_its_own_file(folder: Path) -> None:
    def make(files: Path, work: Path) -> Computed:
        raise OSError(errno.ENOSPC, "no space", place)

    place = str(folder / "entries" / "x")
    with pytest.raises(MachineError, match=f"^cache {folder}: cannot be used"):
        fetch(folder, make)
    place = "/data/of/the/maker"
    with pytest.raises(OSError, match="/data/of/the/maker"):
        fetch(folder, make)


def test_other_errors_of_a_maker_are_its_own(folder: Path) -> None:
    def make(files: Path, work: Path) -> Computed:
        raise FileNotFoundError(errno.ENOENT, "no such file", "/data/of/the/maker")

    with pytest.raises(FileNotFoundError):
        fetch(folder, make)


def test_weights_on_a_full_disk_are_the_disks_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights_module, "save_file", full)
    with pytest.raises(OSError, match="No space left") as error:
        weights_module.write_weights(tmp_path, [("a", torch.ones(2))])
    assert error.value.errno == errno.ENOSPC
