"""lm-eval gives our tasks the score that we give them, on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3ForCausalLM

import tasks
from bench.evaluation.scoring import mean_score, score_domain
from bench.suite import FOLDER, load_suite
from bench.training.prompting import Dialogue

TASKS = Path(tasks.__file__).parent / "lm_eval"
COUNT = 48


class Loader(yaml.SafeLoader):
    """Reads lm-eval's yaml files without loading the functions that they name."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


needs_gym = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason='needs reasoning-gym: pip install -e ".[gym]"')


def configs(prefix: str) -> dict[str, dict]:
    files = {path.stem: yaml.load(path.read_text(encoding="utf-8"), Loader) for path in TASKS.glob(f"{prefix}_*.yaml")}
    return {name: config for name, config in files.items() if "metadata" in config}


@pytest.mark.parametrize("name", ["micro", "gym"])
def test_every_domain_of_every_suite_is_a_task_of_lm_eval(name: str) -> None:
    suite, found = load_suite(name), configs(f"interference_{name}")
    assert set(found) == {f"interference_{name}_{domain}" for domain in suite.domains}
    for domain, task in suite.loaded_tasks.items():
        config = found[f"interference_{name}_{domain}"]
        assert config["metadata"]["task"] == suite.tasks[domain]
        assert config["metadata"]["items"] == suite.test_items
        assert config["metadata"]["version"] == task.version
        assert config["generation_kwargs"] == {"do_sample": False, "until": [], "max_gen_toks": task.answer_tokens}


def scores_by_lm_eval(model, folder: Path, tasks: Sequence[str], limit: int, chat: bool = False) -> dict[str, list[float]]:
    """Domain -> lm-eval's scores, item by item."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, enable_thinking=False if chat else None),
        tasks=list(tasks),
        task_manager=TaskManager(include_path=str(TASKS), include_defaults=False, metadata={"pretrained": str(folder)}),
        limit=limit,
        bootstrap_iters=0,
        apply_chat_template=chat,
    )
    samples = {task.rpartition("_")[2]: rows for task, rows in found["samples"].items()}
    return {domain: [row["score"] for row in sorted(rows, key=lambda row: row["doc_id"])] for domain, rows in samples.items()}


@pytest.fixture(scope="module")
def theirs() -> dict[str, list[float]]:
    """lm-eval's scores of the base, item by item."""
    model = AutoModelForCausalLM.from_pretrained(FOLDER / "micro", dtype=torch.float32)
    return scores_by_lm_eval(model, FOLDER / "micro", ["interference_micro"], COUNT)


@pytest.mark.parametrize("domain", ["code", "math", "qa", "cw"])
def test_lm_eval_scores_as_we_do(theirs: dict[str, list[float]], domain: str) -> None:
    suite = load_suite("micro")
    model = AutoModelForCausalLM.from_pretrained(FOLDER / "micro", dtype=torch.float32).eval()
    dialogue = Dialogue.of(FOLDER / "micro", suite.prompting)
    items = suite.items(domain, "test")[:COUNT]
    answers = score_domain(model, dialogue, suite.loaded_tasks[domain], items, decodings=("greedy",))
    assert theirs[domain] == [answer.score for answer in answers]
    assert mean_score(answers) > 0


def learned_by_heart(chat_model: Path, dialogue: Dialogue, lessons: Sequence[tuple[str, str]]) -> Qwen3ForCausalLM:
    """A small chat model that was shown (prompt, answer) pairs until it gives those answers."""
    config = AutoModelForCausalLM.from_pretrained(chat_model).config
    config.update({"hidden_size": 96, "intermediate_size": 192, "max_position_embeddings": 4096, "dtype": "float32"})
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config)
    rows = []
    for prompt, answer in lessons:
        asked, said = dialogue.encode([prompt])[0], dialogue.tokenizer(answer, add_special_tokens=False)["input_ids"]
        rows.append((asked + said + [dialogue.ends[0]], len(asked)))
    width = max(len(row) for row, _ in rows)
    tokens = torch.tensor([row + [dialogue.pad] * (width - len(row)) for row, _ in rows])
    labels = torch.tensor([[-100] * start + row[start:] + [-100] * (width - len(row)) for row, start in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(400):
        loss = model(input_ids=tokens, attention_mask=(labels != -100) | (tokens != dialogue.pad), labels=labels).loss
        if loss < 0.02:
            break
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@needs_gym
def test_gym_through_a_chat_template_scores_as_we_do(chat_model: Path) -> None:
    """A model that knows some answers by heart, gives others wrong, and one with a text after it that runs into the limit."""
    suite = load_suite("gym")
    dialogue = Dialogue.of(chat_model, suite.prompting)
    task = suite.loaded_tasks["math"]
    items = task.distinct("test", 0, 4)
    lessons = [(item.prompt, item.answer) for item in items]
    lessons[1] = (lessons[1][0], "<answer>no number</answer>")
    lessons[2] = (lessons[2][0], lessons[2][1] + " and so on" * 40)
    model = learned_by_heart(chat_model, dialogue, lessons)
    theirs = scores_by_lm_eval(model, chat_model, ["interference_gym_math"], len(items), chat=True)
    answers = score_domain(model, dialogue, task, items, decodings=("greedy",))
    assert theirs["math"] == [answer.score for answer in answers] == [1, 0, 0, 1]


def test_without_a_tokenizer_gyms_tasks_say_how_to_name_one() -> None:
    from tasks.lm_eval.bridge import items

    with pytest.raises(ValueError, match=r"tasks.gym.math:Math: needs a tokenizer; add --metadata"):
        items(**configs("interference_gym")["interference_gym_math"]["metadata"])


def test_a_cut_answer_is_no_answer() -> None:
    from tasks.lm_eval.bridge import items, score

    config = configs("interference_micro")["interference_micro_math"]["metadata"]
    (doc,) = items(**(config | {"items": 1}))["test"]
    assert score(doc, [doc["answer"]]) == {"score": 1.0}
    assert score(doc, [doc["answer"] + " 1" * 40]) == {"score": 0.0}
    assert score(doc, ["no number"]) == {"score": 0.0}
