"""Control: spend a repair's steps on the plain stages instead. Each stage is longer by `steps` / number of stages."""

from bench.method import History, Method, Stage, Training


class Longer(Method):
    """steps: the repair's steps, shared out over the stages (those of `refresh` by default)."""

    track = "during"
    controls = True
    follows = "refresh"
    steps: int = 15

    def stage(self, stage: Stage, history: History) -> Training:
        extra = round(self.steps * (stage.index + 1) / len(stage.sequence)) - round(self.steps * stage.index / len(stage.sequence))
        return Training.on(stage.domain, steps=history.stage_steps + extra)
