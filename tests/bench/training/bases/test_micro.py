"""The base: what ships is sound and of the promised size; the recipe trains on the training split only, and resumes where it stopped."""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.checkpoint import Checkpoint
from bench.errors import UserError
from bench.suite import FOLDER, load_suite
from bench.training.bases import micro
from bench.training.bases.micro import Recipe, batch, build, build_with_two, copying
from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import TOKENS, build_tokenizer
from tasks.task import split_of

SMALL = replace(Recipe(), steps=6, copy_until=2, first_phase_until=4, decay_from=3, warmup=2, hidden=32, layers=1, heads=1, intermediate=32)


def test_the_shipped_base_is_the_suites_and_of_the_promised_size():
    suite = load_suite("micro")
    folder = FOLDER / suite.base.folder
    assert Checkpoint(folder).content() == suite.base.content
    assert (folder / "model.safetensors").stat().st_size <= 5_000_000
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == "qwen3"
    assert 1_000_000 <= sum(parameter.numel() for parameter in model.parameters()) <= 2_000_000
    assert model.config.head_dim >= 32
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()
    assert tokenizer.decode(tokenizer("3a1b4c>4145=MoonRain")["input_ids"]) == "3a1b4c>4145=MoonRain"


@pytest.mark.parametrize("step", [0, SMALL.first_phase_until])
def test_base_text_comes_from_training_latents_alone(step, monkeypatch):
    for task in load_suite("micro").loaded_tasks.values():
        seen = []
        item = type(task).item
        monkeypatch.setattr(
            type(task), "item", lambda self, *args, item=item, seen=seen, **kwargs: seen.append(item(self, *args, **kwargs)) or seen[-1]
        )
        ids, labels = batch(task, build_tokenizer(), SMALL, step)
        assert len(seen) == len(ids) == micro.ROWS[task.domain]
        assert {split_of(task.domain, each.latent) for each in seen} == {"train"}
        answered = labels != -100
        assert torch.equal(ids[answered], labels[answered])
        prompts = [len(build_tokenizer()(each.prompt)["input_ids"]) for each in seen]
        assert all(not answered[row, :width].any() and answered[row, width] for row, width in enumerate(prompts))


def test_the_training_text_is_the_shipped_bases():
    """Both phases' text, byte by byte: the recipe still makes the base that ships."""
    digest = hashlib.sha256()
    for step in (0, 3, Recipe().first_phase_until, Recipe().steps - 1):
        texts = [batch(task, build_tokenizer(), Recipe(), step) for task in (Math(), Code(), QA(), CW())] + [copying(Recipe(), step)]
        for tensor in itertools.chain(*texts):
            digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest() == "f00cb58e806ca9ab54dd882618026996801064ba19e93c1fe57500364d048436"


@pytest.mark.parametrize("first_phase", [True, False])
@pytest.mark.parametrize("task", [Math(), Code(), QA(), CW()], ids=lambda task: task.domain)
def test_each_phase_shows_its_share_of_high_quality(task, first_phase):
    tokenizer, recipe, rows = build_tokenizer(), Recipe(), micro.ROWS[task.domain]
    first = 0 if first_phase else recipe.first_phase_until
    good = []
    for step in range(first, first + 1 + 400 // rows):
        ids, labels = batch(task, tokenizer, recipe, step)
        for row in range(rows):
            item = task.item("train", recipe.seed, step * rows + row, balanced=first_phase)
            shown = tokenizer.decode(ids[row][labels[row] != -100][:-1])
            if task.demonstrate(item, random.Random(0), 0.0) != item.answer:  # otherwise both qualities look the same
                good.append(shown == item.answer)
    share = (micro.HIGH_QUALITY_FIRST if first_phase else micro.HIGH_QUALITY)[task.domain]
    assert sum(good) / len(good) == pytest.approx(share, abs=0.08)


def test_copying_learns_the_second_copy_only():
    ids, labels = copying(SMALL, 3)
    half = ids.shape[1] // 2
    assert torch.equal(ids[:, :half], ids[:, half:])
    assert (labels[:, :half] == -100).all()
    assert torch.equal(labels[:, half:], ids[:, half:])
    assert ids.min() >= TOKENS.index("0")


def test_a_stopped_build_goes_on_to_the_same_base(tmp_path):
    def stop(step: int, losses: dict[str, float]) -> None:
        assert set(losses) == {"math", "code", "qa", "cw"} | ({"copying"} if step <= SMALL.copy_until else set())
        if step == 5:
            raise KeyboardInterrupt

    build(tmp_path / "whole", SMALL, lambda step, losses: None)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "stopped", SMALL, stop, save_every=2)
    shutil.copytree(tmp_path / "stopped", tmp_path / "other")
    build(tmp_path / "stopped", SMALL, lambda step, losses: None)
    assert Checkpoint(tmp_path / "stopped").content() == Checkpoint(tmp_path / "whole").content()
    build(tmp_path / "stopped", SMALL, lambda step, losses: pytest.fail("its last step is kept until it has been scored"))
    with pytest.raises(UserError, match="another recipe"):
        build(tmp_path / "other", replace(SMALL, rate=1.0), lambda step, losses: None)


def test_two_processes_build_the_same_base(tmp_path):
    """And report every loss."""
    seen = []
    build(tmp_path / "one", SMALL, lambda step, losses: None)
    build_with_two(tmp_path / "two", SMALL, lambda step, losses: seen.append(losses), save_every=2)
    assert Checkpoint(tmp_path / "two").content() == Checkpoint(tmp_path / "one").content()
    assert [sorted(losses) for losses in seen] == [["code", "copying", "cw", "math", "qa"]] * 2 + [["code", "cw", "math", "qa"]] * 4
