"""Replay: give a share of every later stage's prompts to the domains learned before (experience replay, 1811.11682).

Stage s trains on its own domain with weight 1 - share, and on each of the s earlier ones with weight share / s. The paper replays stored
experience; here the policy answers the prompts of the earlier stages again. Every later stage starts from the first of them.
"""

from bench.method import History, Method, Stage, Training


class Replay(Method):
    """share: the share of each later stage's prompts that goes to earlier domains, in (0, 1)."""

    track = "during"
    share: float = 0.25
    search = {"share": (0.05, 0.1, 0.15, 0.18, 0.22, 0.3, 0.4, 0.5)}

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share}: must lie above 0 and below 1")

    def stage(self, stage: Stage, history: History) -> Training:
        if not stage.earlier:
            return Training.on(stage.domain)
        old = {domain: self.share / len(stage.earlier) for domain in stage.earlier}
        return Training({stage.domain: 1 - self.share, **old})
