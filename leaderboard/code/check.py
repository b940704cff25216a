"""Whether a method's code is what a submission says of it."""

from __future__ import annotations

import ast
from pathlib import Path

from leaderboard.code.facts import Facts, facts_of
from leaderboard.code.lint import lint
from leaderboard.code.text import UNREADABLE, method_text, packaged_file
from leaderboard.problems import Problem, RefusedError
from leaderboard.submission import FILE, METHOD_FILE, MethodEntry
from tasks.source import lone_source_hash, source_hash


def check_code(folder: Path, method: MethodEntry) -> tuple[Facts | None, list[Problem]]:
    """What the code declares, and whether it is what the submission says; warnings are what a maintainer should look at."""
    try:
        text = _packaged_text(method.reference) if method.from_package else method_text(folder)
        facts = facts_of(text, "" if method.from_package else method.name)
        problems = [] if method.from_package else list(lint(ast.parse(text)))
        source = _source(method, text)
    except RefusedError as refused:
        return None, [refused.problem]
    except UNREADABLE as error:
        place = f"line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        return None, [Problem(METHOD_FILE, place, f"not readable as Python: {said}")]
    if facts is None:
        return None, [*problems, Problem(METHOD_FILE, "", f"defines no class {method.name} that subclasses bench.method.Method")]
    for name in ("track", "control", "own_stages", "repairs"):
        said, found = getattr(method, name), getattr(facts, name)
        if said != found:
            reason = f"is {said!r}, but the code of {method.name} implies {found!r}"
            unsure = f" ({facts.unsure}: a maintainer must read the code)" if facts.unsure else ": pack again"
            problems.append(Problem(FILE, f"method.{name}", reason + unsure, warning=bool(facts.unsure)))
    another = source != method.source
    for setting in sorted(facts.settings ^ set(method.settings)):
        reason = "missing" if setting in facts.settings else f"{method.name} has no such setting"
        warning = bool(facts.unsure) or (another and method.from_package)
        problems.append(Problem(FILE, f"method.settings.{setting}", reason + ": pack again", warning=warning))
    if not method.from_package and facts.control:
        problems.append(Problem(METHOD_FILE, "controls", "only methods of the package can be controls"))
    if another:
        reason = f"the runs used another version of {method.reference} than this package has"
        if not method.from_package:
            reason = "not the code that the runs used (method.source): submit the file that ran"
        problems.append(Problem(FILE if method.from_package else METHOD_FILE, "", reason, warning=method.from_package))
    return facts, problems


def _packaged_text(name: str) -> str:
    file = packaged_file(name)
    if not file.is_file():
        raise RefusedError(FILE, "method.reference", f"this package has no method {name!r}")
    return file.read_text(encoding="utf-8")


def _source(method: MethodEntry, text: str) -> str:
    if method.from_package:
        return source_hash(packaged_file(method.reference), "baselines", f"baselines.{method.reference}")
    return lone_source_hash(text, "baselines")
