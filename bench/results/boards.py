"""Boards: which runs compare with which, and who stands where. No torch.

A board is a suite, a sequence (or a design of several), a choice of targets and a device; an entry is a method with one choice of
settings, over its seeds. Board `single` ranks by net recovery, board `all` by kept, both greedily: sharpening alone lifts scores at
temperature 1. Controls and the reference line are shown in their place without a number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from bench.costs import over_limit
from bench.errors import UserError
from bench.results.estimates import Capped, Measured, by_domain, measure_all
from bench.results.run import Run
from bench.results.statistics import crossed, crossed_interval, holm, ratio_interval
from bench.suite import DECODINGS, load_suite

RANKED_BY = {"single": "net recovery", "all": "retention"}
FULL_SEEDS = 5
"""With fewer, or fewer trainings behind them, an entry is provisional."""
LEVEL = 0.05


@dataclass(frozen=True)
class Entry:
    """A method's runs on one board, one an order and seed. label: its name, with the settings that tell it from its siblings on the board;
    dropped: runs that do not count, since another of the same seed is there or an order lacks the seed."""

    label: str
    runs: tuple[Run, ...]
    dropped: tuple[Run, ...] = ()

    @property
    def method(self) -> dict[str, Any]:
        return self.runs[0].manifest["method"]

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({run.seed for run in self.runs}))

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        return {decoding: Measured.of(self.runs, decoding) for decoding in DECODINGS}

    def measured(self, decoding: str) -> Measured:
        """Its scores under a decoding."""
        return self._measured[decoding]

    @cached_property
    def metrics(self) -> dict[str, dict[str, dict[str, Any]]]:
        """decoding -> metric -> estimate, low, high."""
        return {decoding: measure_all(self.measured(decoding)) for decoding in DECODINGS}

    @cached_property
    def domains(self) -> dict[str, dict[str, dict[str, Any]]]:
        """decoding -> domain -> what happened to it (`bench.results.estimates.by_domain`)."""
        return {decoding: by_domain(self.measured(decoding)) for decoding in DECODINGS}

    @cached_property
    def cost(self) -> dict[str, float]:
        """Shares of the plain sequence's FLOPs, means over the runs: stages, repair, total."""
        return {name: float(np.mean([run.manifest["cost"][name] for run in self.runs])) for name in ("stages", "repair", "total")}

    @cached_property
    def access(self) -> dict[str, Any]:
        """What it looked at in any run: checkpoints, experts, and the most prompts a domain."""
        found = [run.manifest["cost"]["access"] for run in self.runs]
        prompts = {domain: max(a["prompts"].get(domain, 0) for a in found) for domain in sorted({d for a in found for d in a["prompts"]})}
        return {kind: sorted({name for a in found for name in a[kind]}) for kind in ("checkpoints", "experts")} | {"prompts": prompts}

    @property
    def unranked(self) -> str:
        """Why it has no place, or the empty string."""
        if self.method["control"]:
            return "control"
        if self.method["track"] == "reference":
            return "reference"
        return over_limit(self.method["track"], self.cost["total"]) if self.runs[0].manifest["suite"]["comparable"] else ""

    @cached_property
    def trainings(self) -> int:
        """How many times the stages were trained; fewer than there are seeds where imported checkpoints are repaired several times."""
        chains = {tuple(run.manifest["checkpoints"][row] for row in run.rows["baseline"][1:]) for run in self.runs}
        return min(len(self.seeds), len(chains))

    @property
    def provisional(self) -> bool:
        return self.trainings < FULL_SEEDS


def within(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether access `one` is equal to or smaller than `other`."""
    sets = all(set(one[kind]) <= set(other[kind]) for kind in ("checkpoints", "experts"))
    return sets and all(count <= other["prompts"].get(domain, 0) for domain, count in one["prompts"].items())


@dataclass(frozen=True)
class Pair:
    """`one` against `other` by the board's metric: difference (one - other) with its interval, Holm's p over the pairs asked for.

    verdict: better, worse, "higher, with more access" (or lower), or "no difference told".
    """

    one: str
    other: str
    estimate: float
    low: float
    high: float
    p: float
    verdict: str


@dataclass(frozen=True)
class Board:
    """entries: in order of standing, those whose metric is undefined last. null: domain -> plain runs with null
    stages after it, where there are any."""

    suite: str
    sequence: str
    targets: str
    device: str
    comparable: bool
    entries: tuple[Entry, ...]
    null: Mapping[str, tuple[Run, ...]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.suite} · {self.sequence} · targets {self.targets} · {self.device}"

    @property
    def ranked_by(self) -> str:
        return RANKED_BY[self.targets]

    def places(self) -> dict[str, int]:
        """label -> place from 1, for the entries that have one; provisional ones stand behind all others."""
        ranked = [e for e in self.entries if not e.unranked and self.standing(e) is not None]
        ranked.sort(key=lambda entry: entry.provisional)
        return {entry.label: place for place, entry in enumerate(ranked, start=1)}

    def standing(self, entry: Entry) -> float | None:
        """The board's metric, greedily; None where it is undefined."""
        return entry.metrics["greedy"][self.ranked_by]["estimate"]

    def pairs(self, decoding: str = "greedy", planned: Collection[tuple[str, str]] = ()) -> list[Pair]:
        """Every two entries, on the seeds that they share; none where the metric is undefined.

        planned: the labels of pairs that were chosen before the data was seen; Holm's correction is then over those of them that the
        board holds, and no others are told.
        """
        told, p_values = [], []
        by_label = {entry.label: entry for entry in self.entries if self.standing(entry) is not None}
        asked = [pair for pair in dict.fromkeys(planned) if set(pair) <= set(by_label)] if planned else combinations(by_label, 2)
        for one, other in ((by_label[first], by_label[second]) for first, second in asked):
            seeds = [seed for seed in one.seeds if seed in other.seeds]
            if not seeds:
                continue
            first, second = (entry.measured(decoding).only(seeds) for entry in (one, other))
            difference = ranked_points(first, self.targets).minus(ranked_points(second, self.targets))
            below = first.forgetting if self.targets == "single" else first.gain
            if not crossed_interval(below).low > 0:
                continue
            estimate = float(sum(d.mean() for d in difference.points) / sum(b.mean() for b in below))
            ends = [ratio_interval(strata, below) for strata in (difference.points, difference.free)]
            told.append((one, other, estimate, min(low for low, _ in ends), max(high for _, high in ends)))
            p_values.append(max(float(crossed(strata).p_value()) for strata in (difference.points, difference.free)))
        adjusted = holm(p_values)
        return [
            Pair(one.label, other.label, estimate, low, high, p, _verdict(one, other, estimate, p))
            for (one, other, estimate, low, high), p in zip(told, adjusted, strict=True)
        ]


def ranked_points(measured: Measured, targets: str) -> Capped:
    """What a board of these targets ranks by, before it is divided: points of scores."""
    return measured.net if targets == "single" else measured.retention


def _verdict(one: Entry, other: Entry, estimate: float, p: float) -> str:
    if p > LEVEL:
        return "no difference told"
    winner, loser = (one, other) if estimate > 0 else (other, one)
    if within(winner.access, loser.access):
        return "better" if winner is one else "worse"
    return "higher, with more access" if winner is one else "lower, with less access"


def boards(runs: Sequence[Run], designs: Mapping[str, Sequence[str]] | None = None) -> list[Board]:
    """The boards that finished runs make up, each with its entries in order of standing.

    designs: name -> sequences that make one board together (the suite's own where None). A design's board shows the entries that have
    all its orders; the boards of its orders but the first are left out where it is there. `UserError` for no runs at all.
    """
    if not runs:
        raise UserError("no runs to report: name run folders, as `python -m bench list runs` shows them")
    keyed: dict[tuple[str, ...], dict[str, list[Run]]] = {}
    for run in runs:
        if not run.manifest["spec"]["null"]:
            keyed.setdefault(_key(run), {}).setdefault(run.manifest["spec"]["sequence"], []).append(run)
    found: list[Board] = []
    null = [run for run in runs if run.manifest["spec"]["null"] and run.manifest["method"]["name"] == "none"]
    for key, by_sequence in keyed.items():
        comparable = all(run.manifest["suite"]["comparable"] for part in by_sequence.values() for run in part)
        orders = _designs(by_sequence) if designs is None else designs
        hidden: set[str] = set()
        for design, sequences in orders.items():
            if all(sequence in by_sequence for sequence in sequences):
                together = [run for sequence in sequences for run in by_sequence[sequence]]
                board = _board(_name(key, design), comparable, together, _null_of(key, sequences, null), len(sequences))
                if board.entries:
                    found.append(board)
                    shown = {_identity(run) for entry in board.entries for run in entry.runs}
                    hidden |= {name for name in sequences[1:] if all(_identity(run) in shown for run in by_sequence[name])}
        for sequence, part in by_sequence.items():
            if sequence not in hidden:
                name = f"imported {'-'.join(part[0].sequence)}" if key[-1] else sequence
                found.append(_board(_name(key, name), comparable, part, _null_of(key, [sequence], null), 1))
    return sorted(found, key=lambda board: (board.targets != "single", board.sequence != "paper", board.title))


def _key(run: Run) -> tuple[str, ...]:
    """What runs of one board have in common beside their sequence."""
    spec, suite, model = (run.manifest[part] for part in ("spec", "suite", "model"))
    imported = hashlib.sha256("".join(spec["imported"]).encode()).hexdigest()[:8] if spec["imported"] else ""
    # The suite's own base is in its fingerprint.
    suite_id, base = (f"{suite['id']} {Path(model['name']).name}", model["content"]) if model["name"] else (suite["id"], "")
    return suite_id, suite["fingerprint"], base, run.manifest["numerics"]["device"], spec["targets"], imported


def _name(key: tuple[str, ...], sequence: str) -> tuple[str, str, str, str]:
    suite_id, _, _, device, targets, imported = key
    return suite_id, f"{sequence} {imported}".strip(), targets, device


def _null_of(key: tuple[str, ...], sequences: Sequence[str], null: Sequence[Run]) -> dict[str, tuple[Run, ...]]:
    """Null runs of a board's sequences; what their stages damage does not depend on anybody's targets."""
    fitting = [run for run in null if _key(run)[:4] == key[:4] and run.manifest["spec"]["sequence"] in sequences]
    after = {domain: one_each([run for run in fitting if run.manifest["spec"]["null"] == domain]) for domain in _null_domains(fitting)}
    return {domain: tuple(found) for domain, found in after.items()}


def _null_domains(null: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(run.manifest["spec"]["null"] for run in null))


def _designs(by_sequence: Mapping[str, Sequence[Run]]) -> Mapping[str, Sequence[str]]:
    """The designs of the suite that the runs name, where it is there to be read."""
    spec = next(iter(by_sequence.values()))[0].manifest["spec"]
    try:
        return load_suite(spec["suite"], quick=spec["quick"]).designs
    except UserError:
        return {}


def _board(
    name: tuple[str, str, str, str], comparable: bool, runs: Sequence[Run], null: Mapping[str, tuple[Run, ...]], orders: int
) -> Board:
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(_identity(run), []).append(run)
    whole = [part for part in grouped.values() if len({run.sequence for run in part}) == orders and one_each(part)]
    entries = []
    for label, part in zip(_labels(whole), whole, strict=True):
        counted = one_each(part)
        entries.append(Entry(label, tuple(counted), tuple(run for run in part if run not in counted)))
    board = Board(*name, comparable, (), null)

    def key(entry: Entry) -> tuple[bool, float, str]:
        standing = board.standing(entry)
        return standing is None, -(standing or 0.0), entry.label

    return Board(*name, comparable, tuple(sorted(entries, key=key)), board.null)


def _identity(run: Run) -> str:
    """What runs of one entry have in common: the method's name, settings, track and source."""
    method = run.manifest["method"]
    return repr([method[part] for part in ("name", "settings", "track", "source")])


def one_each(runs: Sequence[Run]) -> list[Run]:
    """One run a sequence and seed (the last of several), by sequence and seed, on the seeds that every sequence has."""
    found: dict[tuple[tuple[str, ...], int], Run] = {}
    for run in runs:
        found[run.sequence, run.seed] = run
    orders = {order for order, _ in found}
    shared = set.intersection(*({seed for order, seed in found if order == one} for one in orders)) if orders else set()
    return [run for (_, seed), run in sorted(found.items()) if seed in shared]


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A method's name, and where several of its settings are there, those that differ."""
    identities = [part[0].manifest["method"] for part in groups]
    labels = []
    for own in identities:
        siblings = [other["settings"] for other in identities if other["name"] == own["name"]]
        differing = [key for key in own["settings"] if len({repr(settings.get(key)) for settings in siblings}) > 1]
        labels.append(" ".join([own["name"], *(f"{key}={_plain(own['settings'][key])}" for key in differing)]))
    # The same name and settings, and other code behind them.
    return [f"{label} ({own['source'][:6]})" if labels.count(label) > 1 else label for label, own in zip(labels, identities, strict=True)]


def _plain(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list) else str(value)
