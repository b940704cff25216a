"""Control: make the policy surer of itself, with no data at all. The final norm's weight is multiplied by a constant.

The logits grow by that factor, as under a lower temperature: scores at temperature 1 rise and greedy answers stay. A repair that does
no more at temperature 1 has sharpened, not recovered. The factor is chosen by the reward of the targets' own samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


FINAL_NORM = "model.norm.weight"
"""Of Llama, Qwen, Mistral and their like."""


class Sharpen(Method):
    """scales: the factors tried; prompts: samples a target to choose by."""

    track = "light"
    controls = True
    scales: tuple[float, ...] = (1.0, 2.0, 4.0)
    prompts: int = 256

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        if FINAL_NORM not in checkpoint.names():
            raise ValueError(f"sharpen knows no final norm but {FINAL_NORM}, which this model does not have")

        def scaled(scale: float) -> Checkpoint:
            return checkpoint.map(lambda name, own: own * scale if name == FINAL_NORM else own)

        def reward(candidate: Checkpoint) -> float:
            samples = [s for target in targets for s in history.sample(candidate, target, self.prompts)]
            return sum(sample.reward for sample in samples) / len(samples)

        return max(map(scaled, self.scales), key=reward)
