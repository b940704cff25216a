"""Boards: which runs compare with which, and how they rank. No torch.

A board is a suite, a sequence (or a design of several), a choice of targets and a device; an entry is a method with one choice of
settings, over its seeds. Board `single` ranks by net recovery, board `all` by retention, both by greedy scores: sharpening alone lifts
scores at temperature 1. Controls and the reference line are shown at their position without a place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.results.comparisons import DEFAULT_FAMILIES, Comparison, Family, Places, compare, places, ranked_points
from bench.results.entries import FULL_SEEDS, Entry
from bench.results.estimates import Value, interference
from bench.results.frames import metrics_frame
from bench.results.measured import Measured
from bench.results.run import Run
from bench.suite import load_suite

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FULL_SEEDS", "RANKED_BY", "Board", "Comparison", "Entry", "Places", "boards", "one_each", "ranked_points"]

RANKED_BY = {"single": "net recovery", "all": "retention"}


@dataclass(frozen=True)
class Board:
    """device: with the generation backend where it is another than hf, as in "cuda vllm"; entries: in ranking order, those whose metric is
    undefined last; null: domain -> baseline runs with null stages after it, where there are any."""

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

    def standing(self, entry: Entry) -> float | None:
        """The board's metric, greedily; None where it is undefined."""
        return entry.metrics["greedy"][self.ranked_by].estimate

    def frame(self) -> pd.DataFrame:
        """`bench.results.frames.metrics_frame` of the entries, each described by entry, first and last place (missing for one without)."""
        found = self.places()

        def described(label: str) -> dict[str, object]:
            place = found.get(label)
            return {"entry": label, "first place": place and place.first, "last place": place and place.last}

        return metrics_frame((described(entry.label), entry.metrics) for entry in self.entries)

    def places(self) -> dict[str, Places]:
        """Label -> range of places, for the entries that have one (`bench.results.comparisons.places`)."""
        return places([e for e in self.entries if not e.unranked and self.standing(e) is not None], self.targets)

    def comparisons(
        self, decoding: str = "greedy", families: Sequence[Family] = DEFAULT_FAMILIES, planned: Collection[tuple[str, str]] = ()
    ) -> list[Comparison]:
        """The comparisons of the families, family by family (`bench.results.comparisons.compare`).

        planned: labels of pairs that were chosen before the data were seen; where any are given, the family "planned" is added. Estimates
        are given for every pair; a verdict needs five shared seeds.
        """
        asked = [*families, *(["planned"] if planned and "planned" not in families else [])]
        return [found for family in asked for found in compare(self.entries, family, self.targets, decoding, planned)]

    def null_pairs(self) -> dict[str, tuple[list[Run], list[Run]]]:
        """Domain -> runs with real and with null stages after it, pair by pair of one sequence and seed. Not of domains without pairs."""
        real = {(run.sequence, run.seed): run for entry in self.entries for run in entry.runs}
        shared = {domain: one_each([run for run in null if (run.sequence, run.seed) in real]) for domain, null in self.null.items()}
        return {domain: ([real[run.sequence, run.seed] for run in null], null) for domain, null in shared.items() if null}

    def interference(self, decoding: str = "greedy") -> dict[str, Value]:
        """Domain -> forgetting under real later stages minus that under null ones, in points, over `null_pairs`."""
        return {
            domain: interference(Measured.of(real, decoding), Measured.of(null, decoding), domain)
            for domain, (real, null) in self.null_pairs().items()
        }


def boards(runs: Sequence[Run], designs: Mapping[str, Sequence[str]] | None = None) -> list[Board]:
    """The boards that finished runs make up, each with its entries in ranking order.

    designs: name -> sequences that make one board together (the suite's own where None). A design's board shows the entries that have
    all its orders; the boards of its orders but the first are left out where it is there. `UserError` for no runs at all.
    """
    if not runs:
        raise UserError("no runs to report: name run folders, as `python -m bench list runs` shows them")
    keyed: dict[tuple[str, ...], dict[str, list[Run]]] = {}
    for run in runs:
        if not run.manifest.spec.null:
            keyed.setdefault(_key(run), {}).setdefault(run.manifest.spec.sequence, []).append(run)
    found: list[Board] = []
    null = [run for run in runs if run.manifest.spec.null and run.manifest.method.name == "none"]
    for key, by_sequence in keyed.items():
        comparable = all(run.manifest.suite.comparable for part in by_sequence.values() for run in part)
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
    manifest = run.manifest
    imported = hashlib.sha256("".join(manifest.spec.imported).encode()).hexdigest()[:8] if manifest.spec.imported else ""
    # The suite's own base is in its fingerprint.
    suite, model = manifest.suite, manifest.model
    suite_id, base = (f"{suite.id} {Path(model.name).name}", model.content) if model.name else (suite.id, "")
    suite_id += f" draw {manifest.spec.draw}" if manifest.spec.draw else ""
    device = manifest.numerics["device"] + ("" if manifest.spec.engine == "hf" else f" {manifest.spec.engine}")
    return suite_id, suite.fingerprint, base, device, manifest.spec.targets, imported


def _name(key: tuple[str, ...], sequence: str) -> tuple[str, str, str, str]:
    suite_id, _, _, device, targets, imported = key
    return suite_id, f"{sequence} {imported}".strip(), targets, device


def _null_of(key: tuple[str, ...], sequences: Sequence[str], null: Sequence[Run]) -> dict[str, tuple[Run, ...]]:
    """Null runs of a board's sequences; what their stages make the model forget does not depend on the targets."""
    fitting = [run for run in null if _key(run)[:4] == key[:4] and run.manifest.spec.sequence in sequences]
    after = {domain: one_each([run for run in fitting if run.manifest.spec.null == domain]) for domain in _null_domains(fitting)}
    return {domain: tuple(found) for domain, found in after.items() if found}


def _null_domains(null: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(run.manifest.spec.null for run in null))


def _designs(by_sequence: Mapping[str, Sequence[Run]]) -> Mapping[str, Sequence[str]]:
    """The designs of the suite that the runs name, where it is there to be read."""
    spec = next(iter(by_sequence.values()))[0].manifest.spec
    try:
        return load_suite(spec.suite, quick=spec.quick).designs
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
    method = run.manifest.method
    return repr([method.name, method.settings, method.track, method.source])


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
    identities = [part[0].manifest.method for part in groups]
    labels = []
    for own in identities:
        siblings = [other.settings for other in identities if other.name == own.name]
        differing = [key for key in own.settings if len({repr(settings.get(key)) for settings in siblings}) > 1]
        labels.append(" ".join([own.name, *(f"{key}={_plain(own.settings[key])}" for key in differing)]))
    # The same name and settings, and other code behind them.
    return [f"{label} ({own.source[:6]})" if labels.count(label) > 1 else label for label, own in zip(labels, identities, strict=True)]


def _plain(value: Any) -> str:
    return ":".join(map(str, value)) if isinstance(value, list) else str(value)
