"""Elastic weight consolidation (1612.00796, eq. 3): hold each weight back by how much it mattered to the earlier domains.

    loss = L_s(theta) + strength / 2 * sum_d sum_i F_d,i (theta_i - theta_d,i)^2

d runs over the earlier domains; F_d is the diagonal Fisher at theta_d, the checkpoint after d's own stage. As the paper notes, such a sum
of penalties equals one penalty, up to a constant that has no gradient and is left out here: its stiffness is F = sum_d F_d, its centre
sum_d F_d theta_d / F. The first stage has nothing to protect, so it is the same as in the baseline run.
"""

from baselines.l2 import L2, Pull
from baselines.mode_imm import fisher_mean
from bench.method import History, Stage, Training


class EWC(L2):
    """strength: the paper's lambda, above 0; prompts: answers per domain for its Fisher, at least 1."""

    strength: float = 10.0
    prompts: int = 64
    # On micro/2, where F has a mean of 1e-3 and a median of 1e-6 to 1e-5, 10 was best; half the distance takes 2 to 4 times that (`l2`).
    search = {"strength": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompts < 1:
            raise ValueError(f"prompts={self.prompts}: must be at least 1")

    def stage(self, stage: Stage, history: History) -> Training:
        if not stage.earlier:
            return Training.on(stage.domain)
        thetas = [history.checkpoint(domain) for domain in stage.earlier]
        fishers = [history.fisher(theta, domain, self.prompts) for theta, domain in zip(thetas, stage.earlier, strict=True)]
        stiffness = fishers[0].map(lambda _, *stats: sum(stats), *fishers[1:], elementwise=True)
        centre = fisher_mean(thetas, fishers, [1.0] * len(thetas))
        return Training.on(stage.domain, penalty=Pull(self.strength, centre, stiffness))
