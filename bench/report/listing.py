"""What `python -m bench list` and `show` print."""

from __future__ import annotations

import inspect
from pathlib import Path

from tabulate import tabulate

from bench.errors import nearest
from bench.registry import make_method, method_class, method_names
from bench.report.answers import flip_rows, flipped, texts
from bench.results.run import Run, find_runs
from bench.suite import load_suite, suite_names

KINDS = ("suites", "sequences", "tasks", "methods", "runs")


def listing(what: str, suite: str, out: Path) -> str:
    """One table, or all of them. `UserError` for an unknown kind."""
    if what not in (*KINDS, "all"):
        raise nearest("kind of thing", what, (*KINDS, "all"))
    tables = {"suites": _suites, "sequences": _sequences, "tasks": _tasks, "methods": _methods}
    parts = [f"{kind}\n{_indented(tables[kind](suite))}" for kind in tables if what in (kind, "all")]
    if what in ("runs", "all"):
        parts.append(f"runs in {out}\n{_indented(_runs(out))}")
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _suites(suite: str) -> str:
    loaded = [load_suite(name) for name in suite_names()]
    return tabulate([[s.id, s.title, f"{s.rl['steps']} steps a stage", f"{s.test_items} test items"] for s in loaded], tablefmt="plain")


def _sequences(suite: str) -> str:
    return tabulate([[name, " -> ".join(domains)] for name, domains in load_suite(suite).sequences.items()], tablefmt="plain")


def _tasks(suite: str) -> str:
    loaded = load_suite(suite)
    rows = []
    for domain, task in loaded.loaded_tasks.items():
        item = task.item("train", 0, 0)
        graded = "graded" if task.graded else "0 or 1"
        rows.append([domain, f"version {task.version}", loaded.task_hash(domain)[:12], graded, item.prompt, item.answer])
    return tabulate(rows, ["domain", "", "hash", "score", "a prompt", "its canonical answer"], tablefmt="plain", disable_numparse=True)


def _methods(suite: str) -> str:
    rows = []
    for name in method_names():
        cls = method_class(name)
        method = make_method(name, {})
        settings = " ".join(f"{key}={value}" for key, value in method.settings().items())
        module = inspect.getmodule(cls)
        first = (module.__doc__ or "").strip().partition("\n")[0] if module else ""
        rows.append([name, "control" if cls.controls else method.track, settings, first])
    return tabulate(rows, tablefmt="plain")


def _runs(out: Path) -> str:
    rows = []
    for run in find_runs(out):
        recovery = run.metrics["greedy"]["recovery ratio"]["estimate"]
        shown = "undefined" if recovery is None else f"{recovery:.2f}"
        rows.append([run.name, run.manifest["suite"]["id"], "recovery ratio (greedy)", shown])
    return tabulate(rows, tablefmt="plain", disable_numparse=True) or "none"


def answers_text(run: Run, domain: str, count: int) -> str:
    """The first items of a domain: prompt, and the greedy answer in the base, after its own stage, after the last, and at the end."""
    rows = _answers_by_row(run, domain)
    names = list(rows)
    lines = [[rows[names[0]][i]["prompt"], *(_marked(rows[name][i]) for name in names)] for i in range(count)]
    return f"{domain}, greedy answers (+ right, - wrong, ~ in part, ? unparsable)\n" + tabulate(
        lines, ["prompt", *names], tablefmt="simple", disable_numparse=True
    )


def flips_text(run: Run, domain: str, count: int) -> str:
    """Items lost since the domain's own stage in the plain run, and of all items those the end won or lost against the last stage."""
    found = flipped(run, domain)
    own, last, end = flip_rows(run, domain)
    parts = [_flip_table(run, domain, found["lost"], count, "lost", own, last)]
    if end != last:
        parts.append(_flip_table(run, domain, found["won"], count, "won", last, end))
        parts.append(_flip_table(run, domain, found["fell"], count, "lost", last, end))
    return "\n\n".join(parts) + "\n"


def _flip_table(run: Run, domain: str, items: list[int], count: int, what: str, before: str, after: str) -> str:
    names = dict(zip(flip_rows(run, domain), ("own", "baseline", "final"), strict=True))
    lines = [[text["item"], text["prompt"], text[names[before]], text[names[after]]] for text in texts(run, domain, items[:count])]
    title = f"{domain}: {len(items)} items {what} between {before} and {after}"
    return title + "\n" + tabulate(lines, ["item", "prompt", before, after], tablefmt="simple", disable_numparse=True)


def _answers_by_row(run: Run, domain: str) -> dict[str, list[dict]]:
    if domain not in run.sequence:
        raise nearest("domain of this run", domain, run.sequence)
    own = run.sequence.index(domain) + 1
    plain, end = run.rows["baseline"], run.rows["final"][0]
    names = dict.fromkeys([plain[0], plain[own], plain[-1], end])
    return {name: [a for a in run.answers(name) if a["domain"] == domain and a["decoding"] == "greedy"] for name in names}


def _marked(answer: dict) -> str:
    mark = "?" if not answer["parsed"] else "+" if answer["score"] == 1 else "-" if answer["score"] == 0 else "~"
    return f"{mark} {answer['answer']}"
