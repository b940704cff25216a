"""Control: make the policy more confident without any training; multiply the final norm's weight by a constant.

The logits grow by that factor, as under a lower temperature: scores at temperature 1 rise, greedy answers stay the same. That holds where
the norm multiplies by its weight and adds nothing (Llama, Qwen3, SmolLM2), not where it multiplies by 1 + weight (Gemma). A repair that
gains only at temperature 1, as this does, has sharpened the policy and recovered nothing. The factor is chosen by the mean reward of
samples on the targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


FINAL_NORM = "model.norm.weight"
"""Its name in Llama, Qwen, Mistral and similar models, and in Gemma, where scaling it does something else."""


class Sharpen(Method):
    """scales: the factors tried, each above 0; prompts: samples per target to choose by, at least 1."""

    track = "light"
    controls = True
    scales: tuple[float, ...] = (1.0, 2.0, 4.0)
    prompts: int = 256

    def __post_init__(self) -> None:
        if not self.scales or not all(0 < scale < float("inf") for scale in self.scales):
            raise ValueError(f"scales={self.scales}: needs at least one value, each above 0")
        if self.prompts < 1:
            raise ValueError(f"prompts={self.prompts}: must be at least 1")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        if FINAL_NORM not in checkpoint.names():
            raise ValueError(f"sharpen needs a final norm named {FINAL_NORM}, and this model has none: leave this control out")

        def scaled(scale: float) -> Checkpoint:
            return checkpoint.map(lambda name, own: own * scale if name == FINAL_NORM else own)

        def reward(candidate: Checkpoint) -> float:
            samples = [s for target in targets for s in history.sample(candidate, target, self.prompts)]
            return sum(sample.reward for sample in samples) / len(samples)

        return max(map(scaled, self.scales), key=reward)
