"""Results as pandas frames, for a notebook or a file. pandas is loaded when a frame is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bench.results.estimates import SHARES, Value
from bench.suite import Decoding

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("estimate", "low", "high", "cap_bias")


def metrics_frame(entries: Iterable[tuple[Mapping[str, object], Mapping[Decoding, Mapping[str, Value]]]]) -> pd.DataFrame:
    """One line an entry, decoding and metric: the columns that describe the entry, then decoding, metric, unit (share or points), estimate,
    low, high, seeds, cap_bias, undefined (the reason). Missing numbers are NaN."""
    import pandas as pd

    lines = [
        {
            **described,
            "decoding": decoding,
            "metric": metric,
            "unit": "share" if metric in SHARES else "points",
            **{name: getattr(value, name) for name in ("estimate", "low", "high", "seeds", "cap_bias")},
            "undefined": value.why,
        }
        for described, metrics in entries
        for decoding, values in metrics.items()
        for metric, value in values.items()
    ]
    return pd.DataFrame(lines).astype(dict.fromkeys(NUMBERS, float))
