"""A report's content as tables: in the terminal, as Markdown, as CSV. The page shows the same headers and rows of text."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

from bench.report.words import TITLES, rounded, seeds_words, shown
from bench.results.boards import FULL_SEEDS
from bench.suite import DECODINGS

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""


def place(entry: dict[str, Any]) -> str:
    """An entry's place, or a dash; `notes` says why."""
    return str(entry["place"]) if entry["place"] else "–"


def notes(entry: dict[str, Any]) -> str:
    """Why an entry has no place, and what to beware of."""
    found = [entry["unranked"]] if entry["unranked"] not in ("", entry["track"]) else []
    found += ["sharpening: up at temperature 1, not greedily"] if entry["sharpening"] else []
    if entry["provisional"]:
        count, trainings = len(entry["seeds"]), entry["trainings"]
        found.append(
            f"provisional: {count} of {FULL_SEEDS} seeds" if trainings == count else f"provisional: {trainings} training, {count} repairs"
        )
    return "; ".join(found)


def standing(board: dict[str, Any]) -> Table:
    """Who stands where by the board's metric, and what won back costs nobody else."""
    name = board["ranked by"]
    others = [other for other in ("net recovery", "recovery ratio", "retention") if other != name]
    header = ["#", "entry", "track", f"{name}, greedy", f"{name}, {TITLES['sampled']}", *others, "notes"]
    rows = [
        [place(e), e["label"], e["track"]]
        + [shown(name, e["metrics"][decoding][name]) for decoding in DECODINGS]
        + [shown(other, e["metrics"]["greedy"][other]) for other in others]
        + [notes(e)]
        for e in board["entries"]
    ]
    return header, rows


def price(board: dict[str, Any]) -> Table:
    """What each entry cost the other domains and in FLOPs, and what it looked at."""
    harm = ("collateral damage", "collateral damage, worst", "collateral damage, last")
    header = ["entry", *harm, "cost, %", "change undone, %", "looked at", "front"]
    rows = [
        [
            e["label"],
            *(shown(name, e["metrics"]["greedy"].get(name)) for name in harm),
            rounded(100 * e["cost"]["total"], 1),
            "" if e["removed"] is None else rounded(100 * e["removed"], 1),
            e["access words"],
            e["front"],
        ]
        for e in board["entries"]
    ]
    return header, rows


def by_domain(board: dict[str, Any]) -> Table:
    """Damage of the plain run and what each entry won back of it, a domain, in points."""
    header = ["", *(f"{domain}{' *' * (domain in board['target domains'])}, {TITLES[d]}" for domain in board["domains"] for d in DECODINGS)]

    def row(title: str, found: dict[str, Any], quantity: str) -> list[str]:
        return [title, *(shown("forgetting", found[d][domain][quantity]) for domain in board["domains"] for d in DECODINGS)]

    return header, [
        row("forgetting", board["baseline"], "forgetting"),
        *(row(e["label"], e["domains"], "recovered") for e in board["entries"]),
    ]


def matrix(found: dict[str, Any], decoding: str, kind: str = "score") -> Table:
    """Mean scores or shares of unparsable answers, in percent."""
    return ["%", *found["order"]], [[row["title"], *(rounded(v, 1) for v in row[kind][decoding])] for row in found["rows"]]


def pairs(board: dict[str, Any]) -> Table:
    """Every two entries, or those that were planned."""
    header = ["one", "other", "one − other, greedy", "Holm p", "verdict", "one − other, temperature 1", "Holm p", "stands under both"]

    def said(found: dict[str, Any] | None) -> list[str]:
        return [shown(board["ranked by"], found), p_words(found["p"])] if found else ["undefined at temperature 1", ""]

    def row(pair: dict[str, Any]) -> list[str]:
        stands = "yes" if pair["stands"] else "no"
        return [pair["one"], pair["other"], *said(pair["greedy"]), pair["greedy"]["verdict"], *said(pair["sampled"]), stands]

    return header, [row(pair) for pair in board["pairs"]]


def pairs_words(board: dict[str, Any]) -> str:
    """What the table of pairs shows, and over how many pairs its p-values are corrected."""
    count = len(board["pairs"])
    family = f"the {count} planned here" if board["pairs planned"] else f"all {count} pairs; with `--pair one/other` over those planned"
    return (
        f"Differences in {board['ranked by']} on shared seeds with 95 % intervals, which are not corrected; p by Holm over {family}. "
        "A difference stands only under both decodings; better needs equal or smaller access."
    )


def p_words(value: float) -> str:
    """A p-value with three digits."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def null(board: dict[str, Any]) -> Table:
    """Damage by real and by null stages a domain, and the difference on the seeds that both have."""
    found = board["null"]
    rows = []
    for domain in found["moved"]:
        for d in DECODINGS:
            beyond = found["beyond"].get(d, {}).get(domain)
            cells = [shown("forgetting", board["baseline"][d][domain]["forgetting"]), shown("forgetting", found["forgetting"][d][domain])]
            rows.append([domain, TITLES[d], *cells, shown("forgetting", beyond) if beyond else "no seed in common"])
            damages = {"real": board["baseline"][d][domain]["forgetting"], "null": found["forgetting"][d][domain]}
            for kind, moved in found["moved"][domain].items():
                rows[-1].append(rounded(damages[kind]["estimate"] / moved, 2) if moved else "nothing moved")
    return ["damage, points", "answers", "real", "null", "real − null", "real per |δ|", "null per |δ|"], rows


def also(board: dict[str, Any]) -> Table:
    """What tasks of lm-eval gave each row."""
    columns = list(dict.fromkeys(name for row in board["also"] for name in row["values"]))
    several = len(board["orders"]) > 1
    rows = [
        [f"{row['title']} ({' → '.join(row['order'])})" if several else row["title"]]
        + [rounded(row["values"][name], 3) if name in row["values"] else "" for name in columns]
        for row in board["also"]
    ]
    return ["", *columns], rows


def null_words(board: dict[str, Any]) -> str:
    """What null stages are, or how to get them."""
    what = "Null stages take the same prompts and steps with rewards permuted within each group, so there is nothing to learn"
    if "missing" not in board["null"]:
        found = f"{what}: what they damage is drift, and damage beyond it is interference; |δ| is how far the weights moved"
        return f"{found} since the domain's own stage. Null runs: {seeds_words(board['null']['seeds'])}."
    command = board["null"]["missing"]
    hint = f"; `{command}` makes them." if command else ": imported checkpoints."
    return f"{what}. There are none here to set beside the real ones{hint}"


def flips(board: dict[str, Any]) -> Table:
    """Greedy items lost since the domain's own stage and what became of them, means over seeds."""
    kinds = {"lost": "lost by later stages", "recovered": "of those won back", "still lost": "of those still lost"}
    kinds |= {"won": "won in all", "fell": "lost by the repair"}
    rows = [[f["domain"], f["entry"], str(f["items"]), *(rounded(f["counts"][kind], 1) for kind in kinds)] for f in board["flips"]]
    return ["target", "entry", "items", *kinds.values()], rows


def _drawn(table: Table, form: str) -> str:
    header, rows = table
    if form == "simple":
        rows = [["\n".join(textwrap.wrap(cell, 34)) for cell in row] for row in rows]
        header = ["\n".join(textwrap.wrap(cell, 20)) for cell in header]
    else:
        rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(rows, header, tablefmt=form, disable_numparse=True)


def _parts(board: dict[str, Any]) -> Iterable[tuple[str, Table]]:
    yield f"Standing by {board['ranked by']}", standing(board)
    yield "What it cost", price(board)
    yield "Points lost by the plain run, and won back of them (* a target)", by_domain(board)
    for found in board["matrices"]:
        for decoding in DECODINGS:
            yield f"Scores, {' → '.join(found['order'])}, {TITLES[decoding]}", matrix(found, decoding)
    if "missing" not in board["null"]:
        yield "Real and null stages", null(board)
    if board["also"]:
        yield "Other abilities, by lm-eval", also(board)
    yield "Items that flipped, greedily, a seed", flips(board)


def terminal(content: dict[str, Any]) -> str:
    """What `python -m bench report` prints."""
    told = [f"left out: {line}" for line in content["left out"]]
    for board in content["boards"]:
        told += [f"{board['title']}\n{'=' * len(board['title'])}", board["headline"], textwrap.fill(board["standfirst"], 120)]
        told += [f"! {warning}" for warning in board["warnings"]]
        told += [f"{title}\n\n{_drawn(table, 'simple')}" for title, table in _parts(board)]
        if board["pairs"] and board["pairs planned"]:
            told += [f"Planned pairs\n\n{_drawn(pairs(board), 'simple')}", textwrap.fill(pairs_words(board), 120)]
        elif board["pairs"]:
            told.append(f"pairs compared: {len(board['pairs'])}; --out writes them")
        elif board["pairs planned"]:
            told.append("planned pairs: none of them can be compared on this board")
        told += [] if "missing" not in board["null"] else [textwrap.fill(null_words(board), 120, break_on_hyphens=False)]
    return "\n\n".join(told) + "\n"


def markdown(content: dict[str, Any]) -> str:
    """The same with pairs, unparsable answers and settings."""
    told = ["# interference-bench: report", *(f"> left out: {line}" for line in content["left out"])]
    for board in content["boards"]:
        told += [f"## {board['title']}", f"**{board['headline']}.** {board['standfirst']}"]
        told += ["\n".join(f"- {warning}" for warning in board["warnings"])] if board["warnings"] else []
        told += [f"### {title}\n\n{_drawn(table, 'github')}" for title, table in _parts(board)]
        told.append(null_words(board))
        if board["pairs"]:
            told += ["### Pairs", pairs_words(board), _drawn(pairs(board), "github")]
        for found in board["matrices"]:
            for decoding in DECODINGS:
                order = " → ".join(found["order"])
                told.append(
                    f"### Unparsable answers, {order}, {TITLES[decoding]}\n\n{_drawn(matrix(found, decoding, 'unparsed'), 'github')}"
                )
        told.append(f"### Settings\n\n```json\n{json.dumps(settings(board), indent=1)}\n```")
    told.append("## Metrics\n\n" + "\n".join(f"- **{name}**: {words}" for name, words in content["meaning"].items()))
    return "\n\n".join(told) + "\n"


def settings(board: dict[str, Any]) -> dict[str, Any]:
    """All settings: the suite's, the methods', numerics and versions."""
    methods = {e["label"]: {"settings": e["settings"], "source": e["source"], "seeds": e["seeds"]} for e in board["entries"]}
    return {**board["settings"], "methods": methods}


def entries_csv(content: dict[str, Any]) -> str:
    """A row an entry, decoding and metric, unrounded."""
    rows = []
    for board in content["boards"]:
        for entry in board["entries"]:
            for decoding in DECODINGS:
                for metric, value in entry["metrics"][decoding].items():
                    numbers = [value.get(key) for key in ("estimate", "low", "high", "seeds")]
                    unit = "share" if metric in content["shares"] else "points"
                    rows.append([board["title"], place(entry), entry["label"], decoding, metric, unit, *numbers, value.get("why", "")])
    return _csv("board place entry decoding metric unit estimate low high seeds undefined".split(), rows)


def cells_csv(content: dict[str, Any]) -> str:
    """A row a run, row, domain and decoding: score and share of unparsable answers, in percent, unrounded."""
    rows = [
        [
            board["title"],
            run["run"],
            run["entry"],
            run["seed"],
            "-".join(run["order"]),
            row,
            domain,
            decoding,
            cell["score"],
            cell["unparsed"],
        ]
        for board in content["boards"]
        for run in board["runs"]
        for row, by_decoding in run["cells"].items()
        for decoding, by_domain in by_decoding.items()
        for domain, cell in by_domain.items()
    ]
    return _csv("board run entry seed order row domain decoding score unparsed".split(), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
