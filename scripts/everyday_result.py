"""The result on everyday, a pretrained model: what docs/everyday-result.md declares, and the tables that answer its questions.

    python scripts/everyday_result.py run --first 0 --seeds 1 --out runs/everyday    # four hours a seed on one core; rerun to resume
    python scripts/everyday_result.py texts --out runs/everyday
    python scripts/everyday_result.py answer --out docs/everyday-result-tables.md    # seconds, from the archives in docs/everyday-result/

What these commands do is in scripts/declared.py. No method was tuned on everyday: all run with the package's own settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from declared import Declaration, Part, Parts, Result, answered, main
from result_tables import board_section, github, in_points, interference_tables, minus

from bench.report.words import TITLES, percent, shown
from bench.results import metrics
from bench.results.estimates import domain_strata
from bench.suite import DECODINGS

METHODS = "none,refresh,rollback,shrink,interpolate,random,mode_imm,opd,revert"
STEPS = (2, 5, 10, 20)
"""Of refresh's curve, beside those of the board."""


def _part(methods: str, targets: str) -> Part:
    return Part(methods, targets, seeds=3, suite="everyday")


PARTS: Parts = {
    "single": _part(METHODS, "single"),
    "all": _part(METHODS, "all"),
    "null": _part("", "single"),
    "curve": _part(f"none,refresh[steps={','.join(map(str, STEPS))}]", "single"),
}


# --- the questions


def is_anything_forgotten(result: Result) -> str:
    """By domain: the base, what its own stage gains, and what later stages take."""
    baseline, rows = result.entry("all", "none"), []
    for domain in baseline.runs[0].sequence:
        cells = []
        for decoding in DECODINGS:
            measured = baseline.measured(decoding)
            base = domain_strata(measured, lambda o: o.baseline[..., 0, :], domain)
            own = domain_strata(measured, lambda o: o.own, domain)
            lost = domain_strata(measured, metrics.forgetting, domain)
            cells += [in_points(base), in_points(minus(own, base)), in_points(lost)]
        rows.append([domain, *cells])
    columns = ("base", "gain until after its stage", "forgetting")
    return github(rows, ["domain", *(f"{column}, {TITLES[d]}" for d in DECODINGS for column in columns)])


def how_much_is_interference(result: Result) -> str:
    return interference_tables(result.entry("single", "none").runs, result.null)


def does_a_longer_refresh_recover_more(result: Result) -> str:
    rows = []
    for entry in result.boards["curve"].entries:
        values = [shown(name, entry.metrics[d].get(name)) for name in ("recovery ratio", "net recovery") for d in DECODINGS]
        rows.append((entry.cost.total, [entry.label, *values, percent(entry.cost.total - 1, 1)]))
    header = ["entry", *(f"{name}, {TITLES[d]}" for name in ("recovery ratio", "net recovery") for d in DECODINGS), "added cost"]
    return github([row for _, row in sorted(rows, key=lambda pair: pair[0])], header)


def what_do_repairs_recover(result: Result) -> str:
    return "\n\n".join(part for name in ("single", "all") for part in board_section(name, result.boards[name], level=3))


QUESTIONS: Mapping[str, Callable[[Result], str]] = {
    "1. Do later stages make a pretrained model forget?": is_anything_forgotten,
    "2. How much of it is interference?": how_much_is_interference,
    "3. What do repairs recover, and at what cost?": what_do_repairs_recover,
    "4. Does a longer refresh recover more?": does_a_longer_refresh_recover_more,
}


def answers(result: Result) -> str:
    """All tables, as Markdown."""
    introduction = (
        "Intervals are 95 %, over seeds and items. Three seeds give no verdicts: with two degrees of freedom the intervals are as wide as "
        "that makes them."
    )
    return "\n\n".join(answered(introduction, QUESTIONS, result)) + "\n"


if __name__ == "__main__":
    main(Declaration("everyday-result", "The result on everyday", PARTS, tuned=False, answers=answers), __doc__ or "")
