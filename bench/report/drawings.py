"""Which figures a board's part of the page has, and what they show."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report import figures, tradeoffs
from bench.report.data import BoardReport, place_words
from bench.report.words import TITLES
from bench.results.estimates import Value
from bench.suite import DECODINGS


@dataclass(frozen=True)
class Drawings:
    """SVGs of one board. Empty where there is nothing to draw; domains: one each; matrices: one a decoding for each order; reverted,
    repair: one a decoding; training: caption and figure."""

    ranking: str
    pareto: str
    domains: tuple[str, ...]
    reverted: tuple[str, ...]
    repair: tuple[str, ...]
    matrices: tuple[tuple[str, ...], ...]
    null: str
    training: tuple[tuple[str, str], ...]


def drawings(board: BoardReport, prefix: str) -> Drawings:
    """The figures of a board. prefix: of their ids, its own on the page."""
    retained = [entry for entry in board.entries if entry.metrics["greedy"]["retention"].estimate is not None]
    return Drawings(
        ranking=_ranking(board, prefix),
        pareto=tradeoffs.pareto(f"{prefix}-front", board.entries) if len(retained) > 1 else "",
        domains=tuple(_domain(board, domain, f"{prefix}-{domain}") for domain in board.domains),
        reverted=_along(board, prefix, "reverted", "Recovery, against how much of the update is reverted"),
        repair=_along(board, prefix, "repair", "Recovery, against the cost of the repair"),
        matrices=tuple(
            tuple(figures.heat_map(f"{prefix}-matrix{number}-{d}", matrix, d) for d in DECODINGS)
            for number, matrix in enumerate(board.matrices)
        ),
        null=_null(board, prefix),
        training=_training(board, prefix),
    )


def _ranking(board: BoardReport, prefix: str) -> str:
    name = board.ranked_by
    if all(entry.metrics["greedy"][name].estimate is None for entry in board.entries):
        return ""
    rows = [
        (f"{e.label} ({place_words(e.places)})" if e.places else e.label, {d: e.metrics[d][name] for d in DECODINGS}) for e in board.entries
    ]
    title, marks = f"{name.capitalize()}, place in brackets", {"": 0.0, "all of it": 1.0}
    return figures.intervals(f"{prefix}-standing", title, name, rows, axis=f"{name} (1 is all of it)", marks=marks)


def _along(board: BoardReport, prefix: str, quantity: str, title: str) -> tuple[str, ...]:
    """Recovery by the repairs of baseline stages, a figure a decoding; none for fewer than three."""
    repairs = [e for e in board.entries if e.reverted is not None and e.unranked != "reference"]
    repairs = [e for e in repairs if all(e.metrics[d]["recovery ratio"].estimate is not None for d in DECODINGS)]
    if quantity == "repair":
        repairs = [e for e in repairs if e.cost.repair > 0]
    if len(repairs) < 3:
        return ()
    return tuple(tradeoffs.along(f"{prefix}-{quantity}-{d}", f"{title}, {TITLES[d]}", repairs, d, quantity) for d in DECODINGS)


def _domain(board: BoardReport, domain: str, name: str) -> str:
    """One axis for all domains, so that harm in one can be weighed against what another recovered."""
    shared: list[Value] = [board.baseline[d][each].forgetting for each in board.domains for d in DECODINGS]
    shared += [e.domains[d][each].recovered for e in board.entries for each in board.domains for d in DECODINGS]
    forgotten = {d: board.baseline[d][domain].forgetting for d in DECODINGS}
    rows: list[figures.Row] = [("forgotten", forgotten)] if any(value.estimate for value in forgotten.values()) else []
    marks = {"": 0.0} | ({"own stage": forgotten["greedy"].estimate or 0.0} if rows else {})
    rows += [(entry.label, {d: entry.domains[d][domain].recovered for d in DECODINGS}) for entry in board.entries]
    title = f"{domain}: points forgotten by the baseline run and recovered by each entry"
    axis = "points above the end of the baseline run"
    return figures.intervals(name, title, "forgetting", rows, axis=axis, marks=marks, span=figures.span_of(shared, "forgetting"))


def _null(board: BoardReport, prefix: str) -> str:
    if board.null is None:
        return ""
    rows = []
    for found in board.null.domains:
        rows += [(f"{found.domain}, real", found.real), (f"{found.domain}, null", found.null)]
    title = "Forgetting under real and null stages, points"
    return figures.intervals(f"{prefix}-null", title, "forgetting", rows, axis="forgetting, points", marks={"": 0.0})


def _training(board: BoardReport, prefix: str) -> tuple[tuple[str, str], ...]:
    """The baseline run and every entry that trains its own stages."""
    found = []
    keys = dict.fromkeys((curve.label, curve.order) for curve in board.training)
    for number, (label, order) in enumerate(keys):
        ours = [curve for curve in board.training if (curve.label, curve.order) == (label, order)]
        caption = label if len(board.orders) == 1 else f"{label}, {' → '.join(order)}"
        found.append((caption, figures.training(f"{prefix}-training{number}", caption, ours, order)))
    return tuple(found)
