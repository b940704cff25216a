"""What pydantic finds wrong with a file, in plain words."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from leaderboard.problems import Problem
from leaderboard.submission import FORMS

_FLAWS = {
    "extra_forbidden": "no such field: remove it",
    "json_invalid": "not readable as JSON",
    "missing": "missing",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 18 digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} of them, not {actual_length}",
    "too_long": "must have at most {max_length} of them, not {actual_length}",
    "string_too_long": "must have at most {max_length} characters",
}
"""pydantic's names of flaws, and what we say."""


def flaws(path: str, error: ValidationError) -> list[Problem]:
    """All of them, each once."""
    found = error.errors(include_url=False, include_input=False)
    inner = {flaw["loc"][:-1] for flaw in found if len(flaw["loc"]) > 1}
    outer = [flaw for flaw in found if flaw["loc"] not in inner]  # a list without its bad items is not too short as well
    return list(dict.fromkeys(Problem(path, ".".join(map(str, flaw["loc"])), _words(flaw)) for flaw in outer))


def _words(flaw: ErrorDetails) -> str:
    kind, bounds = flaw["type"], flaw.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"must be {FORMS.get(bounds['pattern'], 'of the form ' + bounds['pattern'])}"
    return _FLAWS[kind].format(**bounds) if kind in _FLAWS else flaw["msg"].removeprefix("Value error, ")
