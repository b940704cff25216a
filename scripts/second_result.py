"""The second result: runs what docs/second-result.md declares, and answers its questions from the scores.

    python scripts/second_result.py run --first 0 --seeds 5 --out runs/second    # hours; rerun to resume
    python scripts/second_result.py run --first 5 --seeds 5 --out runs/second
    python scripts/second_result.py texts --seeds 10 --out runs/second           # a minute a seed
    python scripts/second_result.py answer --out docs/second-result-tables.md    # seconds, from the archives in docs/second-result/

`run` keeps the run folders below --out and the scores, without texts, in docs/second-result/; `texts` adds what the models of a seed wrote.
All parts of a seed must run on one type of CPU, because on another one the same seed is another draw; different seeds may run on different
machines. `answer` gives nothing until every declared run is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from second_result_tables import REPAIR, STEPS, answers

from bench.api import compare, run
from bench.errors import UserError
from bench.files import write_bytes
from bench.options import Options
from bench.registry import describe, tuned_file
from bench.results.archive import read_archive, write_archive, write_texts
from bench.results.boards import Board, Entry, boards
from bench.results.comparisons import Pair
from bench.results.run import Run, find_runs
from bench.runs.compare import board_of, choices_of, plans_of
from bench.runs.tune import Record
from bench.suite import SCORED_SEEDS, load_suite

ARCHIVES = Path(__file__).parents[1] / "docs" / "second-result"
_STEPS, _ALPHAS, _SHARES = f"steps={','.join(map(str, STEPS))}", "alphas=0.25:,0.5:,0.75:", "share=0.01,0.03,0.1,0.3;step=1"


@dataclass(frozen=True)
class Part:
    """Runs that make one board. methods: as `bench compare --methods` takes them, or "" for the baseline run with null stages; seeds: how
    many of the scored seeds."""

    methods: str
    targets: str
    sequence: str = "paper"
    seeds: int = 10

    def options(self, first: int = 0, count: int | None = None) -> Options:
        """Those of its runs on some seeds, all of them by default."""
        seeds = self.seeds if count is None else count
        return Options().but(targets=self.targets, sequence=self.sequence, null=not self.methods, device="cpu", seed=first, seeds=seeds)

    def names(self, seed: int | None = None) -> list[str]:
        """Of all its run folders, or those of one seed."""
        options = self.options() if seed is None else self.options(seed, 1)
        return [plan.spec.folder_name() for plan in plans_of(choices_of(self.methods or "none", options), options)]


PARTS: Mapping[str, Part] = {
    "single": Part("all", "single"),
    "all": Part("all", "all"),
    "null": Part("", "all"),
    "balanced": Part(
        f"none,shrink,revert,interpolate,random,refresh,relearn,rollback,mean_imm,mode_imm,stage_ties,opd,{REPAIR}", "all", "balanced", 5
    ),
    "curve": Part(f"none,refresh[{_STEPS}],relearn[{_STEPS}]", "single", seeds=5),
    "shares": Part(f"none,shrink[{_ALPHAS}],interpolate[{_ALPHAS}],rollback[{_SHARES}],random[{_SHARES}]", "single", seeds=5),
}


# --- running


def run_part(name: str, first: int, count: int, out: Path, archives: Path) -> None:
    """Run a part on the scored seeds from `first`, as far as it has them, and archive the scores. `UserError` where a method was not tuned
    as it is now."""
    part = PARTS[name]
    stop = min(first + count, part.seeds)
    if first >= stop:
        return
    options = part.options(first, stop - first)
    check_tuned(choices_of(part.methods or "none", options), options)
    where = {key: getattr(options, key) for key in ("sequence", "targets", "device", "seed", "seeds")} | {"out": out / name}
    finished = compare(part.methods, **where) if part.methods else run("none", null=True, **where)
    write_archive(archives / f"{name}-s{first}-{stop - 1}.zip", finished)


def check_tuned(choices: Iterable[tuple[str, Mapping[str, object]]], options: Options) -> None:
    """`UserError` unless every method that declares a search was tuned for the board, on this suite and with its present code."""
    fingerprint = load_suite(options.suite).fingerprint()
    for method in dict.fromkeys(method for method, _ in choices):
        described = describe(method)
        if not described.search:
            continue
        file = tuned_file(described.record)
        boards = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        record = boards.get(board_of(options))
        known = Record.model_validate(record) if record else None
        if known is None or known.fingerprint != fingerprint or known.method.source != described.record.source:
            command = f"python -m bench tune --method {method} --targets {options.targets}"
            raise UserError(f"{method} was not tuned for {board_of(options)} as it is now: run `{command}`")


def keep_texts(seed: int, out: Path, archives: Path) -> None:
    """Archive the answers and training logs of a seed's runs. `UserError` unless every declared run is there."""
    found = {name: [run for run in find_runs(out / name)[0] if run.seed == seed] for name in PARTS}
    for name, part in PARTS.items():
        check_complete(f"{out / name}: seed {seed}", part.names(seed) if seed < part.seeds else [], [run.name for run in found[name]])
    write_texts(archives / f"texts-s{seed}.zip", [run for runs in found.values() for run in runs])


# --- the runs, read back


@dataclass(frozen=True)
class Result:
    """The board of each part, and the baseline runs with null stages."""

    boards: Mapping[str, Board]
    null: Sequence[Run]

    @classmethod
    def read(cls, archives: Path) -> Result:
        """`UserError` unless every declared run is there, once, and nothing else."""
        runs = {name: [one for file in sorted(archives.glob(f"{name}-s*.zip")) for one in read_archive(file)] for name in PARTS}
        for name, part in PARTS.items():
            check_complete(f"{archives}: part {name}", part.names(), [one.name for one in runs[name]])
        check_one_training(archives, [one for part in runs.values() for one in part])
        null = runs.pop("null")
        by_part = {name: [board for board in boards(part) if board.sequence == PARTS[name].sequence] for name, part in runs.items()}
        return cls({name: board for name, (board,) in by_part.items()}, null)

    def entry(self, part: str, label: str) -> Entry:
        entries = {entry.label: entry for entry in self.boards[part].entries}
        if label not in entries:
            raise UserError(f"board {part} has no entry {label}; it has {', '.join(entries)}")
        return entries[label]

    def pairs(self, parts: Iterable[str], ones: Iterable[str], others: Iterable[str]) -> list[Pair]:
        """Each of `ones` against each of `others`, on the boards of the parts."""
        return [(self.entry(part, one), self.entry(part, other), PARTS[part].targets) for part in parts for one in ones for other in others]


def check_complete(where: str, declared: Sequence[str], there: Sequence[str]) -> None:
    """`UserError` for a run that is missing, not declared, or there twice."""
    missing, extra = (sorted(set(a) - set(b)) for a, b in ((declared, there), (there, declared)))
    twice = sorted(name for name, count in Counter(there).items() if count > 1)
    for problem, names in (("lacks", missing), ("has, not declared,", extra), ("has twice", twice)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(f"{where} {problem} {names[0]}{more}; see `python scripts/second_result.py run --help`")


def check_one_training(archives: Path, runs: Iterable[Run]) -> None:
    """`UserError` where runs of one seed and sequence have other checkpoints of a stage that they share: on two types of CPU a seed is two
    draws, which must not be compared."""
    known: dict[tuple[tuple[str, ...], int, str], str] = {}
    for one in runs:
        null = one.manifest.spec.null
        shared = one.rows.baseline[: one.sequence.index(null) + 2] if null else one.rows.baseline
        for row in shared:
            checkpoint = one.manifest.checkpoints[row.name]
            if known.setdefault((one.sequence, one.seed, row.name), checkpoint) != checkpoint:
                raise UserError(f"{archives}: the parts of seed {one.seed} come from different trainings (see {one.name}, {row.name})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train, repair, score and archive")
    running.add_argument("--parts", nargs="+", default=[*PARTS], choices=[*PARTS])
    keeping = commands.add_parser("texts", help="archive what the models wrote")
    for command in (running, keeping):
        command.add_argument("--first", type=int, default=0, choices=range(10), metavar="SEED", help="first scored seed, 0 to 9")
        command.add_argument("--seeds", type=int, default=5, choices=range(1, 11), metavar="COUNT", help="how many seeds, 1 to 10")
        command.add_argument("--out", type=Path, required=True)
    answering = commands.add_parser("answer", help="answer the questions from the archives")
    answering.add_argument("--out", type=Path)
    for command in (running, keeping, answering):
        command.add_argument("--archives", type=Path, default=ARCHIVES)
    options = parser.parse_args()
    try:
        if options.command == "run":
            for name in options.parts:
                run_part(name, options.first, options.seeds, options.out, options.archives)
            return
        if options.command == "texts":
            for seed in range(options.first, min(options.first + options.seeds, len(SCORED_SEEDS))):
                keep_texts(seed, options.out, options.archives)
            return
        text = answers(Result.read(options.archives))
    except UserError as error:
        sys.exit(str(error))
    print(text)
    if options.out:
        write_bytes(options.out, f"# The second result: tables\n\n{text}".encode())


if __name__ == "__main__":
    main()
