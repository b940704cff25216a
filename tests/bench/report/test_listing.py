"""`list` and `show`: runs that cannot be read are named, and counts beyond the items are harmless."""

from __future__ import annotations

import shutil

import pytest

from bench.errors import UserError
from bench.registry import make_method, tuned_settings
from bench.report.listing import answers_text, flips_text, listing
from bench.results.run import load_run


@pytest.fixture(scope="module")
def run(folder):
    return load_run(folder / "micro-paper-single-refresh-steps=15-s0")


def test_runs_that_cannot_be_read_are_named_beside_the_others(folder, tmp_path):
    for name in ("whole", "edited", "old", "broken"):
        shutil.copytree(folder / "micro-paper-single-refresh-steps=15-s0", tmp_path / name)
    (tmp_path / "edited" / "metrics.json").write_text("{}")
    (tmp_path / "old" / "manifest.json").write_text('{"format": 2}')
    (tmp_path / "broken" / "manifest.json").unlink()
    (tmp_path / "broken" / "manifest.json").mkdir()
    lines = [line.strip() for line in listing("runs", "micro", tmp_path).splitlines()[1:]]
    assert len(lines) == 4
    assert lines[0].startswith("whole")
    assert "recovery ratio" in lines[0]
    for name in ("edited", "old", "broken"):
        assert sum(line.startswith("unreadable: ") and f"/{name}" in line for line in lines) == 1


def test_no_runs_is_none_and_unknown_lists_are_refused(tmp_path):
    assert listing("runs", "micro", tmp_path).endswith("none")
    with pytest.raises(UserError, match="did you mean"):
        listing("run", "micro", tmp_path)


def test_methods_are_listed_with_the_settings_that_a_run_takes(tmp_path):
    header, *lines = listing("methods", "micro", tmp_path).splitlines()[1:]
    assert "settings on micro/3 paper single" in header
    tuned, plain = tuned_settings("refresh", "micro/3 paper single"), make_method("refresh", {}).settings()
    assert tuned != plain
    (refresh,) = (line.split() for line in lines if line.split()[0] == "refresh")
    assert refresh[1:3] == ["light", f"steps={tuned['steps']}"]
    (refresh,) = (line.split() for line in listing("methods", "gym", tmp_path).splitlines() if line.split()[0] == "refresh")
    assert refresh[1:3] == ["light", f"steps={plain['steps']}"]


def test_more_answers_than_there_are_items(run):
    lines = answers_text(run, "math", 121).splitlines()
    assert len(lines) == 3 + 120
    assert len(answers_text(run, "math", 7).splitlines()) == 3 + 7
    assert lines[1].split()[:2] == ["prompt", "base"]


def test_answers_are_marked(run):
    scores = run.scores("greedy")["math"][-1]
    last = [line.rpartition("repaired says")[0].split()[-1] for line in answers_text(run, "math", 40).splitlines()[3:]]
    assert last == ["?" if item % 10 == 0 else "+" if scores[item] else "-" for item in range(40)]


def test_flips_name_the_rows_they_compare(run):
    text = flips_text(run, "math", 500)
    own, baseline, final = (run.scores("greedy")["math"][row] for row in (2, 4, -1))
    assert f"math: {int((own > baseline).sum())} items lost between after math and after cw" in text
    assert f"math: {int((final > baseline).sum())} items gained between after cw and repaired" in text
    with pytest.raises(UserError, match="unknown domain"):
        flips_text(run, "maths", 3)
