"""The docs' code runs as it stands there, and the README's commands are the ones CI runs."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path

import pytest
import yaml

from bench import load_run, run
from bench.costs import AccessRecord
from bench.errors import UserError
from bench.suite import load_suite
from bench.user_code import load_file

ROOT = Path(__file__).parents[2]


def code_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_second_method_of_the_docs_is_the_one_that_is_trained_in_tests():
    def classes(source):
        found = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name in ("Project", "AGEM")}
        return {name: [ast.dump(part) for part in node.body[1:]] for name, node in found.items()}  # the docstrings may differ

    page = classes(code_blocks(ROOT / "docs" / "writing-a-method.md")[1])
    assert len(page) == 2
    assert page == classes((ROOT / "tests" / "bench" / "test_interface.py").read_text(encoding="utf-8"))


def test_the_method_of_the_docs_runs_and_is_twenty_lines(tmp_path, tiny_suite):
    source = code_blocks(ROOT / "docs" / "writing-a-method.md")[0]
    assert len(source.splitlines()) <= 20
    file = tmp_path / "nudge.py"
    file.write_text(source, encoding="utf-8")
    options = {"suite": str(tiny_suite), "sequence": "math-qa", "device": "cpu", "jobs": 1, "display": False}
    options |= {"out": tmp_path / "runs", "cache": tmp_path / "cache"}
    done = run(f"{file}:Nudge", settings={"steps": "2"}, **options)
    again = load_run(done.folder)
    assert again.manifest.method.settings == {"alpha": 0.3, "steps": 2}
    assert again.rows.final.name == "repaired"
    assert again.manifest.cost.access == AccessRecord(checkpoints=("math",), prompts={"math": 8})
    with pytest.raises(UserError, match="alpha"):
        run(f"{file}:Nudge", settings={"alpa": "2"}, **options)


def test_the_task_of_the_docs_runs_on_any_model_and_is_thirty_lines(tmp_path, chat_model):
    page = ROOT / "docs" / "writing-a-task.md"
    (task,) = code_blocks(page)
    assert len(task.splitlines()) <= 31
    suite, levels = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "backwards.py").write_text(task, encoding="utf-8")
    small = yaml.safe_load(suite) | {"test_items": 8, "validation_items": 4, "rl": {"steps": 1, "prompts": 2, "group": 2}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")
    done = run(
        "refresh", suite=str(tmp_path / "mine.yaml"), model=str(chat_model), sequence="both", settings={"steps": 1}, device="cpu", jobs=1,
        out=tmp_path / "runs", cache=tmp_path / "cache", display=False,
    )  # fmt: skip
    assert done.sequence == ("math", "backwards")
    assert done.manifest.suite.id == "mine/1"
    file = tmp_path / "levels.yaml"
    file.write_text(yaml.safe_dump(small | yaml.safe_load(levels) | {"sequences": {"both": ["math", "qa"]}}), encoding="utf-8")
    assert {item.level for item in load_suite(str(file)).items("code", "test")} <= {1, 2, 3}
    # A change of the task is another suite: its results are not set beside the old ones.
    (tmp_path / "backwards.py").write_text(task.replace("randint(3, 7)", "randint(3, 8)"), encoding="utf-8")
    load_suite.__globals__["_parsed"].cache_clear()
    assert load_suite(str(tmp_path / "mine.yaml")).fingerprint() != done.manifest.suite.fingerprint


def test_the_task_of_the_docs_keeps_a_tasks_promises(tmp_path):
    (tmp_path / "backwards.py").write_text(code_blocks(ROOT / "docs" / "writing-a-task.md")[0], encoding="utf-8")
    task = load_file(tmp_path / "backwards.py").Backwards()
    items = task.distinct("test", 0, 50)
    assert items == task.distinct("test", 0, 50)
    assert not {item.latent for item in items} & {task.item("train", 0, number).latent for number in range(200)}
    for item in items:
        assert task.score(item, f" {item.answer}\n") == 1.0
        assert task.score(item, item.answer + "x") == 0.0
        assert task.score(item, "") is task.score(item, "two words") is task.score(item, "a" * 1000) is None
        assert task.demonstrate(item, random.Random(0), high_quality=1.0) == item.answer


def test_ci_runs_the_test_command_of_the_readme():
    readme, ci = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = 'pip install -e ".[test]" && pytest'
    assert command in readme
    assert command in ci
    assert "pip install -e . && python -m bench run --method refresh" in readme


LINK, OUTSIDE = re.compile(r"\]\(([^)\s]+)\)"), re.compile(r"[a-z]+:")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_the_docs_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in LINK.findall(text) if not OUTSIDE.match(target)]
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_index_of_the_docs_lists_every_page():
    listed = set(LINK.findall((ROOT / "docs" / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
