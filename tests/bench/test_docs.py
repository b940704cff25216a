"""The docs' code runs as it stands there, and the README's commands are the ones CI runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import load_run, run
from bench.suite import UserError

ROOT = Path(__file__).parents[2]


def code_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_method_of_the_docs_runs_and_is_twenty_lines(tmp_path, tiny_suite):
    source = code_blocks(ROOT / "docs" / "writing-a-method.md")[0]
    assert len(source.splitlines()) <= 20
    file = tmp_path / "nudge.py"
    file.write_text(source, encoding="utf-8")
    options = {"suite": str(tiny_suite), "sequence": "math-qa", "device": "cpu", "display": False}
    options |= {"out": tmp_path / "runs", "cache": tmp_path / "cache"}
    done = run(f"{file}:Nudge", settings={"steps": "2"}, **options)
    again = load_run(done.folder)
    assert again.manifest["method"]["settings"] == {"alpha": 0.3, "steps": 2}
    assert again.rows["end"] == ["repaired"]
    assert again.manifest["cost"]["access"] == {"checkpoints": ["math"], "experts": [], "prompts": {"math": 8}}
    with pytest.raises(UserError, match="alpha"):
        run(f"{file}:Nudge", settings={"alpa": "2"}, **options)


def test_ci_runs_the_test_command_of_the_readme():
    readme, ci = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = 'pip install -e ".[test]" && pytest'
    assert command in readme
    assert command in ci
    assert "pip install -e . && python -m bench run --method refresh" in readme
