"""Checkpoints and their store: content names, atomic arrival, noticed damage; and the exact threshold of a share."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bench import weights as module
from bench.checkpoint import Checkpoint, DamagedError, Store, Tensors, content_hash, threshold_of_share
from bench.errors import UserError
from bench.weights import INDEX, WEIGHTS, WeightFiles, write_weights

WEIGHT = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
BIAS = torch.tensor([0.5, -0.5])


@pytest.fixture
def like(tmp_path: Path) -> Path:
    """An HF folder: config, tokenizer and weights, and what must not be copied."""
    folder = tmp_path / "like"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "tiny"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / ".hidden").write_text("x")
    (folder / "model.safetensors.index.json").write_text("{}")
    (folder / "subfolder").mkdir()
    save_file({"weight": WEIGHT, "bias": BIAS}, folder / WEIGHTS)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def checkpoint(store: Store, like: Path) -> Checkpoint:
    return store.add_checkpoint([("weight", WEIGHT), ("bias", BIAS)], like)


def listing(store: Store) -> list[str]:
    """Every name in the store's folder, hidden ones too."""
    return sorted(path.name for path in store.folder.iterdir())


# --- content hash


def test_hash_is_sha256_of_names_shapes_types_and_bytes() -> None:
    expected = hashlib.sha256(
        b"a|(2,)|torch.float32|" + struct.pack("<2f", 1.0, -2.5) + b"b|(1, 2)|torch.int64|" + struct.pack("<2q", 7, -1)
    ).hexdigest()
    pairs = [("b", torch.tensor([[7, -1]])), ("a", torch.tensor([1.0, -2.5]))]
    assert content_hash(pairs) == expected
    assert content_hash(reversed(pairs)) == expected, "the order of arrival must not count"


@pytest.mark.parametrize(
    "other",
    [
        ("b", torch.tensor([1.0, 2.0])),
        ("a", torch.tensor([[1.0, 2.0]])),
        ("a", torch.tensor([1.0, 2.0], dtype=torch.float64)),
        ("a", torch.tensor([1.0, 2.0 + 2**-22])),
        ("a", torch.tensor([1.0, 2.0]).view(torch.int32)),
    ],
    ids=["name", "shape", "type", "one bit", "bytes of another type"],
)
def test_hash_tells_apart(other: tuple[str, torch.Tensor]) -> None:
    assert content_hash([other]) != content_hash([("a", torch.tensor([1.0, 2.0]))])


def test_hash_sees_values_not_strides() -> None:
    turned = torch.tensor([[1.0, 3.0], [2.0, 4.0]]).T
    assert not turned.is_contiguous()
    assert content_hash([("a", turned)]) == content_hash([("a", WEIGHT)])


def test_hash_takes_empty_tensors_and_bfloat16() -> None:
    empty = content_hash([("a", torch.zeros(0, 3))])
    assert empty == hashlib.sha256(b"a|(0, 3)|torch.float32|").hexdigest()
    half = content_hash([("a", torch.tensor([1.0], dtype=torch.bfloat16))])
    assert half == hashlib.sha256(b"a|(1,)|torch.bfloat16|" + bytes([0x80, 0x3F])).hexdigest()


def test_hash_takes_scalars() -> None:
    assert content_hash([("a", torch.tensor(1.0))]) == hashlib.sha256(b"a|()|torch.float32|" + struct.pack("<f", 1)).hexdigest()


# --- store


def test_equal_content_is_one_folder_written_once(store: Store, like: Path, checkpoint: Checkpoint) -> None:
    before = (checkpoint.folder / WEIGHTS).stat()
    again = store.add_checkpoint([("bias", BIAS.clone()), ("weight", WEIGHT.clone())], like)
    assert again == checkpoint
    assert again.folder == checkpoint.folder
    assert listing(store) == [checkpoint.hash]
    after = (again.folder / WEIGHTS).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_checkpoint_lies_under_its_content_with_config_beside(store: Store, like: Path) -> None:
    (like / "pytorch_model.bin").write_bytes(b"the same weights again")
    added = store.add_checkpoint([("weight", WEIGHT), ("bias", BIAS)], like)
    beside = {name: (like / name).read_bytes() for name in ("config.json", "tokenizer.json")}
    assert added.hash == content_hash([("weight", WEIGHT), ("bias", BIAS)], beside)
    assert added.hash != content_hash([("weight", WEIGHT), ("bias", BIAS)])
    assert sorted(path.name for path in added.folder.iterdir()) == ["config.json", WEIGHTS, "tokenizer.json"]
    assert (added.folder / "config.json").read_text() == '{"model_type": "tiny"}'
    assert torch.equal(load_file(added.folder / WEIGHTS)["weight"], WEIGHT)


# --- types: read in fp32, stored as they came, changed ones in fp32


def test_bf16_stays_bf16_on_disk_and_is_read_in_fp32(store: Store, like: Path) -> None:
    added = store.add_checkpoint([("weight", WEIGHT.bfloat16()), ("bias", BIAS)], like)
    types = {name: tensor.dtype for name, tensor in load_file(added.folder / WEIGHTS).items()}
    assert types == {"weight": torch.bfloat16, "bias": torch.float32}
    assert {tensor.dtype for _, tensor in added.items()} == {torch.float32}
    added.verify()


def test_a_change_of_bf16_keeps_what_bf16_would_round_off(store: Store, like: Path) -> None:
    (like / "config.json").write_text('{"dtype": "bfloat16"}')
    added = store.add_checkpoint([("weight", WEIGHT.bfloat16()), ("bias", BIAS)], like)
    seen = set()

    def change(name: str, own: torch.Tensor) -> torch.Tensor:
        seen.add(own.dtype)
        return own + 2**-9  # at 1 half of what bf16 tells apart

    mapped = added.map(change)
    assert seen == {torch.float32}
    assert WeightFiles(mapped.folder).dtype("weight") == torch.float32
    assert mapped.tensor("weight")[0, 0] == 1.0 + 2**-9
    assert mapped.tensor("bias")[0] == 0.5 + 2**-9
    assert json.loads((mapped.folder / "config.json").read_text()) == {"dtype": "float32"}


def test_counters_are_no_weights(store: Store, like: Path) -> None:
    added = store.add_checkpoint([("weight", WEIGHT), ("steps", torch.tensor(7))], like)
    mapped = added.map(lambda name, own: own * 2)
    assert mapped.tensor("steps").item() == 7
    assert mapped.tensor("steps").dtype == torch.int64
    assert WeightFiles(added.folder).dtype("steps") == torch.int64


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_a_trained_bf16_model_is_fp32_and_says_so(store: Store, tmp_path: Path, key: str) -> None:
    """Others load in the type that the config says: a config of before would have them round what was learned."""
    like = tmp_path / "bf16"
    like.mkdir()
    (like / "config.json").write_text(f'{{"model_type": "tiny", "{key}": "bfloat16"}}')
    added = store.add_model(torch.nn.Linear(2, 2), like)
    assert WeightFiles(added.folder).dtype("weight") == torch.float32
    assert f'"{key}": "float32"' in (added.folder / "config.json").read_text()
    added.verify()


# --- shards and pieces


def sharded(like: Path) -> Path:
    """The folder `like` in two files and an index."""
    (like / WEIGHTS).unlink()
    write_weights(like, [("bias", BIAS), ("weight", WEIGHT)], shard_bytes=16)
    return like


def test_large_models_are_written_in_shards_that_hf_understands(like: Path) -> None:
    from transformers.utils.hub import get_checkpoint_shard_files

    sharded(like)
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert sorted(path.name for path in like.glob("*.safetensors")) == names
    files, found = get_checkpoint_shard_files(str(like), str(like / INDEX))
    assert sorted(Path(file).name for file in files) == names
    assert found["weight_map"] == {"bias": names[0], "weight": names[1]}
    assert found["total_size"] == 24


def test_shards_are_the_same_checkpoint_as_one_file(store: Store, like: Path, checkpoint: Checkpoint) -> None:
    shards = sharded(like)
    assert store.add_folder(shards) == checkpoint
    moved = checkpoint.folder.parent / "moved"
    shutil.copytree(shards, moved)
    found = Checkpoint(moved)
    assert found.content() == checkpoint.hash
    assert torch.equal(found.tensor("weight"), WEIGHT)
    assert found.shapes() == {"bias": (2,), "weight": (2, 2)}


def test_a_missing_shard_is_damage(store: Store, like: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.write_weights, "__kwdefaults__", {"shard_bytes": 16})
    added = store.add_folder(like)
    added.verify()
    (added.folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(DamagedError):
        added.verify()


def test_from_pretrained_loads_a_sharded_checkpoint(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    monkeypatch.setattr(module.write_weights, "__kwdefaults__", {"shard_bytes": 600})
    config = LlamaConfig(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2)
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "model")
    added = store.add_model(model, tmp_path / "model")
    assert len(list(added.folder.glob("model-*.safetensors"))) > 2
    loaded = AutoModelForCausalLM.from_pretrained(added.folder)
    for (name, theirs), ours in zip(loaded.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(theirs, ours), name


@pytest.mark.parametrize("shape", [(7, 5), (35,), (1, 35), (5, 7, 1), (0, 3), ()])
def test_pieces_make_up_the_tensor(store: Store, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 10)
    whole = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    one, other = store.add_tensors([("a", whole)]), store.add_tensors([("a", 2 * whole)])
    pieces = list(one.pieces(other))
    assert torch.equal(torch.cat([own.reshape(-1) for _, own, _ in pieces]), whole.reshape(-1))
    assert all(torch.equal(2 * own, theirs) for _, own, theirs in pieces)
    if shape in ((7, 5), (35,), (5, 7, 1)):
        assert len(pieces) > 3
        assert max(own.numel() for _, own, _ in pieces) <= 10
    seen = []
    mapped = one.map(lambda name, own, theirs: seen.append(own.numel()) or own + theirs, other, elementwise=True)
    assert torch.equal(mapped.tensor("a"), 3 * whole)
    assert len(seen) == len(pieces)


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_file_or_a_dangling_link_in_its_place_is_no_obstacle(store: Store, like: Path, checkpoint: Checkpoint, what: str) -> None:
    shutil.rmtree(checkpoint.folder)
    if what == "file":
        checkpoint.folder.write_text("x")
    else:
        checkpoint.folder.symlink_to(store.folder / "gone")
    added = store.add_checkpoint([("weight", WEIGHT), ("bias", BIAS)], like)
    assert added == checkpoint
    added.verify()
    assert listing(store) == [checkpoint.hash]


def test_a_checkpoint_that_is_required_must_be_there(checkpoint: Checkpoint) -> None:
    assert checkpoint.require() is checkpoint
    shutil.rmtree(checkpoint.folder)
    with pytest.raises(UserError, match=r"is not in the cache .*; pass the --cache"):
        checkpoint.require()


def test_what_cannot_be_read_just_now_is_no_damage(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(module, "safe_open", busy)
    with pytest.raises(OSError, match="Too many open files"):
        Checkpoint(checkpoint.folder).verify()


def test_pieces_refuse_another_models_tensors(checkpoint: Checkpoint, store: Store) -> None:
    with pytest.raises(ValueError, match="another model"):
        list(checkpoint.pieces(store.add_tensors([("weight", WEIGHT)])))


def test_an_iterator_comes_in_order(store: Store) -> None:
    with pytest.raises(ValueError, match="'a' comes after 'b'"):
        store.add_tensors(iter([("b", BIAS), ("a", BIAS)]))
    assert listing(store) == []


def test_tensors_keep_their_types(store: Store) -> None:
    mask = torch.tensor([True, False])
    added = store.add_tensors([("mask", mask)])
    assert added.tensor("mask").dtype == torch.bool
    assert torch.equal(added.tensor("mask"), mask)
    added.verify()


def test_gradients_do_not_travel(store: Store) -> None:
    added = store.add_tensors([("a", torch.ones(2, requires_grad=True) * 2)])
    assert torch.equal(added.tensor("a"), torch.tensor([2.0, 2.0]))


def test_names_are_sorted_and_a_missing_one_is_named(checkpoint: Checkpoint) -> None:
    assert checkpoint.names() == ["bias", "weight"]
    assert [name for name, _ in checkpoint.items()] == ["bias", "weight"]
    with pytest.raises(KeyError, match="'head'"):
        checkpoint.tensor("head")


def test_equality_is_of_content(store: Store, checkpoint: Checkpoint, tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "elsewhere").add_folder(checkpoint.folder)
    assert elsewhere == checkpoint
    assert hash(elsewhere) == hash(checkpoint)
    other = store.add_tensors([("weight", WEIGHT)])
    assert other != checkpoint
    assert len({checkpoint, elsewhere, other}) == 2


def test_add_folder_takes_anybodys_folder(store: Store, like: Path, checkpoint: Checkpoint) -> None:
    assert store.add_folder(like) == checkpoint


def test_tied_weights_that_a_folder_holds_twice_are_stored_once(store: Store, chat_model: Path, tmp_path: Path) -> None:
    """As many hubs' files do; a trained model's folder has them once, and the two must be the same tensors."""
    folder = Path(shutil.copytree(chat_model, tmp_path / "twice"))
    tensors = dict(Tensors(chat_model).items())
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    twice = tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}
    save_file(twice, folder / WEIGHTS)
    assert store.add_folder(folder) == store.add_folder(chat_model)
    save_file(twice | {"lm_head.weight": twice["lm_head.weight"] + 1}, folder / WEIGHTS)
    assert "lm_head.weight" in store.add_folder(folder).names(), "another tensor, whatever the config says"


def test_a_model_goes_in_and_from_pretrained_gets_it_back(store: Store, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=11,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "model")
    added = store.add_model(model, tmp_path / "model")
    assert "lm_head.weight" not in added.names(), "tied weights are stored once"
    assert "model.embed_tokens.weight" in added.names()
    loaded = AutoModelForCausalLM.from_pretrained(added.folder)
    for (name, theirs), ours in zip(loaded.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(theirs, ours), name


def test_one_tensor_under_two_names_is_stored(store: Store) -> None:
    """As in a mask of zeros that is made once."""
    zeros = torch.zeros(3)
    added = store.add_tensors([("a", zeros), ("b", zeros)])
    assert added.tensor("b").tolist() == [0.0, 0.0, 0.0]


def test_views_of_one_vector_are_stored(store: Store) -> None:
    """As a change makes them that works on the whole model as one flat vector."""
    first, second = torch.split(torch.tensor([1.0, 2.0, 3.0]), [1, 2])
    added = store.add_tensors([("a", first), ("b", second)])
    assert added.tensor("a").tolist() == [1.0]
    assert added.tensor("b").tolist() == [2.0, 3.0]
    added.verify()


def test_a_checkpoint_has_its_config_even_where_equal_tensors_were_first(store: Store, like: Path) -> None:
    store.add_tensors([("weight", WEIGHT), ("bias", BIAS)])
    assert (store.add_folder(like).folder / "config.json").exists()


# --- races and failures


def test_the_loser_of_a_race_adopts_the_winners_folder(store: Store, like: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner: list[Checkpoint] = []

    def save_late(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, path, metadata=metadata)
        if not winner:
            winner.append(Checkpoint(Path()))  # so that the winner itself is not outrun
            winner[0] = Store(store.folder).add_folder(like)
            (winner[0].folder / "mark").write_text("the winner's")

    monkeypatch.setattr(module, "save_file", save_late)
    loser = store.add_folder(like)
    assert loser == winner[0]
    assert (loser.folder / "mark").exists(), "the winner's folder was replaced"
    assert listing(store) == [loser.hash], "the loser's unfinished folder stayed"


def test_many_at_once_agree(store: Store, like: Path) -> None:
    count = 8
    barrier, found, errors = threading.Barrier(count), [], []

    def add() -> None:
        try:
            barrier.wait(30)
            found.append(Store(store.folder).add_folder(like))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(found) == count
    assert len(set(found)) == 1
    assert listing(store) == [found[0].hash]
    found[0].verify()


def test_a_failed_write_leaves_nothing_and_is_told(store: Store, like: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        store.add_folder(like)
    assert listing(store) == []


# --- damage


def flip(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def truncate(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size - 4)


def remove_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def rename_tensor(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    save_file({"weight": tensors["weight"], "bios": tensors["bias"]}, folder / WEIGHTS)


@pytest.mark.parametrize("damage", [flip, truncate, remove_weights, remove_folder, rename_tensor])
def test_verify_notices_damage(checkpoint: Checkpoint, damage: Callable[[Path], None]) -> None:
    checkpoint.verify()
    damage(checkpoint.folder)
    with pytest.raises(DamagedError, match=checkpoint.hash[:12]):
        checkpoint.verify()


# --- map


def test_map_is_tensor_by_tensor_over_own_and_others(store: Store, like: Path, checkpoint: Checkpoint) -> None:
    half = store.add_tensors([("weight", torch.full((2, 2), 0.5)), ("bias", torch.ones(2)), ("more", torch.ones(1))])
    other = store.add_checkpoint([("weight", 2 * WEIGHT), ("bias", 2 * BIAS)], like)
    seen = []

    def change(name: str, own: torch.Tensor, factor: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(name)
        return own + factor * (target - own)

    mapped = checkpoint.map(change, half, other)
    assert sorted(seen) == ["bias", "weight"]
    # weight: 1 + .5 (2 - 1) = 1.5, 3, 4.5, 6; bias: .5 + 1 (1 - .5) = 1, -1
    assert torch.equal(mapped.tensor("weight"), torch.tensor([[1.5, 3.0], [4.5, 6.0]]))
    assert torch.equal(mapped.tensor("bias"), torch.tensor([1.0, -1.0]))
    assert mapped.names() == ["bias", "weight"]
    assert mapped.folder.parent == store.folder
    assert (mapped.folder / "config.json").exists()
    mapped.verify()
    checkpoint.verify()  # and the original is as it was


def test_map_to_the_same_is_the_same(checkpoint: Checkpoint) -> None:
    assert checkpoint.map(lambda _, own: own.clone()).folder == checkpoint.folder


def test_map_of_tensors_gives_tensors(store: Store, checkpoint: Checkpoint) -> None:
    ones = store.add_tensors([("weight", torch.ones(2, 2)), ("bias", torch.ones(2))])
    summed = ones.map(lambda name, own, theirs: own + theirs, checkpoint)
    assert type(summed) is Tensors
    assert [path.name for path in summed.folder.iterdir()] == [WEIGHTS], "a model's config is no part of it"
    assert summed.tensor("weight").tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert summed.tensor("bias").tolist() == [1.5, 0.5]


def test_map_refuses_a_change_of_shape(store: Store, checkpoint: Checkpoint) -> None:
    tensors = store.add_tensors([("weight", WEIGHT), ("bias", BIAS)])
    before = listing(store)
    for one in (checkpoint, tensors):
        with pytest.raises(ValueError, match=r"change of bias returned shape \(1,\); return a tensor of shape \(2,\)"):
            one.map(lambda name, own: own[:1])
        with pytest.raises(ValueError, match="change of bias returned a float"):
            one.map(lambda name, own: 1.0)
    assert listing(store) == before


def test_map_refuses_another_models_tensors(store: Store, checkpoint: Checkpoint) -> None:
    before = listing(store)
    without = Store(store.folder.parent / "others").add_tensors([("weight", WEIGHT)])
    misshapen = Store(store.folder.parent / "others").add_tensors([("weight", WEIGHT.flatten()), ("bias", BIAS)])
    with pytest.raises(ValueError, match="'bias'"):
        checkpoint.map(lambda _, own, theirs: own + theirs, without)
    with pytest.raises(ValueError, match=r"'weight' of shape \(2, 2\)"):
        checkpoint.map(lambda _, own, theirs: own, misshapen)
    assert listing(store) == before


# --- threshold of a share


def by_topk(chunks: list[torch.Tensor], share: float) -> float:
    scores = torch.cat([chunk.flatten() for chunk in chunks])
    return torch.topk(scores, max(1, round(share * len(scores)))).values[-1].item()


SHARES = (1e-9, 1e-4, 0.003, 0.05, 1 / 3, 0.5, 0.9, 0.9999, 1.0)


def chunked(scores: torch.Tensor) -> list[torch.Tensor]:
    """The same scores as tensors of different shapes, one of them empty."""
    size = len(scores) // 4
    return [scores[:1], scores[1:1], scores[1 : 1 + 2 * size].view(2, size), scores[1 + 2 * size :].unsqueeze(1)]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ["normal", "wide", "narrow", "tied", "mostly zero", "equal"])
def test_threshold_is_topks(kind: str, share: float) -> None:
    generator = torch.Generator().manual_seed(7)
    normal = torch.randn(20_001, generator=generator)
    scores = {
        "normal": normal.abs(),
        "wide": torch.exp(20 * normal).clamp(max=3e38),  # from subnormal to nearly infinite
        "narrow": 1 + torch.rand(20_001, generator=generator) * 2**-9,  # one upper half of the bits: only the lower ones decide
        "tied": (3 * normal).round().abs(),
        "mostly zero": normal.clamp(min=2.0) - 2.0,
        "equal": torch.full((20_001,), 0.1),
    }[kind]
    chunks = chunked(scores)
    assert threshold_of_share(lambda: chunks, share) == by_topk(chunks, share)


def test_threshold_by_hand() -> None:
    chunks = [torch.tensor([[5.0, 1.0], [3.0, 3.0]]), torch.tensor([0.0, 4.0, 2.0, 3.0])]
    # in order: 5 4 3 3 3 2 1 0
    expected = {1 / 8: 5.0, 0.25: 4.0, 0.375: 3.0, 0.5: 3.0, 0.625: 3.0, 0.75: 2.0, 1.0: 0.0, 1e-12: 5.0}
    assert {share: threshold_of_share(lambda: chunks, share) for share in expected} == expected


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.floats(0, width=32, allow_infinity=True).map(abs), min_size=1, max_size=40),
    cut=st.integers(0, 40),
    share=st.floats(1e-6, 1),
)
def test_threshold_is_topks_on_anything(scores: list[float], cut: int, share: float) -> None:
    chunks = [torch.tensor(scores[:cut]), torch.tensor(scores[cut:])]
    assert threshold_of_share(lambda: chunks, share) == by_topk(chunks, share)


def test_threshold_reads_the_scores_twice_one_at_a_time() -> None:
    asked = []

    def scores() -> object:
        asked.append(0)
        for value in (1.0, 2.0, 3.0):
            yield torch.full((4,), value)

    assert threshold_of_share(scores, 0.5) == 2.0
    assert len(asked) == 2


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0001, float("nan")])
def test_threshold_refuses_a_share_outside_its_range(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        threshold_of_share(lambda: [torch.ones(3)], share)


def test_threshold_takes_negative_zero_for_zero() -> None:
    assert threshold_of_share(lambda: [torch.tensor([-0.0, 1.0, 2.0])], 1.0) == 0.0


def test_tensors_of_a_folder_know_their_name(tmp_path: Path) -> None:
    assert Tensors(tmp_path / "abc").hash == "abc"
