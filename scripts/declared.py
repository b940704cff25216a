"""A result that is declared before it is run: its parts, their runs and archives, and the command that runs and answers it.

A script such as scripts/second_result.py declares the parts and the questions, and calls `main`:

    python scripts/second_result.py run --first 0 --seeds 5 --out runs/second    # hours; rerun to resume
    python scripts/second_result.py texts --seeds 10 --out runs/second           # a minute a seed
    python scripts/second_result.py answer                                       # seconds, from the archives in docs/

`run` trains all parts together, keeps the run folders below --out, and archives the scores, without texts, in docs/NAME/; `texts` adds
what the models of a seed wrote. All parts of a seed must run on one type of CPU, because on another one the same seed is another draw;
different seeds may run on different machines. `answer` gives nothing until every declared run is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphs import computed

from bench.api import start
from bench.errors import UserError
from bench.files import write_bytes
from bench.options import Options
from bench.registry import describe, tuned_file
from bench.results.archive import archive_texts, read_archive, write_archive
from bench.results.boards import Board, Entry, boards
from bench.results.comparisons import Pair
from bench.results.run import Run, find_runs
from bench.runs import preflight
from bench.runs.compare import board_of, choices_of, plans_of
from bench.runs.plan import Plan, graph_of
from bench.runs.tune import Record
from bench.suite import load_suite

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Part:
    """Runs that make one board. methods: as `bench compare --methods` takes them, or "" for the baseline run with null stages; seeds: how
    many of the scored seeds; nulls: the targets after which stages are null, all of them by default."""

    methods: str
    targets: str
    sequence: str = "paper"
    seeds: int = 10
    suite: str = "micro"
    nulls: tuple[str, ...] = ()

    def options(self, first: int = 0, count: int | None = None) -> Options:
        """Those of its runs on some seeds, all of them by default."""
        seeds = self.seeds if count is None else count
        where = {"suite": self.suite, "targets": self.targets, "sequence": self.sequence, "device": "cpu"}
        return Options().but(**where, null=not self.methods, seed=first, seeds=seeds)

    def names(self, seed: int | None = None) -> list[str]:
        """Of all its run folders, or those of one seed."""
        options = self.options() if seed is None else self.options(seed, 1)
        return [plan.spec.folder_name() for plan in self.plans(options)]

    def plans(self, options: Options) -> list[Plan]:
        """Its runs under some of its options."""
        found = plans_of(choices_of(self.methods or "none", options), options)
        return [plan for plan in found if self.methods or not self.nulls or plan.spec.null in self.nulls]


Parts = Mapping[str, Part]
"""By name. A part without methods holds null stages."""


@dataclass(frozen=True)
class Declaration:
    """name: of the page and of the archives' folder in docs/; title: of the page of tables; tuned: whether every method that declares a
    search must have been tuned for the boards; answers: all tables, as Markdown."""

    name: str
    title: str
    parts: Parts
    tuned: bool
    answers: Callable[[Result], str]

    @property
    def archives(self) -> Path:
        return DOCS / self.name

    @property
    def seeds(self) -> int:
        return max(part.seeds for part in self.parts.values())


# --- running


def run(declared: Declaration, names: Sequence[str], first: int, count: int, out: Path, archives: Path, workers: int | None = None) -> None:
    """Run parts on the scored seeds from `first`, as far as they have them, and archive the scores. Their jobs are one graph, so that null
    stages train beside real ones. workers: processes (None: what the machine has cores and memory for). Errors as in `check_part`."""
    chosen: dict[str, tuple[list[Plan], Options]] = {}
    for name in names:
        part = declared.parts[name]
        seeds = min(count, part.seeds - first)
        if seeds > 0:
            options = part.options(first, seeds).but(out=out / name, jobs=workers)
            chosen[name] = part.plans(options), options
            check_part(part, *chosen[name], tuned=declared.tuned)
    if chosen:
        plans = [planned for own, _ in chosen.values() for planned in own]
        computed(graph_of(plans), plans, log="declared-", workers=workers)
    for name, (own, options) in chosen.items():
        archive(archives, name, start(own, options))


def check_part(part: Part, plans: Sequence[Plan], options: Options, *, tuned: bool) -> None:
    """`UserError` for a suite in the making, for what `bench.runs.preflight.check` refuses, and where a method should have been tuned as it
    is now."""
    if not load_suite(part.suite).comparable:
        raise UserError(f"suite {part.suite} is still in the making: scored seeds wait until its test bed is valid and its version is 1")
    if tuned:
        check_tuned(choices_of(part.methods or "none", options), options)
    preflight.check(plans, options)


def archive(archives: Path, part: str, runs: Sequence[Run]) -> None:
    """Archive the scores of a part's runs. `UserError` where an archive of the part, of whatever seeds, holds another training of one of
    them: the first one counts."""
    seeds = [one.seed for one in runs]
    for file in sorted(archives.glob(f"{part}-s*.zip")):
        known = {one.name: one.manifest.checkpoints for one in read_archive(file)}
        for one in runs:
            if known.get(one.name, one.manifest.checkpoints) != one.manifest.checkpoints:
                raise UserError(f"{file} holds another training of {one.name}, which counts: move it elsewhere and report both, or keep it")
    write_archive(archives / f"{part}-s{min(seeds)}-{max(seeds)}.zip", runs)


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


def keep_texts(parts: Parts, seed: int, out: Path, archives: Path) -> None:
    """Archive the answers and training logs of a seed's runs. `UserError` unless every declared run is there."""
    found = {name: [run for run in find_runs(out / name)[0] if run.seed == seed] for name in parts}
    for name, part in parts.items():
        check_complete(f"{out / name}: seed {seed}", part.names(seed) if seed < part.seeds else [], [run.name for run in found[name]])
    archive_texts(archives / f"texts-s{seed}.zip", [run for runs in found.values() for run in runs])


# --- the runs, read back


@dataclass(frozen=True)
class Result:
    """The board of each part, and the baseline runs with null stages."""

    parts: Parts
    boards: Mapping[str, Board]
    null: Sequence[Run]

    @classmethod
    def read(cls, parts: Parts, archives: Path) -> Result:
        """`UserError` unless every declared run is there, once, and nothing else."""
        runs = {name: [one for file in sorted(archives.glob(f"{name}-s*.zip")) for one in read_archive(file)] for name in parts}
        for name, part in parts.items():
            check_complete(f"{archives}: part {name}", part.names(), [one.name for one in runs[name]])
        everything = [one for part in runs.values() for one in part]
        check_one_training(archives, everything)
        check_one_version(archives, everything)
        null = [one for name, part in parts.items() if not part.methods for one in runs.pop(name)]
        by_part = {name: only_board(archives, name, parts[name], part) for name, part in runs.items()}
        return cls(parts, by_part, null)

    def entry(self, part: str, label: str) -> Entry:
        entries = {entry.label: entry for entry in self.boards[part].entries}
        if label not in entries:
            raise UserError(f"board {part} has no entry {label}; it has {', '.join(entries)}")
        return entries[label]

    def pairs(self, parts: Iterable[str], ones: Iterable[str], others: Iterable[str]) -> list[Pair]:
        """Each of `ones` against each of `others`, on the boards of the parts."""
        return [
            (self.entry(part, one), self.entry(part, other), self.parts[part].targets) for part in parts for one in ones for other in others
        ]


def only_board(archives: Path, name: str, part: Part, runs: Sequence[Run]) -> Board:
    """The board of a part. `UserError` where its suite or a method was changed between seeds."""
    found = [board for board in boards(runs) if board.sequence == part.sequence]
    if len(found) != 1:
        raise UserError(f"{archives}: part {name}: its runs are of {len(found)} versions of the suite: run the older ones again")
    for entry in found[0].entries:
        if len(entry.seeds) != part.seeds:
            raise UserError(f"{archives}: part {name}: {entry.label} was changed between seeds: run the older ones again")
    return found[0]


def check_complete(where: str, declared: Sequence[str], there: Sequence[str]) -> None:
    """`UserError` for a run that is missing, not declared, or there twice."""
    missing, extra = (sorted(set(a) - set(b)) for a, b in ((declared, there), (there, declared)))
    twice = sorted(name for name, count in Counter(there).items() if count > 1)
    rerun = "run what is declared with `run`"
    for problem, names, hint in (
        ("lacks", missing, rerun),
        ("has, not declared,", extra, rerun),
        ("has twice", twice, "remove one of the archives that hold it"),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise UserError(f"{where} {problem} {names[0]}{more}; {hint}")


def check_one_training(archives: Path, runs: Iterable[Run]) -> None:
    """`UserError` where runs of one seed and sequence have other checkpoints of a stage that they share: on two types of CPU a seed is two
    draws, which must not be compared."""
    known: dict[tuple[str, tuple[str, ...], int, str], str] = {}
    for one in runs:
        null, suite = one.manifest.spec.null, one.manifest.suite.id
        shared = one.rows.baseline[: one.sequence.index(null) + 2] if null else one.rows.baseline
        for row in shared:
            checkpoint = one.manifest.checkpoints[row.name]
            if known.setdefault((suite, one.sequence, one.seed, row.name), checkpoint) != checkpoint:
                raise UserError(f"{archives}: the parts of seed {one.seed} come from different trainings (see {one.name}, {row.name})")


def check_one_version(archives: Path, runs: Iterable[Run]) -> None:
    """`UserError` where runs of one suite are of two versions of it, those of one method of two sources, or those of one seed and suite
    of two kinds of arithmetic; and where the suite was still in the making."""
    known: dict[tuple[object, ...], object] = {}
    for one in runs:
        manifest = one.manifest
        suite, method = manifest.suite, manifest.method
        if not suite.comparable:
            raise UserError(f"{archives}: {one.name} was run while suite {suite.id} was still in the making")
        for what, key, value in (
            ("suite", (suite.id.partition("/")[0],), suite.fingerprint),
            ("method", (method.name,), method.source),
            ("numerics", (suite.id, one.seed), manifest.numerics),
        ):
            if known.setdefault((what, *key), value) != value:
                raise UserError(f"{archives}: {one.name}: its {what} is not that of other runs: run the older ones again")


def answered(introduction: str, questions: Mapping[str, Callable[[Result], str]], result: Result) -> list[str]:
    """Paragraphs of a page of tables: the introduction, and each question as a title with the table that answers it."""
    return [introduction, *(f"## {title}\n\n{answer(result)}" for title, answer in questions.items())]


def main(declared: Declaration, description: str) -> None:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train, repair, score and archive")
    running.add_argument("--parts", nargs="+", default=[*declared.parts], choices=[*declared.parts])
    running.add_argument("--jobs", type=int, metavar="N", help="worker processes, one thread each")
    keeping = commands.add_parser("texts", help="archive what the models wrote")
    for command in (running, keeping):
        seeds, last = declared.seeds, declared.seeds - 1
        command.add_argument("--first", type=int, default=0, choices=range(seeds), metavar="SEED", help=f"first scored seed, 0 to {last}")
        command.add_argument("--seeds", type=int, default=seeds, choices=range(1, seeds + 1), metavar="COUNT", help="how many seeds")
        command.add_argument("--out", type=Path, required=True)
    answering = commands.add_parser("answer", help="answer the questions from the archives")
    answering.add_argument("--out", type=Path)
    for command in (running, keeping, answering):
        command.add_argument("--archives", type=Path, default=declared.archives)
    options = parser.parse_args()
    try:
        if options.command == "run":
            run(declared, options.parts, options.first, options.seeds, options.out, options.archives, options.jobs)
            return
        if options.command == "texts":
            for seed in range(options.first, min(options.first + options.seeds, declared.seeds)):
                keep_texts(declared.parts, seed, options.out, options.archives)
            return
        text = declared.answers(Result.read(declared.parts, options.archives))
    except UserError as error:
        sys.exit(str(error))
    print(text)
    if options.out:
        write_bytes(options.out, f"# {declared.title}: tables\n\n{text}".encode())
