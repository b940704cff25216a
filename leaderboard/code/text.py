"""The text of a method: where it lies, and whether it is plain enough to be read by people."""

from __future__ import annotations

import re
from pathlib import Path

import baselines
from leaderboard.files import read_bytes
from leaderboard.limits import MAX_CODE
from leaderboard.plain import first_invisible
from leaderboard.problems import RefusedError
from leaderboard.submission import METHOD_FILE

UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises for text that is no program, or for one that is too deep."""
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_LAYOUT = "\t\n\r\f"


def packaged_file(name: str) -> Path:
    """The file of a method of the package."""
    return Path(baselines.__file__).parent / f"{name}.py"


def method_text(folder: Path) -> str:
    """The text of a submission's method.py. `RefusedError` where it is missing, too long, not plain UTF-8, or has invisible characters."""
    content = read_bytes(folder, METHOD_FILE, MAX_CODE, "a method")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(METHOD_FILE, "", "not readable as Python: must be UTF-8") from error
    place = first_invisible(text, allowed=_LAYOUT)
    if place is not None:
        line = text.count("\n", 0, place) + 1
        reason = f"has the invisible character U+{ord(text[place]):04X}, which can make code look like other code: remove it"
        raise RefusedError(METHOD_FILE, f"line {line}", reason)
    for line in text.splitlines()[:2]:
        cookie = _COOKIE.match(line)
        if cookie and cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise RefusedError(METHOD_FILE, "", f"declares the encoding {cookie[1]}: must be UTF-8")
    return text
