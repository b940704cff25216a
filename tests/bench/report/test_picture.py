"""The picture of one entry."""

from __future__ import annotations

import re

import pytest

from bench.errors import UserError
from bench.report.picture import picture
from bench.report.svg import PALETTE
from bench.results.run import load_run


def test_the_picture_is_a_file_of_its_own_for_light_and_dark(folder, tmp_path):
    run = load_run(folder / "micro-paper-single-refresh-steps=15-s0")
    picture([run], tmp_path / "p.svg")
    svg = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "prefers-color-scheme:dark" in svg
    assert set(re.findall(r": (#[0-9a-f]{6})", svg)) <= set(PALETTE)
    assert f"{100 * run.matrix['greedy'].final[1]:.1f} with refresh" in svg


def test_bad_names_and_mixed_runs_are_refused_in_one_line(folder, tmp_path):
    run, other = (load_run(folder / f"micro-paper-single-{name}-s0") for name in ("refresh-steps=15", "none"))
    with pytest.raises(UserError, match=r"ends in \.svg"):
        picture([run], tmp_path / "p.png")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--picture .*cannot be used"):
        picture([run], tmp_path / "file" / "p.svg")
    with pytest.raises(UserError, match="different methods"):
        picture([run, other], tmp_path / "p.svg")
    assert not (tmp_path / "p.svg").exists()
