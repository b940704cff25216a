"""Entries of the second result against `shrink` with fixed steps, for docs/second-result.md: an estimate made after the result was known.

    python scripts/fixed_shrink.py > docs/second-result-shrink.md      # half a minute, from the archives in docs/second-result/

The control `shrink` chooses its step by the targets' scores alone. The runs of part `shares` have it with fixed steps, on seeds 0 to 4 of
the same sequence. They were repaired for board `single`, but a fixed step does not depend on the targets.
"""

from __future__ import annotations

from pathlib import Path

from declared import Result
from result_tables import as_share, github
from second_result import PARTS

from bench.report.words import TITLES
from bench.results.comparisons import excess
from bench.results.entries import Entry
from bench.results.estimates import Value
from bench.suite import DECODINGS, Decoding

ARCHIVES = Path(__file__).parent.parent / "docs" / "second-result"
STEPS = (0.25, 0.5, 0.75)
METRIC = {"single": "net recovery", "all": "retention"}
INTRODUCTION = """\
# The second result: shrink with fixed steps

Made after the result was known (`python scripts/fixed_shrink.py`), on seeds 0 to 4 of micro/3, `paper`. The control `shrink` chooses its
step by the targets' scores; `shrink alphas=0.5` always takes half of the way back to the base. Brackets are 95 % intervals. They are not
corrected for the number of comparisons, and nothing here was declared. The fixed steps were run for board `single` (question 6); they do
not depend on what is to be recovered."""


def section(result: Result, board: str, decoding: Decoding) -> str:
    """A board under a decoding: each ranked entry's value, and how far it lies above each `shrink`, with uncorrected 95 % intervals."""
    fixed = [result.entry("shares", f"shrink alphas={step}") for step in STEPS]
    seeds = set(fixed[0].seeds)
    entries = [Entry(entry.label, tuple(run for run in entry.runs if run.seed in seeds)) for entry in result.boards[board].entries]
    shrinks = [*(entry for entry in entries if entry.label == "shrink"), *fixed]
    ranked = [entry for entry in entries if not entry.unranked]

    def value(entry: Entry) -> Value:
        return entry.metrics[decoding][METRIC[board]]

    rows = [[entry.label, as_share(value(entry)), *[""] * len(shrinks)] for entry in shrinks]
    for entry in sorted(ranked, key=lambda entry: value(entry).estimate, reverse=True):
        rows.append([entry.label, as_share(value(entry)), *(as_share(excess(entry, other, board, decoding)[0]) for other in shrinks)])
    header = ["entry", METRIC[board], "minus the control", *(f"minus {step:g}" for step in STEPS)]
    return f"## Board `{board}`, {TITLES[decoding]}\n\n{github(rows, header)}"


def page(result: Result) -> str:
    """All tables, as Markdown."""
    return "\n\n".join([INTRODUCTION, *(section(result, board, d) for board in METRIC for d in DECODINGS)]) + "\n"


if __name__ == "__main__":
    print(page(Result.read(PARTS, ARCHIVES)), end="")
