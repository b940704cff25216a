"""Real and null updates, each at the other's length."""

from __future__ import annotations

import numpy as np
import pytest
import stretched_null as script

from bench.worker.workbench import Workbench

ORDER = ("math", "qa")


def test_both_updates_come_at_both_lengths(tiny_bench: Workbench) -> None:
    found, ratio = script.ends(tiny_bench, ORDER, "math", 100)
    own, real, short, null, long = (found[end] for end in script.ENDS)

    def length(end: script.Checkpoint) -> float:
        return tiny_bench.distance(own, end)

    assert 0 < ratio < 1.5
    assert length(null) == pytest.approx(ratio * length(real))
    assert length(short) == pytest.approx(length(null), rel=1e-4)
    assert length(long) == pytest.approx(length(real), rel=1e-4)
    assert tiny_bench.distance(short, real) == pytest.approx(abs(length(real) - length(null)), rel=1e-3), "on one straight line"
    assert tiny_bench.distance(null, long) == pytest.approx(abs(length(real) - length(null)), rel=1e-3)
    assert len({end.hash for end in found.values()}) == 5


def test_the_table_has_the_forgetting_of_each_end(tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "SEEDS", (100, 101))
    lines = script.rows(tiny_bench, ORDER, "math")
    assert [line[:2] for line in lines] == [["math", "greedy"], ["math", "temperature 1"]]
    at = [script.scores(tiny_bench, "math", script.ends(tiny_bench, ORDER, "math", seed)[0]) for seed in (100, 101)]
    for line, decoding in zip(lines, ("greedy", "sampled"), strict=True):
        mean = {end: 100 * np.mean([one[end][decoding] for one in at]) for end in script.ENDS}
        shown = [float(cell.split()[0]) for cell in line[3:]]
        lost = [mean["own"] - mean[end] for end in ("real, shortened", "null", "real", "null, stretched")]
        assert shown == pytest.approx([lost[0], lost[1], lost[0] - lost[1], lost[2], lost[3], lost[2] - lost[3]], abs=0.06)
