"""The warm-up: demonstrations of training latents alone, losses that fall, and an adapter that is the trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.suite import ADAPTER, Suite, load_suite
from bench.training.bases import warm_up
from bench.training.bases.adapters import adapted
from bench.training.bases.warm_up import Recipe, batch, build, rate_at
from bench.training.models import load_checkpoint, load_tokenizer
from bench.training.prompting import Dialogue
from tasks.task import split_of

SMALL = replace(Recipe(), steps=6, rows={}, other_rows=2, rate=5e-3, warmup=2, rank=2)


@pytest.fixture(scope="module")
def suite(chat_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """math and qa of everyday, as messages to a chat model."""
    content = yaml.safe_load(chat_suite.read_text(encoding="utf-8"))
    content |= {"tasks": {"math": "tasks.everyday.math:Math", "qa": "tasks.everyday.qa:QA"}, "sequences": {"both": ["math", "qa"]}}
    del content["designs"]
    file = tmp_path_factory.mktemp("suite") / "two.yaml"
    file.write_text(yaml.safe_dump(content | {"prompting": {"chat": "plain"}}), encoding="utf-8")
    return load_suite(str(file))


@pytest.fixture(scope="module")
def pretrained(chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Store(tmp_path_factory.mktemp("store")).add_folder(chat_model)


def losses_of(pretrained: Checkpoint, suite: Suite, out: Path, recipe: Recipe, stop: int = 10**6, save_every: int = 2) -> list[float]:
    found: list[float] = []

    def progress(step: int, losses) -> None:
        found.append(sum(losses.values()))
        if step == stop:
            raise KeyboardInterrupt

    build(pretrained, suite, out, recipe, progress, save_every)
    return found


def test_demonstrations_are_of_training_latents_and_the_loss_is_on_answers(suite: Suite, pretrained: Checkpoint, monkeypatch) -> None:
    dialogue = Dialogue.of(pretrained.folder, suite.prompting)
    for task in suite.loaded_tasks.values():
        seen = []
        item = type(task).item
        monkeypatch.setattr(type(task), "item", lambda self, *args, item=item, seen=seen: seen.append(item(self, *args)) or seen[-1])
        ids, labels = batch(task, dialogue, SMALL, 3)
        monkeypatch.setattr(type(task), "item", item)
        assert {split_of(task.domain, each.latent) for each in seen} == {"train"}
        scored = [task.item("train", seed, index).prompt for seed in range(3) for index in range(50)]
        assert {each.prompt for each in seen}.isdisjoint(scored)
        for row, each in enumerate(seen):
            (prompt,) = dialogue.encode([each.prompt])
            answered = labels[row] != -100
            assert ids[row, : len(prompt)].tolist() == prompt
            assert not answered[: len(prompt)].any()
            answer = ids[row][answered].tolist()
            assert answer[-1] == dialogue.ends[0]
            assert task.score(each, dialogue.tokenizer.decode(answer[:-1])) is not None


def test_the_loss_falls(suite: Suite, pretrained: Checkpoint, tmp_path: Path, monkeypatch) -> None:
    """On one batch; a random model with hardly any width cannot learn much."""
    monkeypatch.setattr(warm_up, "batch", lambda task, dialogue, recipe, step: batch(task, dialogue, recipe, 0))
    found = losses_of(pretrained, suite, tmp_path / "out", replace(SMALL, steps=20))
    assert found[-1] < found[0] - 0.2


def test_an_interrupted_warm_up_gives_the_same_adapter(suite: Suite, pretrained: Checkpoint, tmp_path: Path) -> None:
    losses_of(pretrained, suite, tmp_path / "whole", SMALL)
    with pytest.raises(KeyboardInterrupt):
        losses_of(pretrained, suite, tmp_path / "broken", SMALL, stop=5)
    assert len(losses_of(pretrained, suite, tmp_path / "broken", SMALL)) == 2
    assert losses_of(pretrained, suite, tmp_path / "broken", SMALL) == [], "its last step is kept until it has been scored"
    assert (tmp_path / "broken" / ADAPTER).read_bytes() == (tmp_path / "whole" / ADAPTER).read_bytes()


@pytest.mark.parametrize("change", ["recipe", "levels"])
def test_another_recipes_progress_is_not_continued(change: str, suite: Suite, pretrained: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        losses_of(pretrained, suite, tmp_path / "out", SMALL, stop=3)
    other = suite.model_copy(update={"levels": {"math": (1,)}}) if change == "levels" else suite
    with pytest.raises(UserError, match="another recipe, model or suite"):
        losses_of(pretrained, other, tmp_path / "out", replace(SMALL, rate=1e-3) if change == "recipe" else SMALL)


def test_the_merged_base_computes_what_was_trained(suite: Suite, pretrained: Checkpoint, tmp_path: Path, monkeypatch) -> None:
    trained = []
    wrapped = warm_up.with_adapters
    monkeypatch.setattr(warm_up, "with_adapters", lambda *args: trained.append(wrapped(*args)) or trained[-1])
    losses_of(pretrained, suite, tmp_path / "out", SMALL)
    base = load_checkpoint(Store(tmp_path / "store").add_in_fp32(adapted(pretrained, tmp_path / "out" / ADAPTER), pretrained.folder))
    ids = torch.tensor([load_tokenizer(pretrained.folder)("Tom has 14 apples.")["input_ids"]])
    with torch.no_grad():
        own, theirs, before = (model(input_ids=ids).logits for model in (base, trained[0].eval(), load_checkpoint(pretrained)))
    assert (own - theirs).abs().max() < 0.02 * (before - theirs).abs().max()


def test_the_rate_by_hand() -> None:
    recipe = replace(Recipe(), steps=10, warmup=2, rate=1.0)
    assert [rate_at(recipe, step) for step in (0, 1, 5, 9)] == [0.5, 0.9, 0.5, 0.1]
