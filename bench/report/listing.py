"""What `python -m bench list` and `show` print."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from bench.errors import UserError, nearest
from bench.registry import make_method, method_class, method_names, tuned_settings
from bench.report.answers import flip_rows, flipped, greedy_answers
from bench.report.words import shown
from bench.results.answers import Answer
from bench.results.estimates import Value
from bench.results.rows import Row
from bench.results.run import Run, find_runs
from bench.suite import load_suite, suite_names

KINDS = ("suites", "sequences", "tasks", "methods", "runs")


def listing(what: str, suite: str, out: Path) -> str:
    """One table, or all of them. `UserError` for an unknown kind."""
    if what not in (*KINDS, "all"):
        raise nearest("list", what, (*KINDS, "all"))
    tables = {"suites": _suites, "sequences": _sequences, "tasks": _tasks, "methods": _methods}
    parts = [f"{kind}\n{_indented(tables[kind](suite))}" for kind in tables if what in (kind, "all")]
    if what in ("runs", "all"):
        parts.append(f"runs in {out}\n{_indented(_runs(out))}")
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _suites(suite: str) -> str:
    loaded = [load_suite(name) for name in suite_names()]
    rows = [[s.id, s.title, f"{s.rl['steps']} steps a stage", f"{s.test_items} test items a domain"] for s in loaded]
    return tabulate(rows, tablefmt="plain")


def _sequences(suite: str) -> str:
    return tabulate([[name, " → ".join(domains)] for name, domains in load_suite(suite).sequences.items()], tablefmt="plain")


def _tasks(suite: str) -> str:
    loaded = load_suite(suite)
    rows = []
    for domain, task in loaded.loaded_tasks.items():
        item = task.item("train", 0, 0)
        graded = "graded" if task.graded else "0 or 1"
        rows.append([domain, f"version {task.version}", loaded.task_hash(domain)[:12], graded, item.prompt, item.answer])
    header = ["domain", "", "code hash", "score", "example prompt", "its reference answer"]
    return tabulate(rows, header, tablefmt="plain", disable_numparse=True)


def _methods(suite: str) -> str:
    """With the settings that `run` gives them unless told otherwise: those that tuning chose for the suite's `paper`, targets `single`."""
    rows, board = [], load_suite(suite).board("paper", "single")
    for name in method_names():
        cls = method_class(name)
        method = make_method(name, tuned_settings(name, board))
        settings = " ".join(f"{key}={value}" for key, value in method.settings().items())
        module = inspect.getmodule(cls)
        first = (module.__doc__ or "").strip().partition("\n")[0] if module else ""
        rows.append([name, "control" if cls.controls else method.track, settings, first])
    return tabulate(rows, ["method", "track", f"settings on {board}", "what it does"], tablefmt="plain")


def _runs(out: Path) -> str:
    """A line a run with its stored recovery ratio, then a line for each folder that cannot be read."""
    runs, unreadable = find_runs(out)
    rows = []
    for run in runs:
        try:
            rows.append([run.name, run.manifest.suite.id, f"recovery ratio {_stored(run, 'recovery ratio')} (greedy)"])
        except UserError as error:
            unreadable.append(str(error))
    table = tabulate(rows, tablefmt="plain", disable_numparse=True)
    return "\n".join([*([table] if rows else []), *(f"unreadable: {line}" for line in unreadable)]) or "none"


def _stored(run: Run, metric: str) -> str:
    """A metric as the run stored it. `UserError` where it did not."""
    try:
        return shown(metric, Value.from_json(run.metrics["greedy"][metric]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{run.folder / 'metrics.json'} has no {metric}: rerun the command") from error


def answers_text(run: Run, domain: str, count: int) -> str:
    """The first items of a domain: prompt, and the greedy answers of the base, after its own stage, after the last, and of the final
    model."""
    if domain not in run.sequence:
        raise nearest("domain of this run", domain, run.sequence)
    rows = dict.fromkeys([run.rows.baseline[0], *flip_rows(run, domain)])
    by_row = {row: greedy_answers(run, row, domain) for row in rows}
    first = by_row[run.rows.baseline[0]]
    lines = [[first[i].prompt, *(_marked(by_row[row][i]) for row in rows)] for i in range(min(count, len(first)))]
    header = ["prompt", *(row.title for row in rows)]
    title = f"{domain}, greedy answers (+ right, - wrong, ~ partly right, ? could not be parsed)"
    return f"{title}\n{tabulate(lines, header, tablefmt='simple', disable_numparse=True)}"


def _marked(answer: Answer) -> str:
    mark = "?" if not answer.parsed else "+" if answer.score == 1 else "-" if answer.score == 0 else "~"
    return f"{mark} {answer.answer}"


def flips_text(run: Run, domain: str, count: int) -> str:
    """Items lost since the domain's own stage in the baseline run, then all items that the final model gained or lost against its end."""
    found = flipped(run, domain)
    own, last, end = flip_rows(run, domain)
    parts = [_flip_table(run, domain, found["lost"], count, "lost", own, last)]
    if end != last:
        parts.append(_flip_table(run, domain, found["gained"], count, "gained", last, end))
        parts.append(_flip_table(run, domain, found["newly_lost"], count, "lost", last, end))
    return "\n\n".join(parts) + "\n"


def _flip_table(run: Run, domain: str, items: Sequence[int], count: int, what: str, before: Row, after: Row) -> str:
    old, new = ({answer.item: answer for answer in greedy_answers(run, row, domain)} for row in (before, after))
    lines = [[item, old[item].prompt, old[item].answer, new[item].answer] for item in items[:count]]
    title = f"{domain}: {len(items)} items {what} between {before.title} and {after.title}"
    return f"{title}\n{tabulate(lines, ['item', 'prompt', before.title, after.title], tablefmt='simple', disable_numparse=True)}"
