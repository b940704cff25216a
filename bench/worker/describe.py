"""A process that reads a user's method file and says what is in it: `python -P -m bench describe FILE:CLASS CHOICES`.

The answer is one line of JSON on standard output; whatever the file prints goes to standard error.
"""

from __future__ import annotations

import json
import os


def main(reference: str, choices: str) -> None:
    """Print {"methods": [...]} for a JSON list of choices of settings, or {"error": one line}."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from bench.errors import UserError
    from bench.registry import described

    try:
        answer = {"methods": [described(reference, settings).model_dump(mode="json") for settings in json.loads(choices)]}
    except (UserError, OSError) as error:
        answer = {"error": str(error)}
    out.write(json.dumps(answer) + "\n")
    out.flush()
