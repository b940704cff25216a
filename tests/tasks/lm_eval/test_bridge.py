"""lm-eval gives our tasks the score that we give them, on the same items."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import tasks
from bench.dialogue import Dialogue
from bench.scoring import mean_score, score_domain
from bench.suite import FOLDER, load_suite

TASKS = Path(tasks.__file__).parent / "lm_eval"
COUNT = 48


class Loader(yaml.SafeLoader):
    """Reads lm-eval's yaml files without loading the functions that they name."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def configs(prefix: str) -> dict[str, dict]:
    files = {path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader) for path in TASKS.glob(f"{prefix}_*.yaml")}
    return {name: config for name, config in files.items() if "metadata" in config}


def test_every_domain_of_micro_is_a_task_of_lm_eval() -> None:
    suite, found = load_suite("micro"), configs("interference_micro")
    assert set(found) == {f"interference_micro_{domain}" for domain in suite.domains}
    for domain, task in suite.loaded_tasks.items():
        config = found[f"interference_micro_{domain}"]
        assert config["metadata"]["task"] == suite.tasks[domain]
        assert config["metadata"]["items"] == suite.test_items
        assert config["metadata"]["version"] == task.version
        assert config["generation_kwargs"] == {"do_sample": False, "until": [], "max_gen_toks": task.answer_tokens}


@pytest.fixture(scope="module")
def theirs() -> dict[str, list[float]]:
    """lm-eval's scores of the base, item by item."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = AutoModelForCausalLM.from_pretrained(FOLDER / "micro", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "micro")
    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16),
        tasks=["interference_micro"],
        task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
        limit=COUNT,
        bootstrap_iters=0,
    )
    samples = {task.rpartition("_")[2]: rows for task, rows in found["samples"].items()}
    return {domain: [row["score"] for row in sorted(rows, key=lambda row: row["doc_id"])] for domain, rows in samples.items()}


@pytest.mark.parametrize("domain", ["code", "math", "qa", "cw"])
def test_lm_eval_scores_as_we_do(theirs: dict[str, list[float]], domain: str) -> None:
    suite = load_suite("micro")
    model = AutoModelForCausalLM.from_pretrained(FOLDER / "micro", dtype=torch.float32).eval()
    dialogue = Dialogue.of(FOLDER / "micro", suite.prompting)
    items = suite.items(domain, "test")[:COUNT]
    answers = score_domain(model, dialogue, suite.loaded_tasks[domain], items, decodings=("greedy",))
    assert theirs[domain] == [answer.score for answer in answers]
    assert mean_score(answers) > 0


def test_a_cut_answer_is_no_answer() -> None:
    from tasks.lm_eval.bridge import items, score

    config = configs("interference_micro")["interference_micro_math"]["metadata"]
    (doc,) = items(**(config | {"items": 1}))["test"]
    assert score(doc, [doc["answer"]]) == {"score": 1.0}
    assert score(doc, [doc["answer"] + " 1" * 40]) == {"score": 0.0}
    assert score(doc, ["no number"]) == {"score": 0.0}
