"""The sentences of a report, made from its data; each must be true of every board that it can be made for."""

from __future__ import annotations

from bench.report.data import BoardReport, EntryReport, place_words
from bench.report.words import listed, percent, rounded, seeds_words, shown
from bench.results.run import Run

RANKED = {
    "net recovery": "the share of the targets' forgetting that was recovered, minus every point that other domains lost in the repair",
    "retention": "the share of what the stages gained that the final model retains; gains beyond a domain's own stage do not count",
}
"""What the two boards rank by."""
FAMILIES = {
    "none": "every entry against no repair",
    "shrink": "every entry against shrinking all updates towards the base",
    "next": "every ranked entry against the next one",
    "all pairs": "every two entries",
    "planned": "pairs planned in advance",
}
"""Families of comparisons."""
DRIFT = "Null stages use the same prompts and number of steps, with rewards permuted within each group, so that there is nothing to learn."


def null_command(run: Run) -> str:
    """The command that makes the runs with null stages that a board lacks; empty for imported checkpoints, which have none."""
    spec = run.manifest.spec
    if spec.imported:
        return ""
    words = ["python -m bench run --null --seeds 5"]
    for name, default in {"suite": "micro", "model": "", "sequence": "paper", "targets": "single", "device": "auto"}.items():
        value = getattr(spec, name)
        words += [f"--{name} {value}"] if value != default else []
    words += [f"--seed {run.seed}"] if run.seed else []
    return " ".join(words + (["--quick"] if spec.quick else []))


def null_words(board: BoardReport) -> str:
    """What null stages are for, or how to run them. Code is set in backticks."""
    if board.null:
        return (
            f"{DRIFT} What they make a model forget is drift; interference is forgetting beyond that (real minus null). "
            f"|δ| is how far the weights moved since the domain's own stage. Runs with null stages {_null_runs(board)}. "
            "The real stages beside them are of the same orders and seeds, unless the table says that they share none."
        )
    hint = f"`{board.null_command}` makes them." if board.null_command else "Imported checkpoints have none."
    return f"{DRIFT} There are no runs with null stages here, so drift and interference cannot be separated. {hint}"


def _null_runs(board: BoardReport) -> str:
    """`after math: seeds 0–4`, with their orders where the board has several."""
    by_runs: dict[str, list[str]] = {}
    for found in board.null.domains if board.null else ():
        orders = "" if len(board.orders) == 1 else f" of {listed([' → '.join(order) for order in found.orders])}"
        by_runs.setdefault(seeds_words(found.seeds) + orders, []).append(found.domain)
    return "; ".join(f"after {listed(domains)}: {runs}" for runs, domains in by_runs.items())


def comparisons_words(board: BoardReport) -> str:
    """What the tables of comparisons show."""
    return (
        f"Differences in {board.ranked_by} on shared seeds. p is adjusted by Holm within each family, and intervals are widened to match: "
        "they exclude 0 exactly where p is at most 0.05. A difference holds only if it is significant under both decodings. “Better” "
        "needs equal or smaller access. Verdicts need five seeds. Cap bias: by how much caps at noisy means lower an estimate."
    )


def ranked_entries(board: BoardReport) -> list[EntryReport]:
    """The entries with a place, best first; provisional ones share the last places."""
    return sorted((entry for entry in board.entries if entry.places), key=lambda entry: entry.provisional)


def headline(board: BoardReport) -> str:
    """One line: what the best ranked entry did; without one, what the baseline run forgot."""
    line = _headline(board)
    return line[0].upper() + line[1:]


def _headline(board: BoardReport) -> str:
    ranked = ranked_entries(board)
    targets = listed(board.target_domains)
    if ranked:
        best = ranked[0].metrics["greedy"][board.ranked_by]
        if board.ranked_by == "retention":
            return f"{ranked[0].label} retains {percent(best.estimate or 0)} of what the stages gained"
        if (best.low or 0) > 0:
            return f"{ranked[0].label} recovers a net {percent(best.estimate or 0)} of what {targets} lost to later stages"
        return f"No ranked method significantly recovers what {targets} lost to later stages"
    forgetting = board.entries[0].metrics["greedy"]["forgetting"]
    if (forgetting.low or 0) > 0:
        each = " each, on average" if len(board.target_domains) > 1 else ""
        verb = "lose" if len(board.target_domains) > 1 else "loses"
        return f"{targets} {verb} {rounded(forgetting.estimate or 0, 1)} points to later stages{each}"
    return f"No significant forgetting of {targets}"


def standfirst(board: BoardReport) -> str:
    """A paragraph: what was run, what was forgotten, who is first and by how much, how to read the numbers."""
    orders = " and ".join(" → ".join(order) for order in board.orders) if len(board.orders) < 3 else f"{len(board.orders)} orders"
    device, _, engine = board.device.partition(" ")
    device = device.upper() + (f" (generation by {engine})" if engine else "")
    count = len(board.seeds)
    over = "cover item sampling only (one seed)" if count == 1 else "cover seeds and test items"
    return " ".join(
        [
            f"Suite {board.suite} on {device}: one model is trained with reinforcement learning on {listed(board.domains)}, one domain "
            f"after another ({orders}; {seeds_words(board.seeds)}).",
            _forgetting(board),
            _leaders(board),
            "Methods are ranked by greedy accuracy; temperature-1 scores are also reported, because sharpening alone raises them. "
            f"Brackets are 95\N{NO-BREAK SPACE}% intervals; they {over}.",
        ]
    )


def _forgetting(board: BoardReport) -> str:
    parts = []
    for domain in board.target_domains:
        found = board.baseline["greedy"][domain]
        own, last = (rounded(value.estimate or 0, 1) for value in (found.own, found.baseline))
        forgotten = shown("forgetting", found.forgetting)
        parts.append(f"{domain} scores {own} % after its own stage and {last} % after the last ({forgotten} points forgotten)")
    return f"Without repair, {'; '.join(parts)}."


def _leaders(board: BoardReport) -> str:
    ranked = ranked_entries(board)
    if not ranked:
        return "No entry has a place on this board."
    name = board.ranked_by

    def value(entry: EntryReport) -> str:
        return f"{entry.label} ({shown(name, entry.metrics['greedy'][name])})"

    if len(ranked) == 1:
        return f"The only ranked entry is {value(ranked[0])}."
    first, second = ranked[:2]
    found = next((c for c in board.comparisons if c.family == "next" and (c.one, c.other) == (first.label, second.label)), None)
    verdict = _verdict(found.tests["greedy"].verdict if found else "no verdict")
    held = f" Places: {first.label} {place_words(first.places)}, {second.label} {place_words(second.places)}."
    return f"Highest {name}: {value(first)}, then {value(second)}; {verdict}.{held}"


def _verdict(verdict: str) -> str:
    return {
        "better": "the difference is significant, with no more access",
        "worse": "the difference is significant, with no more access",
        "higher, with more access": "the difference is significant, but the first had more or other access",
        "lower, with less access": "the difference is significant, but the second had more or other access",
        "not significant": "the difference is not significant",
    }.get(verdict, "no verdict on the difference (fewer than five shared seeds)")
