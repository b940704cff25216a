"""Terminal and Markdown: the same numbers as every other form, and text of users that stays text."""

from __future__ import annotations

import csv
import dataclasses
import json
import re

from bench.report import tables, text
from bench.report.page import page, write_report
from bench.report.words import shown
from bench.suite import DECODINGS


def _words(form: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", form))


def test_all_forms_give_the_same_numbers(report, board, tmp_path):
    paths = {path.name: path for path in write_report(report, tmp_path)}
    forms = [_words(form) for form in (text.terminal(report), text.markdown(report), page(report))]
    written = json.loads(paths["report.json"].read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(report.to_json()))
    rows = list(csv.DictReader(paths["entries.csv"].open(encoding="utf-8")))
    assert {row["entry"] for row in rows} == {entry.label for entry in board.entries}
    for entry in board.entries:
        for decoding in DECODINGS:
            value = entry.metrics[decoding]["net recovery"]
            assert all(shown("net recovery", value) in form for form in forms)
            row = next(r for r in rows if (r["entry"], r["decoding"], r["metric"]) == (entry.label, decoding, "net recovery"))
            assert [float(row[key]) for key in ("estimate", "low", "high")] == [value.estimate, value.low, value.high]
    for words in (board.headline, board.standfirst):
        assert all(_words(words) in form for form in forms)
    cells = list(csv.DictReader(paths["cells.csv"].open(encoding="utf-8")))
    assert len(cells) == sum(len(run.cells) for run in board.runs)


def test_the_sentences_say_what_was_measured(board, entries):
    best = entries["refresh"].metrics["greedy"]["net recovery"]
    assert board.headline == f"Refresh recovers a net {100 * best.estimate:.0f}\N{NO-BREAK SPACE}% of what math lost to later stages"
    math = board.baseline["greedy"]["math"]
    assert (
        f"math scores {math.own.estimate:.1f} % after its own stage and {math.baseline.estimate:.1f} % after the last" in board.standfirst
    )
    assert f"Highest net recovery: refresh ({shown('net recovery', best)}), then replay" in board.standfirst
    assert "they cover seeds and test items" in board.standfirst
    (found,) = (c for c in board.comparisons if c.family == "next")
    said = {
        "not significant": "the difference is not significant",
        "better": "the difference is significant, with no more access",
        "higher, with more access": "the difference is significant, but the first had more or other access",
    }
    assert said[found.tests["greedy"].verdict] in board.standfirst


def test_values_stand_under_their_own_heads(report, entries):
    metrics = entries["sharpen"].metrics
    wanted = [shown("net recovery", metrics[decoding]["net recovery"]) for decoding in DECODINGS]
    wanted += [shown(name, metrics["greedy"][name]) for name in ("recovery ratio", "retention")]
    lines = [[cell.strip() for cell in line.split("|")] for line in text.markdown(report).splitlines() if line.startswith("|")]
    row = next(line for line in lines if line[2] == "sharpen")
    assert dict(zip(lines[0], row, strict=True)) == {
        "": "", "place": "–", "entry": "sharpen", "track": "light", "notes": tables.notes(entries["sharpen"], "net recovery"),
        "net recovery, greedy": wanted[0], "net recovery, temperature 1": wanted[1], "recovery ratio": wanted[2], "retention": wanted[3],
    }  # fmt: skip


def test_markup_in_labels_settings_and_errors_stays_text(report, board):
    """Rich would raise on `[/x]`, Markdown would make `<b>` HTML and `|` a column."""
    label = "mine a=[/x] b=<b>|`"
    entry = dataclasses.replace(board.entries[0], label=label, settings={"a": "[/x]", "b": "<b>|`"})
    comparison = dataclasses.replace(board.comparisons[0], one=label)
    changed = dataclasses.replace(
        report,
        left_out=("[/x] <b> of a run",),
        boards=(dataclasses.replace(board, entries=(entry,), comparisons=(comparison,), warnings=("[/y] <i>",)),),
    )
    terminal, markdown, html = text.terminal(changed), text.markdown(changed), page(changed)
    assert "left out: [/x] <b> of a run" in terminal
    assert "! [/y] <i>" in terminal
    assert label in terminal
    assert "<b>" not in re.sub(r"```json.*?```", "", markdown, flags=re.DOTALL)
    assert "mine a=[/x] b=&lt;b>\\|`" in markdown
    assert "mine a=[/x] b=&lt;b&gt;|`" in html
    assert "<b>" not in html
