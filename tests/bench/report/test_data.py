"""The report as data: JSON and frames hold what the dataclasses hold."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bench.report.data import FORMAT, place_words
from bench.results.boards import Places
from bench.results.estimates import Value
from bench.results.run import load_run


def test_json_has_every_field_by_name_and_values_come_back(report, board):
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["format"] == FORMAT
    assert set(data["boards"][0]) == {field.name for field in dataclasses.fields(board)}
    for entry, written in zip(board.entries, data["boards"][0]["entries"], strict=True):
        for decoding, metrics in entry.metrics.items():
            assert {name: Value.from_json(value) for name, value in written["metrics"][decoding].items()} == metrics
        assert written["cost"]["access"]["prompts"] == entry.cost.access.prompts
        assert written["places"] == (dataclasses.asdict(entry.places) if entry.places else None)


def test_infinite_ends_survive_json(report, board):
    value = Value(0.9, None, None, 5, pieces=((float("-inf"), -2.0), (0.4, float("inf"))))
    entry = dataclasses.replace(board.entries[0], metrics={"greedy": {"net recovery": value}})
    changed = dataclasses.replace(report, boards=(dataclasses.replace(board, entries=(entry,)),))
    text = json.dumps(changed.to_json(), allow_nan=False)
    assert Value.from_json(json.loads(text)["boards"][0]["entries"][0]["metrics"]["greedy"]["net recovery"]) == value


def test_the_frame_has_a_line_for_each_entry_decoding_and_metric(board):
    frame = board.frame()
    assert len(frame) == sum(len(metrics) for entry in board.entries for metrics in entry.metrics.values())
    (line,) = frame.query("entry == 'refresh' and decoding == 'sampled' and metric == 'net recovery'").itertuples()
    (entry,) = (entry for entry in board.entries if entry.label == "refresh")
    value = entry.metrics["sampled"]["net recovery"]
    assert (line.estimate, line.low, line.high, line.seeds, line.unit) == (value.estimate, value.low, value.high, 5, "share")
    assert set(frame.query("metric == 'forgetting'").unit) == {"points"}


def test_the_frame_of_cells_has_the_scores_of_the_runs(board, folder):
    frame = board.cells_frame()
    run = load_run(folder / "micro-paper-single-refresh-steps=15-s3")
    (line,) = frame.query(f"run == '{run.name}' and row == 'repaired' and domain == 'math' and decoding == 'greedy'").itertuples()
    assert line.score == pytest.approx(100 * run.matrix["greedy"].final[1])
    assert (line.unparsed, line.unended, line.entry, line.seed) == (pytest.approx(10), 0, "refresh", 3)
    assert len(frame) == sum(len(run.cells) for run in board.runs)


@pytest.mark.parametrize(("places", "words"), [(Places(2, 2), "2"), (Places(1, 3), "1–3"), (None, "–")])
def test_places_are_ranges(places, words):
    assert place_words(places) == words
