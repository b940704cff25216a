"""The second result: what docs/second-result.md declares, and the answers to its questions.

    python scripts/second_result.py run --first 0 --seeds 5 --out runs/second    # hours; rerun to resume
    python scripts/second_result.py run --first 5 --seeds 5 --out runs/second
    python scripts/second_result.py texts --seeds 10 --out runs/second           # a minute a seed
    python scripts/second_result.py answer --out docs/second-result-tables.md    # seconds, from the archives in docs/second-result/

What these commands do is in scripts/declared.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from declared import Declaration, Part, Parts, Result, answered, main
from result_tables import (
    board_section,
    difference_lines,
    difference_table,
    equivalence_table,
    github,
    in_points,
    interference_tables,
    minus,
    points_table,
)

from bench.report.evidence import reverted
from bench.report.words import TITLES, percent, shown
from bench.results.estimates import domain_strata
from bench.suite import DECODINGS

METHODS = (
    "none,cpr,dare,ewc,interpolate,joint,kl,l2,longer,mean_imm,mode_imm,opd,projection,ram,random,refresh,relearn,replay,revert,rollback,"
    "sharpen,shrink,stage_ties,task_arithmetic,ties"
)
"""All that there were when the result was declared."""
STEPS = (1, 2, 5, 10, 15, 20, 30)
"""Of refresh's curve (question 2)."""
TRAINING_FREE = ("mean_imm", "mode_imm", "rollback", "stage_ties")
"""The proposed methods of that track (question 4)."""
REPAIR = "projection"
"""The repair that was developed on development seeds (question 7)."""
_STEPS, _ALPHAS, _SHARES = f"steps={','.join(map(str, STEPS))}", "alphas=0.25:,0.5:,0.75:", "share=0.01,0.03,0.1,0.3;step=1"

PARTS: Parts = {
    "single": Part(METHODS, "single"),
    "all": Part(METHODS, "all"),
    "null": Part("", "all"),
    "balanced": Part(
        f"none,shrink,revert,interpolate,random,refresh,relearn,rollback,mean_imm,mode_imm,stage_ties,opd,{REPAIR}", "all", "balanced", 5
    ),
    "curve": Part(f"none,refresh[{_STEPS}],relearn[{_STEPS}]", "single", seeds=5),
    "shares": Part(f"none,shrink[{_ALPHAS}],interpolate[{_ALPHAS}],rollback[{_SHARES}],random[{_SHARES}]", "single", seeds=5),
}


# --- the questions


def does_refresh_recover(result: Result) -> str:
    return difference_table(difference_lines(result.pairs(("single", "all"), ["refresh"], ["none"])))


def is_refreshing_faster(result: Result) -> str:
    methods = ("refresh", "relearn")
    differences, curve = {}, []
    for steps in STEPS:
        entries = [result.entry("curve", f"{name} steps={steps}") for name in methods]
        math = {d: [domain_strata(entry.measured(d), lambda o: o.final, "math") for entry in entries] for d in DECODINGS}
        differences[str(steps)] = {d: minus(*strata) for d, strata in math.items()}
        curve.append([steps, *(in_points(strata) for d in DECODINGS for strata in math[d])])
    header = ["steps", *(f"{name}, {TITLES[d]}" for d in DECODINGS for name in methods)]
    tests = points_table(differences, "steps", "refresh minus relearn, points of math")
    return f"{tests}\n\nPoints of math, with 95 % intervals:\n\n{github(curve, header)}"


def do_coordinates_matter(result: Result) -> str:
    return difference_table(difference_lines(result.pairs(("single", "all"), ["rollback"], ["random", "shrink"])))


def is_anything_equal_to_refresh(result: Result) -> str:
    return equivalence_table(result.pairs(("single", "all"), TRAINING_FREE, ["refresh"]))


def how_much_is_interference(result: Result) -> str:
    return interference_tables(result.entry("all", "none").runs, result.null)


def does_the_share_reverted_matter(result: Result) -> str:
    rows = []
    for entry in result.boards["shares"].entries:
        share = reverted(entry.runs)
        values = [shown("net recovery", entry.metrics[d]["net recovery"]) for d in DECODINGS]
        rows.append((-1.0 if share is None else share, [entry.label, "–" if share is None else percent(share), *values]))
    header = ["entry", "update reverted", *(f"net recovery, {TITLES[d]}" for d in DECODINGS)]
    return github([row for _, row in sorted(rows, key=lambda pair: pair[0])], header)


def does_our_repair_win(result: Result) -> str:
    lines = difference_lines(result.pairs(["all"], [REPAIR], ["shrink", "mode_imm", "opd", "refresh"]))
    wins = all(line.verdict in ("better", "higher, with more access") for line in lines)
    return f"{difference_table(lines)}\n\nSignificantly above all four, under both decodings: **{'yes' if wins else 'no'}**."


QUESTIONS: Mapping[str, Callable[[Result], str]] = {
    "1. Does refresh recover what was forgotten?": does_refresh_recover,
    "2. Is refreshing faster than learning anew?": is_refreshing_faster,
    "3. Does rollback's choice of coordinates matter?": do_coordinates_matter,
    "4. Is anything training-free as good as refresh?": is_anything_equal_to_refresh,
    "5. How much of the forgetting is interference?": how_much_is_interference,
    "6. Does recovery depend on how much of the update is reverted, or on which part?": does_the_share_reverted_matter,
    "7. Does the repair that we developed beat shrink, mode-IMM, opd and refresh?": does_our_repair_win,
}


def answers(result: Result) -> str:
    """All tables, as Markdown."""
    introduction = (
        "Each question is one family of tests, for each decoding. Holm's correction multiplies p, and intervals of differences are widened "
        "by the same factor. *Under both*: what is significant, with one sign, greedily and at temperature 1."
    )
    parts = answered(introduction, QUESTIONS, result)
    for name in ("single", "all", "balanced"):
        parts += board_section(name, result.boards[name])
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main(Declaration("second-result", "The second result", PARTS, tuned=True, answers=answers), __doc__ or "")
