"""The result on everyday, a pretrained model: what docs/everyday-result.md declares, and the tables that answer its questions.

    python scripts/everyday_result.py run --first 0 --seeds 1 --out runs/everyday    # hours; rerun to resume
    python scripts/everyday_result.py texts --out runs/everyday
    python scripts/everyday_result.py answer --out docs/everyday-result-tables.md    # seconds, from the archives in docs/everyday-result/

What these commands do is in scripts/declared.py. No method was tuned on everyday: all run with their default settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from declared import Declaration, Part, Parts, Result, answered, main
from result_tables import Expectation, board_section, expectations_table, github, in_points, interference_tables, minus, points_expected

from bench.report.words import TITLES, percent, shown
from bench.results import metrics
from bench.results.comparisons import judge
from bench.results.entries import Entry
from bench.results.estimates import Value, domain_strata
from bench.results.measured import Measured
from bench.results.statistics import Strata, crossed
from bench.suite import DECODINGS, Decoding

METHODS = "none,refresh,rollback,shrink,interpolate,random,mode_imm,opd,revert"
STEPS = (3, 6, 12, 24)
"""Of refresh's curve, for three targets in equal shares. The board's refresh, of 15 steps, is shown with it."""


NULLS = ("code", "math", "qa")
"""After what stages are null: of the targets, those that the test bed shows to forget."""
NOT_RUN = "no null stages"


def _part(methods: str, targets: str, nulls: tuple[str, ...] = ()) -> Part:
    return Part(methods, targets, seeds=5, suite="everyday", nulls=nulls)


PARTS: Parts = {
    "single": _part(METHODS, "single"),
    "all": _part(METHODS, "all"),
    "null": _part("", "all", NULLS),
    "curve": _part(f"none,refresh[steps={','.join(map(str, STEPS))}]", "all"),
}


# --- the questions


def is_anything_forgotten(result: Result) -> str:
    """By domain: the base, what its own stage gains, and what later stages take."""
    baseline, rows = result.entry("all", "none"), []
    lost = {
        domain: {d: domain_strata(baseline.measured(d), metrics.forgetting, domain) for d in DECODINGS}
        for domain in baseline.runs[0].sequence
    }
    for domain, strata in lost.items():
        cells = []
        for decoding in DECODINGS:
            measured = baseline.measured(decoding)
            base = domain_strata(measured, lambda o: o.baseline[..., 0, :], domain)
            own = domain_strata(measured, lambda o: o.own, domain)
            cells += [f"{100 * crossed(base).mean:.1f}", in_points(minus(own, base)), in_points(strata[decoding])]
        rows.append([domain, *cells])
    columns = ("base", "gain by the end of its stage", "forgetting")
    table = github(rows, ["domain", *(f"{column}, {TITLES[d]}" for d in DECODINGS for column in columns)])
    expected = [points_expected(f"{domain} forgets (points)", lambda d, own=lost[domain]: own[d]) for domain in ("code", "math")]
    return f"{expectations_table(expected)}\n\n{table}"


def how_much_is_interference(result: Result) -> str:
    baseline, expected = result.entry("all", "none").runs, []
    for domain in ("code", "math"):
        clauses = {
            f"real stages make {domain} forget more than null stages (points)": 0.0,
            f"by more than half of {domain}'s forgetting (points above half)": 0.5,
        }
        null = [one for one in result.null if one.manifest.spec.null == domain]
        if not null:
            undefined = dict.fromkeys(DECODINGS, Value.undefined(NOT_RUN, len(baseline)))
            expected += [Expectation(words, "final average", undefined) for words in clauses]
            continue
        lost = {d: [domain_strata(Measured.of(runs, d), metrics.forgetting, domain) for runs in (baseline, null)] for d in DECODINGS}
        expected += [
            points_expected(
                words,
                lambda d, share=share, lost=lost: minus(minus(*lost[d]), [share * s for s in lost[d][0]]),
                lambda d, lost=lost: lost[d][0],
            )
            for words, share in clauses.items()
        ]
    return f"{expectations_table(expected)}\n\n{interference_tables(baseline, result.null)}"


def what_do_repairs_recover(result: Result) -> str:
    expected = [
        *(
            points_expected(
                f"{domain} is higher after `{name}` than at the baseline run's end (`{part}`, points)",
                lambda d, part=part, domain=domain, name=name: minus(
                    *(_final(result.entry(part, label), domain, d) for label in (name, "none"))
                ),
            )
            for part, domain in (("single", "math"), ("all", "code"))
            for name in ("refresh", "opd")
        ),
        *(_above(result, "single", name, "none", f"`{name}` recovers (`single`, net recovery)") for name in ("refresh", "opd")),
        _above(result, "all", "refresh", "none", "`refresh` retains more than `none` (`all`)"),
        _above(result, "all", "rollback", "random", "`rollback` retains more than `random` (`all`)"),
        *(_above(result, part, "refresh", "shrink", f"`refresh` is above `shrink` (`{part}`)") for part in ("single", "all")),
    ]
    boards = [part for name in ("single", "all") for part in board_section(name, result.boards[name], level=3)]
    return "\n\n".join([expectations_table(expected), *boards])


def does_a_longer_refresh_recover_more(result: Result) -> str:
    curve = [result.entry("curve", f"refresh steps={steps}") for steps in STEPS]
    expected = [
        points_expected(
            f"code is higher after {STEPS[longer]} steps than after {STEPS[shorter]} (points)",
            lambda d, pair=(longer, shorter): minus(*(_final(curve[n], "code", d) for n in pair)),
        )
        for shorter, longer in (*pairwise(range(len(STEPS))), (0, len(STEPS) - 1))
    ]
    rows = []
    for entry in (*result.boards["curve"].entries, result.entry("all", "refresh")):
        cells = [in_points(_final(entry, "code", d)) for d in DECODINGS]
        values = [shown(name, entry.metrics[d].get(name)) for name in ("recovery ratio", "retention") for d in DECODINGS]
        rows.append((entry.cost.total, [entry.label, *cells, *values, percent(entry.cost.total - 1, 1)]))
    columns = ("points of code", "recovery ratio", "retention")
    header = ["entry", *(f"{name}, {TITLES[d]}" for name in columns for d in DECODINGS), "added cost"]
    table = github([row for _, row in sorted(rows, key=lambda pair: pair[0])], header)
    return f"{expectations_table(expected)}\n\n{table}"


def _above(result: Result, part: str, one: str, other: str, words: str) -> Expectation:
    """One entry above another on its board's metric."""
    (pair,) = result.pairs([part], [one], [other])
    return Expectation(words, "retention", {d: judge([pair], "planned", d)[0].difference for d in DECODINGS})


def _final(entry: Entry, domain: str, decoding: Decoding) -> Strata:
    return domain_strata(entry.measured(decoding), lambda outcome: outcome.final, domain)


QUESTIONS: Mapping[str, Callable[[Result], str]] = {
    "1. Do later stages make a pretrained model forget?": is_anything_forgotten,
    "2. How much of it is interference?": how_much_is_interference,
    "3. What do repairs recover, and at what cost?": what_do_repairs_recover,
    "4. Does a longer refresh recover more?": does_a_longer_refresh_recover_more,
}


def answers(result: Result) -> str:
    """All tables, as Markdown."""
    introduction = (
        "Intervals are 95 %, over seeds and items, and not corrected for the number of clauses. An expectation is *contradicted* "
        "where the interval under some decoding lies below 0, *supported* where those under both lie above 0, and *open* otherwise."
    )
    return "\n\n".join(answered(introduction, QUESTIONS, result)) + "\n"


if __name__ == "__main__":
    main(Declaration("everyday-result", "The result on everyday", PARTS, tuned=False, answers=answers), __doc__ or "")
