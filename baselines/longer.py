"""Control: spend the repair's steps on longer stages instead; each stage gets `steps` / number of stages more."""

from bench.method import MAX_STEPS, History, Method, Stage, Training


class Longer(Method):
    """steps: how many steps to share out over the stages, from 0 to `MAX_STEPS`; by default those of `refresh`."""

    track = "during"
    controls = True
    follows = "refresh"
    steps: int = 15

    def __post_init__(self) -> None:
        if not 0 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps={self.steps}: must be from 0 to {MAX_STEPS:,}")

    def stage(self, stage: Stage, history: History) -> Training:
        extra = round(self.steps * (stage.index + 1) / len(stage.sequence)) - round(self.steps * stage.index / len(stage.sequence))
        return Training.on(stage.domain, steps=history.stage_steps + extra)
