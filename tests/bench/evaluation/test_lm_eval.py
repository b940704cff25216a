"""Tasks of lm-eval along a sequence: from names or files to a table, one line for what cannot be run. Data are small files made here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.errors import UserError
from bench.evaluation.lm_eval import check_tasks, evaluate, identity
from bench.report.content import content
from bench.report.page import page
from bench.report.summary import summary
from bench.report.text import terminal
from bench.results.run import load_run
from bench.runs.execute import execute
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.suite import FOLDER


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multiple-choice task in lm-eval's own format, its data a file of JSON lines: which of two numbers is a sum. The base of micro has
    learned sums."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = [{"question": f"{a}+{b}=", "choices": [str(a + b), str(a + b + 31)], "gold": 0} for a in range(11, 17) for b in range(20, 24)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "sums.yaml").write_text(
        f"""task: two_sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: {folder / "sums.jsonl"}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: gold
target_delimiter: ""
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
    )
    return folder / "sums.yaml"


@pytest.fixture(scope="module")
def base():
    model = AutoModelForCausalLM.from_pretrained(FOLDER / "micro", dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(FOLDER / "micro")


def test_a_tasks_file_is_evaluated_on_as_many_items_as_asked_for(base, sums: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    whole = evaluate(*base, [str(sums)], limit=None, chat=False)
    value, error = whole["two_sums"]["acc"]
    assert 0.5 <= value <= 1.0
    assert error >= 0
    part = evaluate(*base, [str(sums)], limit=2, chat=False)
    assert part["two_sums"]["acc"][0] in (0.0, 0.5, 1.0)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_model_computes_in_the_arithmetic_of_the_key(bf16: bool, base, sums: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    softmaxes, log_softmax = set(), torch.nn.functional.log_softmax

    def recorded(logits: torch.Tensor, **more) -> torch.Tensor:
        softmaxes.add((logits.dtype, log_softmax(logits, **more).dtype))
        return log_softmax(logits, **more)

    monkeypatch.setattr(torch.nn.functional, "log_softmax", recorded)
    evaluate(*base, [str(sums)], limit=2, chat=False, bf16=bf16)
    assert softmaxes == {(torch.bfloat16 if bf16 else torch.float32, torch.float32)}


def test_files_are_known_by_their_content(sums: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"

    def known() -> list[str]:
        return identity([str(copy)])[1][1:]

    copy.write_text(sums.read_text())
    first = known()
    assert first == identity([str(sums)])[1][1:] == known()
    (tmp_path / "_shared.yaml").write_text("output_type: multiple_choice\n")
    assert known() != first, "what it may include lies beside it"
    (tmp_path / "_shared.yaml").unlink()
    copy.write_text(sums.read_text() + "# more\n")
    assert known() != first
    assert identity(["mmlu"])[1] == ["mmlu"]


def test_what_is_not_there_is_refused_in_one_line(base, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("output_type: generate_until\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.yaml").mkdir()
    for name, said in (
        ("none", "no such file"),
        ("folder", "no such file"),
        ("empty", "no line `task: NAME`"),
        ("binary", "cannot be read"),
    ):
        for use in (check_tasks, lambda names: evaluate(*base, names, limit=1, chat=False)):
            with pytest.raises(UserError, match=said) as error:
                use([str(tmp_path / f"{name}.yaml")])
            assert "\n" not in str(error.value)


def test_names_of_lm_eval_are_known_without_its_own_list(sums: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lm_eval.tasks.TaskManager", None)
    check_tasks(["mmlu", "hellaswag", "arc_easy", "gsm8k", str(sums)])
    check_tasks([])


def test_an_unknown_name_is_refused_with_its_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Listing:
        """lm-eval's own list takes half a minute to make."""

        all_tasks = ("hellaswag", "mmlu", "made_by_a_script")

    monkeypatch.setattr("lm_eval.tasks.TaskManager", Listing)
    check_tasks(["made_by_a_script"])
    with pytest.raises(UserError, match=r"--also helaswag: lm-eval has no task or group of that name; did you mean hellaswag\?") as error:
        check_tasks(["mmlu", "helaswag"])
    assert "\n" not in str(error.value)


def test_the_check_loads_no_torch(sums: Path) -> None:
    code = "import sys; from bench.evaluation.lm_eval import check_tasks; check_tasks(['mmlu', sys.argv[1]]); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-P", "-c", code, str(sums)], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sums.jsonl", "gone.jsonl", "lm-eval could not run it"),
        ("output_type: multiple_choice", "output_type: [unheard, {}]", "lm-eval could not run it"),
        ("test_split: test", "test_split: test\n  : {", "lm-eval finds no task gone_sums in it; check its YAML"),
    ],
    ids=["data", "settings", "yaml"],
)
def test_a_task_that_lm_eval_cannot_run_is_one_line(base, sums: Path, tmp_path: Path, old: str, new: str, said: str) -> None:
    broken = tmp_path / "broken.yaml"
    assert old in sums.read_text()
    broken.write_text(sums.read_text().replace(old, new).replace("two_sums", "gone_sums"))
    with pytest.raises(UserError, match=said) as error:
        evaluate(*base, [str(broken)], limit=1, chat=False)
    assert "\n" not in str(error.value)


def test_every_row_of_a_run_is_scored(tiny_suite: Path, sums: Path, tmp_path: Path) -> None:
    spec = RunSpec(suite=str(tiny_suite), sequence="math-qa", also=(str(sums),), also_limit=6, device="cpu")
    (run,) = execute([plan(spec)], out=tmp_path / "runs", cache=tmp_path / "cache", jobs=1, display=False)
    assert set(load_run(run.folder).also) == {row.name for row in run.rows.baseline}
    assert all(0 <= row["two_sums"]["acc"][0] <= 1 for row in run.also.values())
    assert "two_sums: acc" in summary([run])
    report = content([run])
    assert [row.title for row in report.boards[0].also] == ["base", "after math", "after qa"]
    assert "two_sums: acc" in terminal(report)
    assert "two_sums: acc" in page(report)
