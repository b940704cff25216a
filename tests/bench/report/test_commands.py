"""`report`, `list` and `show` from the command line: what they print, and one line for what cannot work."""

from __future__ import annotations

import shutil

import pytest
from typer.testing import CliRunner

from bench.cli import app


def bench(*words: object, code: int = 0) -> tuple[str, list[str]]:
    """Standard output, and the lines of standard error."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr.splitlines()


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """Two whole runs, and one that was damaged."""
    out = tmp_path_factory.mktemp("some")
    for name in ("none-s0", "refresh-steps=15-s0", "none-s1"):
        shutil.copytree(folder / f"micro-paper-single-{name}", out / name)
    (out / "none-s1" / "matrix.json").write_text("{}")
    return out


def test_report_writes_and_prints_the_others_where_one_run_is_damaged(runs, tmp_path):
    printed, _ = bench("report", runs, "--out", tmp_path / "out", "--pair", "refresh/none", "--all-pairs")
    assert "Ranking by net recovery" in printed
    assert "none-s1/matrix.json" in next(line for line in printed.splitlines() if line.startswith("left out: "))
    assert "Comparisons: every two entries" in printed
    assert "Comparisons: pairs planned in advance" in printed
    assert (tmp_path / "out" / "report.html").exists()


def test_report_refuses_in_one_line(runs, tmp_path):
    (tmp_path / "file").touch()
    for words, start in {
        ("--pair", "refersh/none"): "bench: unknown entry 'refersh': did you mean refresh",
        ("--pair", "none"): "bench: --pair 'none'",
        ("--out", tmp_path / "file"): f"bench: --out {tmp_path / 'file'}",
    }.items():
        printed, (line,) = bench("report", runs, *words, code=2)
        assert printed == ""
        assert line.startswith(start)
    _, (line,) = bench("report", tmp_path / "nowhere", code=2)
    assert "nowhere: no finished run there" in line


def test_list_names_the_damaged_run(runs):
    (runs / "none-s1" / "metrics.json").write_text("{}")
    printed, _ = bench("list", "runs", "--out", runs)
    assert sum("recovery ratio" in line for line in printed.splitlines()) == 2
    assert sum("unreadable: " in line for line in printed.splitlines()) == 1


def test_show_prints_one_screen_or_all_metrics_or_answers(runs):
    run = runs / "refresh-steps=15-s0"
    short, long = (bench("show", run, *words)[0] for words in ((), ("--all",)))
    assert "surplus" not in short
    assert "surplus" in long
    assert len(bench("show", run, "--domain", "math", "--count", "65000")[0].splitlines()) == 3 + 120
    for words in ((run, run), (run, runs / "none-s0")):
        assert len(bench("show", *words, code=2)[1]) == 1
