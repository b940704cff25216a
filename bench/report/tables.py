"""A report's tables: headers and rows of text, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

from dataclasses import dataclass

from bench.report.data import BoardReport, EntryReport, FlipCounts, Matrix, place_words
from bench.report.words import TITLES, access_words, cap_bias_words, p_words, rounded, shown
from bench.results.boards import FULL_SEEDS
from bench.results.comparisons import Family
from bench.results.estimates import DomainOutcome
from bench.suite import DECODINGS, Decoding

RANKING_METRICS = ("net recovery", "recovery ratio", "retention")
COST_METRICS = ("collateral damage", "collateral damage, worst", "collateral damage, last", "normalized forgetting, repaired")
FLIP_HEADERS = {
    "lost": "lost to later stages",
    "recovered": "of those recovered",
    "still_lost": "of those still lost",
    "gained": "gained by the repair, in all",
    "newly_lost": "lost to the repair",
}


@dataclass(frozen=True)
class Table:
    """A header and rows of as many cells."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def notes(entry: EntryReport, ranked_by: str) -> str:
    """Why an entry has no place, and what to know about its rank."""
    found = [entry.unranked] if entry.unranked not in ("", entry.track) else []
    found += ["sharpening: improves at temperature 1 only"] if entry.sharpening else []
    if entry.provisional:
        count, trainings = len(entry.seeds), entry.trainings
        found.append(
            f"provisional: {count} of {FULL_SEEDS} seeds" if trainings == count else f"provisional: {trainings} trainings, {count} repairs"
        )
    bias = cap_bias_words(ranked_by, entry.metrics["greedy"][ranked_by])
    return "; ".join([*found, bias] if bias else found)


def other_metrics(board: BoardReport) -> tuple[str, ...]:
    """The metrics that are shown beside the one that ranks."""
    return tuple(name for name in RANKING_METRICS if name != board.ranked_by)


def ranking(board: BoardReport) -> Table:
    """The entries in order of the board's metric."""
    name, others = board.ranked_by, other_metrics(board)
    header = ("place", "entry", "track", f"{name}, greedy", f"{name}, {TITLES['sampled']}", *others, "notes")
    return Table(
        header,
        tuple(
            (
                place_words(entry.places),
                entry.label,
                entry.track,
                *(shown(name, entry.metrics[decoding][name]) for decoding in DECODINGS),
                *(shown(other, entry.metrics["greedy"][other]) for other in others),
                notes(entry, name),
            )
            for entry in board.entries
        ),
    )


def cost(board: BoardReport) -> Table:
    """What each entry cost the other domains and in FLOPs, and what it had access to."""
    header = ("entry", *COST_METRICS, "cost, %", "update reverted, %", "access", "Pareto front")
    return Table(
        header,
        tuple(
            (
                entry.label,
                *(shown(name, entry.metrics["greedy"].get(name)) for name in COST_METRICS),
                rounded(100 * entry.cost.total, 1),
                "" if entry.reverted is None else rounded(100 * entry.reverted, 1),
                access_words(entry.cost.access),
                {"cost": "yes", "access": "for its access", "": ""}[entry.front],
            )
            for entry in board.entries
        ),
    )


def baseline(board: BoardReport) -> Table:
    """What the later stages did to the baseline run: forgetting of the targets, format loss, interference by domain; on designs, what
    earlier stages kept later ones from learning."""
    names = tuple(board.baseline_metrics["greedy"])
    domains = board.null.domains if board.null else ()
    header = ("decoding", *names, *(f"interference, {found.domain}" for found in domains))

    def interference(decoding: Decoding) -> tuple[str, ...]:
        found = (one.interference.get(decoding) for one in domains)
        return tuple(shown("interference", value) if value else "no shared seed" for value in found)

    values = board.baseline_metrics
    return Table(header, tuple((TITLES[d], *(shown(name, values[d].get(name)) for name in names), *interference(d)) for d in DECODINGS))


def by_domain(board: BoardReport) -> Table:
    """Forgetting of the baseline run and what each entry recovered of it, by domain, in points."""
    targets = {domain: f"{domain} *" if domain in board.target_domains else domain for domain in board.domains}
    header = ("", *(f"{targets[domain]}, {TITLES[d]}" for domain in board.domains for d in DECODINGS))

    def row(title: str, found: dict[Decoding, dict[str, DomainOutcome]], quantity: str) -> tuple[str, ...]:
        return (title, *(shown("forgetting", getattr(found[d][domain], quantity)) for domain in board.domains for d in DECODINGS))

    entries = (row(entry.label, entry.domains, "recovered") for entry in board.entries)
    return Table(header, (row("forgetting", board.baseline, "forgetting"), *entries))


def matrix(found: Matrix, decoding: Decoding, kind: str = "score") -> Table:
    """Mean scores, or shares of answers that did not parse or stop, in percent."""
    rows = ((row.title, *(rounded(value, 1) for value in getattr(row, kind)[decoding])) for row in found.rows)
    return Table(("%", *found.order), tuple(rows))


def comparisons(board: BoardReport, family: Family) -> Table:
    """The comparisons of one family."""
    header = ("one", "other", "difference, greedy", "Holm p", "verdict", f"difference, {TITLES['sampled']}", "Holm p", "verdict", "holds")
    rows = []
    for found in board.comparisons:
        if found.family == family:
            tests = [found.tests[decoding] for decoding in DECODINGS]
            cells = [cell for t in tests for cell in (shown(board.ranked_by, t.difference), p_words(t.p), t.verdict)]
            rows.append((found.one, found.other, *cells, "yes" if found.holds else "no"))
    return Table(header, tuple(rows))


def null(board: BoardReport) -> Table:
    """Forgetting under real and under null stages by domain, their difference, and both per distance that the weights moved."""
    header = ("forgetting, points", "decoding", "real stages", "null stages", "interference", "real per |δ|", "null per |δ|")
    rows = []
    for found in board.null.domains if board.null else ():
        for d in DECODINGS:
            cells = [shown("forgetting", found.real[d]), shown("forgetting", found.null[d])]
            cells.append(shown("interference", found.interference[d]) if d in found.interference else "no shared seed")
            for value, moved in ((found.real[d], found.moved_real), (found.null[d], found.moved_null)):
                cells.append(rounded(value.estimate / moved, 2) if moved and value.estimate is not None else "–")
            rows.append((found.domain, TITLES[d], *cells))
    return Table(header, tuple(rows))


def also(board: BoardReport) -> Table:
    """What tasks of lm-eval gave each model."""
    columns = tuple(dict.fromkeys(name for row in board.also for name in row.values))
    several = len(board.orders) > 1
    rows = (
        (
            f"{row.title} ({' → '.join(row.order)})" if several else row.title,
            *(rounded(row.values[name], 3) if name in row.values else "" for name in columns),
        )
        for row in board.also
    )
    return Table(("", *columns), tuple(rows))


def flips(board: BoardReport) -> Table:
    """Greedy items lost since the domain's own stage and what happened to them, means over seeds."""

    def numbers(counts: FlipCounts) -> tuple[str, ...]:
        return tuple(rounded(getattr(counts, kind), 1) for kind in FLIP_HEADERS)

    rows = ((found.domain, found.entry, str(found.items), *numbers(found.counts)) for found in board.flips)
    return Table(("target", "entry", "items", *FLIP_HEADERS.values()), tuple(rows))
