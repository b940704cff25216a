"""The rules as text, with the numbers of `leaderboard.limits`. `RULES.md` is this text; a test compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.costs import TRACK_LIMITS
from bench.suite import DEVELOPMENT_SEEDS
from leaderboard import limits
from leaderboard.code import ALLOWED_MODULES
from leaderboard.verdicts import MEANINGS, RANKED


def rules() -> str:
    """RULES.md."""
    own = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return own.get_template("rules.md.j2").render(**_numbers())


def _numbers() -> dict[str, Any]:
    box = limits.Limits()
    plain = sorted(ALLOWED_MODULES - {"__future__", "baselines"})
    return {
        "seeds": " or ".join(f"{seeds[0]} to {seeds[-1]}" for seeds in limits.SEEDS),
        "development": f"{DEVELOPMENT_SEEDS[0]} to {DEVELOPMENT_SEEDS[-1]}",
        "code": limits.MAX_CODE // 1000,
        "modules": ", ".join(f"`{name}`" for name in plain),
        "literal": f"{limits.MAX_LITERAL:,}",
        "files": limits.MAX_FILES,
        "bytes": limits.MAX_BYTES // limits.MB,
        "design": limits.MAX_BYTES_DESIGN // limits.MB,
        "other_base": f"{100 - 100 * limits.SAME_BASE:.0f}",
        "same_seeds": f"{100 * limits.SAME_SEEDS:.0f}",
        "same_decoding": f"{100 * limits.SAME_DECODING:.0f}",
        "refused": f"{100 * limits.REFUSED_LEVEL:g}",
        "warning": f"{100 * limits.WARNING_LEVEL:g}",
        "reproduced": f"{100 * limits.REPRODUCED_LEVEL:g}",
        "duplicate": f"{100 * limits.NEAR_DUPLICATE:.0f}",
        "unpacked": limits.MAX_UNPACKED // limits.MB,
        "json": limits.MAX_JSON // limits.MB,
        "depth": limits.MAX_DEPTH,
        "tracks": ", ".join(f"{track} {100 * limit:.0f} %" for track, limit in TRACK_LIMITS.items()),
        "box": {
            "memory": f"{box.memory:g}",
            "disk": f"{box.disk:g}",
            "files": f"{box.files:,}",
            "processes": box.processes,
            "free": f"{box.free:g}",
            "hours": f"{box.seconds / 3600:g}",
        },
        "levels": [{"name": level, "meaning": meaning, "ranked": level in RANKED} for level, meaning in MEANINGS.items()],
    }
