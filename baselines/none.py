"""The plain run: every stage by plain GRPO, no repair. What damage is measured on."""

from bench.method import Method


class None_(Method):  # noqa: N801 (None is a keyword)
    """The plain run."""

    track = "training-free"
    controls = True
