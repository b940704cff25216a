"""Flips of items, against the scores themselves."""

from __future__ import annotations

import json
import re

import pytest

from bench.errors import UserError
from bench.report.answers import flipped, flips
from bench.results.run import load_run

NASTY = "<script>document.title='broken'</script>|&[/x]"


@pytest.fixture(scope="module")
def run(folder):
    return load_run(folder / "micro-paper-single-refresh-steps=15-s0")


def test_flips_count_and_show_the_same_items(run):
    own, last, end = (run.scores("greedy")["math"][row] for row in (2, 4, -1))
    found = flips([run], "math", "refresh")
    assert found.counts.lost == int((own > last).sum()) > 0
    assert found.counts.recovered + found.counts.still_lost == found.counts.lost
    assert found.counts.gained - found.counts.newly_lost == int(end.sum() - last.sum())
    sample = next(sample for sample in found.samples if sample.kind == "recovered")
    assert own[sample.item] == end[sample.item] == 1
    assert last[sample.item] == 0
    assert sample.prompt == f"math{sample.item}="
    assert (sample.own, sample.baseline, sample.final) == ("baseline-2-math says", NASTY, "repaired says")


def test_an_unknown_domain_is_refused(run):
    with pytest.raises(UserError, match="unknown domain of this run 'maht': did you mean math"):
        flipped(run, "maht")


def test_a_matrix_that_is_not_the_answers_is_named(folder, tmp_path):
    """Its hash in the manifest is right: a fault of whoever wrote it, and not a damaged file."""
    import hashlib
    import shutil

    from bench.report.content import collect, content

    copy = tmp_path / "micro-paper-single-none-s0"
    shutil.copytree(folder / copy.name, copy)
    matrix = json.loads((copy / "matrix.json").read_text(encoding="utf-8"))
    matrix["greedy"]["baseline-2-math"][1] = 0.99
    (copy / "matrix.json").write_text(json.dumps(matrix), encoding="utf-8")
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["matrix.json"] = hashlib.sha256((copy / "matrix.json").read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    wrong, right = (content(*collect([place])).boards[0].warnings for place in (copy, folder / copy.name))
    assert any(re.search(r"matrix.json and the stored answers disagree on math in baseline-2-math", warning) for warning in wrong)
    assert not any("disagree" in warning for warning in right)
