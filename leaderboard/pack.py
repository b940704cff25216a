"""Makes a submission's folder from finished runs: fills in what can be determined, and leaves placeholders for the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import file_hash, remove, write_bytes
from bench.registry import describe, tuned_file
from bench.results.run import MANIFEST, Run, find_runs, load_run, means
from bench.spec import MethodRecord
from bench.suite import Suite, load_suite
from leaderboard.files import packed
from leaderboard.limits import SEEDS
from leaderboard.plain import NAME_WORDS
from leaderboard.rows import Cell, RowOfAnswers, Written, cells_of, digest_of, pack_rows
from leaderboard.runs import run_file
from leaderboard.submission import FILE, LOGS, METHOD_FILE, PLACEHOLDER, README, SCHEMA, Submission, is_name
from leaderboard.verify.claims import claimed
from tasks.own_files import OwnFiles


@dataclass(frozen=True)
class Words:
    """What only the author knows; placeholders, and None for numbers, where it is not given. tuning_seeds, configurations_tried: None
    takes them from the record of tuning, where there is one."""

    title: str = f"{PLACEHOLDER}: one line"
    authors: tuple[str, ...] = (f"{PLACEHOLDER}: a name",)
    code_licence: str = f"{PLACEHOLDER}: an identifier of SPDX, such as Apache-2.0"
    data_licence: str = f"{PLACEHOLDER}: an identifier of SPDX, such as CC-BY-4.0"
    paper: str = ""
    code: str = ""
    tuning_seeds: tuple[int, ...] | None = None
    configurations_tried: int | None = None
    scored_runs_seen: int | None = None
    external_data: str = f"{PLACEHOLDER}: data beyond the suite's, or none"
    external_compute: str = f"{PLACEHOLDER}: compute that the harness does not count, or none"
    readme: str = f"# {PLACEHOLDER}: the method's name\n\n{PLACEHOLDER}: what it does, and why it should work.\n"


def pack(runs: Sequence[Run], name: str, out: Path, words: Words | None = None, rows_from: Submission | None = None) -> Path:
    """The folder `out`/`name` of a submission, made from the runs of one method on one board, whole or not at all.

    rows_from: a submission whose rows of answers are named and not stored again. `UserError` for a name that is none or is taken, and where
    the runs are no entry: of several methods or boards, quick, null or imported, of other seeds than the rules allow, or of a method in
    several files.
    """
    words, folder = words or Words(), out / name
    if not is_name(name):
        raise UserError(f"--name {name!r}: use {NAME_WORDS}")
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder}: already there; remove it to pack again, or choose another --name")
    suite = check_entry(runs)
    stored = set(rows_from.rows) if rows_from is not None else set()
    answers: dict[str, RowOfAnswers] = {}
    logs: dict[str, str] = {}
    files: dict[str, bytes] = {README: words.readme.encode()}
    for run in sorted(runs, key=lambda run: (run.manifest.spec.sequence, run.seed)):
        entry = _run_entry(run, answers, stored, logs)
        files[run_file(run.manifest.spec.sequence, run.seed)] = _json(entry)
    files |= pack_rows(list(answers.values()), cells_of(runs[0].sequence))
    if logs:
        files[LOGS] = packed(json.dumps([digest, text]).encode() for digest, text in sorted(logs.items()))
    method = runs[0].manifest.method
    if not method.from_package:
        files[METHOD_FILE] = _method_file(method.reference).read_bytes()
    content = _submission(runs, name, suite, words, tuple(answers), rows_from.name if rows_from is not None else "")
    unfinished = out / f".{name}.unfinished"
    remove(unfinished)
    for path, data in files.items():
        write_bytes(unfinished / path, data)
    content["files"] = {path: file_hash(unfinished / path) for path in sorted(files) if path != README}
    write_bytes(unfinished / FILE, _json(content))
    unfinished.rename(folder)
    return folder


def runs_below(places: Sequence[Path], method: str = "") -> list[Run]:
    """The runs in folders, each a run's folder or one that holds such folders; only those of a method where one is given, by its name, its
    class, or FILE:Class. `UserError` where there are none."""
    found: list[Run] = []
    for place in places:
        if (place / MANIFEST).exists():
            found.append(load_run(place))
        else:
            inside, unreadable = find_runs(place)
            if unreadable:
                raise UserError(unreadable[0])
            found += inside
    chosen = [run for run in {run.folder.resolve(): run for run in found}.values() if not method or _is_of(run.manifest.method, method)]
    if not chosen:
        names = sorted({run.manifest.method.reference for run in found})
        raise UserError(
            f"no runs of {method} in these folders; they hold runs of {', '.join(names)}"
            if names
            else f"{places[0]}: contains no finished runs"
        )
    return chosen


def _is_of(record: MethodRecord, method: str) -> bool:
    """Whether a record is of a method as a user names it."""
    file, colon, name = method.rpartition(":")
    if not colon:
        return record.name == method
    return record.name == name and Path(record.reference.rpartition(":")[0]).resolve() == Path(file).resolve()


def check_entry(runs: Sequence[Run]) -> Suite:
    """The suite of runs that make up one entry. `UserError` as for `pack`."""
    if not runs:
        raise UserError("no runs: name the folders of one method's runs, as `python -m bench list runs` shows them")
    first, one_entry = runs[0].manifest, "name only the run folders of one entry"
    suite = load_suite(first.spec.suite)
    for run in runs:
        spec, manifest = run.manifest.spec, run.manifest
        for wrong, what in (
            (spec.quick, "a quick run cannot be submitted: run it again without --quick"),
            (not manifest.suite.comparable, f"suite {manifest.suite.id} was under development; its runs cannot be submitted"),
            (bool(spec.null), "runs with null stages cannot be submitted"),
            (bool(spec.draw), "runs on a draw from the reserve cannot be submitted"),
            (spec.engine != "hf", "answers of another engine cannot be submitted: run it again with --engine hf"),
            (bool(spec.imported), "imported checkpoints cannot be submitted: the harness must train them"),
            (bool(spec.model) or suite.base is None, "used another model than the suite's own base"),
            (
                manifest.suite.fingerprint != suite.fingerprint(),
                f"used another version of suite {suite.name}: run it again",
            ),
        ):
            if wrong:
                raise UserError(f"{run.folder}: {what}")
        for what, hint, one, other in (
            ("methods", "choose one with --method", first.method.reference, manifest.method.reference),
            ("settings", one_entry, first.method.settings, manifest.method.settings),
            ("versions of their method", "run the older ones again", first.method, manifest.method),
            ("suites", one_entry, first.suite.fingerprint, manifest.suite.fingerprint),
            ("targets", one_entry, first.spec.targets, spec.targets),
            ("devices", one_entry, first.numerics["device"], manifest.numerics["device"]),
        ):
            if one != other:
                raise UserError(f"{runs[0].folder} and {run.folder} have different {what}; {hint}")
    found = Counter((run.manifest.spec.sequence, run.seed) for run in runs)
    seeds = tuple(sorted({seed for _, seed in found}))
    allowed = " or ".join(f"{each[0]} to {each[-1]}" for each in SEEDS)
    if seeds not in SEEDS:
        raise UserError(f"{runs[0].folder}: seeds {', '.join(map(str, seeds))}: an entry has exactly the seeds {allowed}")
    needed = {(sequence, seed) for sequence in suite.orders(_sequence(runs, suite)) for seed in seeds}
    missing = sorted(needed - set(found))
    twice = sorted(key for key, count in found.items() if count > 1)
    if missing:
        raise UserError(f"{runs[0].folder}: an entry has one run for each order and seed; missing: {missing[0][0]} seed {missing[0][1]}")
    if twice:
        one, other, *_ = (run.folder for run in runs if (run.manifest.spec.sequence, run.seed) == twice[0])
        raise UserError(f"{one} and {other} are both of {twice[0][0]}, seed {twice[0][1]}: name only the folders of one entry")
    return suite


def _sequence(runs: Sequence[Run], suite: Suite) -> str:
    """The sequence of the runs, or the design that theirs make up."""
    sequences = sorted({run.manifest.spec.sequence for run in runs})
    if len(sequences) == 1:
        return sequences[0]
    for design, orders in suite.designs.items():
        if sorted(orders) == sequences:
            return design
    raise UserError(f"{runs[0].folder}: the sequences {', '.join(sequences)} do not form a design of suite {suite.name}; pack one sequence")


def _method_file(reference: str) -> Path:
    """A user's method. `UserError` where it is not one file, or no longer there."""
    file = Path(reference.partition(":")[0])
    if not file.is_file():
        raise UserError(f"{file}: no such file: restore the method's file that the runs used")
    own = OwnFiles.of(file)
    beside = [*own.modules[1:], *own.data]
    if beside:
        raise UserError(f"{file}: it uses {own.name(beside[0])}; a submitted method is one file, so put everything into it and run again")
    return file


def _run_entry(run: Run, answers: dict[str, RowOfAnswers], stored: set[str], logs: dict[str, str]) -> dict[str, Any]:
    """A run's file. Adds its rows to `answers`, unless they are `stored` elsewhere, and its logs to `logs`."""
    manifest = run.manifest
    digests, own_logs = {}, {}
    for row in run.rows.distinct():
        content = row_of(run, row.name)
        digest = digests[row.name] = digest_of(content)
        if digest not in stored:
            answers.setdefault(digest, content)
        names = run.training_files(row)
        if names and row.part != "baseline":
            own_logs[row.name] = [manifest.files[name] for name in names]
            logs |= {manifest.files[name]: run.file(name).decode() for name in names}
    return {
        "sequence": manifest.spec.sequence,
        "seed": run.seed,
        "checkpoints": manifest.checkpoints,
        "rows": digests,
        "logs": own_logs,
        "scores": means(run.tables, run.sequence),
        "cost": manifest.cost.model_dump(mode="json"),
        "numerics": manifest.numerics,
        "versions": manifest.versions,
    }


def row_of(run: Run, name: str) -> RowOfAnswers:
    """The answers of one of a run's rows."""
    (row,) = (row for row in run.rows.distinct() if row.name == name)
    found: dict[Cell, list[Written]] = {}
    for answer in sorted(run.answers(row), key=lambda answer: answer.item):
        found.setdefault((answer.domain, answer.decoding), []).append(Written(answer.answer, answer.ended))
    return found


def _submission(runs: Sequence[Run], name: str, suite: Suite, words: Words, columns: tuple[str, ...], rows_from: str) -> dict[str, Any]:
    manifest = runs[0].manifest
    method, spec = manifest.method, manifest.spec
    tuned = _tuning(runs, suite)
    tried = words.configurations_tried if words.configurations_tried is not None else len(tuned.get("trials", [])) or None
    recorded = tuned.get("seeds", [] if method.from_package else None)  # a method of the package without a record was not tuned
    seeds = recorded if words.tuning_seeds is None else list(words.tuning_seeds)
    machines = {f"{run.manifest.numerics['device']} {run.manifest.numerics['capability']}".strip() for run in runs}
    claim = {d: {metric: value.model_dump() for metric, value in values.items()} for d, values in claimed(runs, spec.targets).items()}
    return {
        "schema": SCHEMA,
        "name": name,
        "title": words.title,
        "authors": list(words.authors),
        "licences": {"code": words.code_licence, "data": words.data_licence},
        "paper": words.paper,
        "code": words.code,
        "method": {
            "reference": method.reference if method.from_package else f"{METHOD_FILE}:{method.name}",
            "settings": method.settings,
            "source": method.source,
            "track": method.track,
            "control": method.control,
            "own_stages": method.own_stages,
            "repairs": method.repairs,
        },
        "board": {
            "suite": suite.name,
            "fingerprint": manifest.suite.fingerprint,
            "base": manifest.model.content,
            "sequence": _sequence(runs, suite),
            "targets": spec.targets,
            "device": manifest.numerics["device"],
        },
        "seeds": sorted({run.seed for run in runs}),
        "hardware": ", ".join(sorted(machines)),
        "declared": {
            "tuning_seeds": seeds,
            "configurations_tried": tried,
            "scored_runs_seen": words.scored_runs_seen,
            "external_data": words.external_data,
            "external_compute": words.external_compute,
            "earlier_entries": [],
        },
        "claim": claim,
        "rows_from": rows_from,
        "rows": list(columns),
    }


def _tuning(runs: Sequence[Run], suite: Suite) -> Mapping[str, Any]:
    """The record of the method's tuning on the runs' board, or of that of the method whose settings it takes; empty where there is none."""
    method = runs[0].manifest.method
    board = suite.board(_sequence(runs, suite), runs[0].manifest.spec.targets)
    follows = describe(method.reference).follows if method.from_package else ""
    file = tuned_file(describe(follows).record if follows else method)
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get(board, {}) if file.exists() else {}
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
