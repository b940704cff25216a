"""Baseline run: train every stage with plain GRPO and repair nothing; forgetting is measured on this run."""

from bench.method import Method


class None_(Method):  # noqa: N801 (None is a keyword)
    """No settings."""

    track = "training-free"
    controls = True
