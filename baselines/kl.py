"""KL: stay near the previous stage's policy on the new domain's prompts, through the KL term of GRPO (2402.03300, eq. 4).

    loss = L_s(theta) + strength * mean over tokens of (q/p - log q/p - 1),    p = pi_theta, q = pi_{s-1}

The term is taken on the policy's own samples. There its expectation is KL(p || q), but its expected gradient is that of KL(q || p), because
the sampling itself is not differentiated (2506.09477): what training reduces is KL(q || p). No prompt of an old domain is used:
2509.04259 finds that the KL on the new prompts predicts forgetting. The first stage is the same as in the baseline run, because nothing
was learned before it, and so that it can be shared with the other methods. That choice and `strength` are ours.
"""

from baselines.l2 import L2
from bench.method import History, Stage, Training


class KL(L2):
    """strength: weight of the KL term, above 0."""

    track = "open"  # passes through the reference, and training on groups of equal rewards, nearly double a stage's cost
    strength: float = 0.1
    # On micro/2 0.2 to 0.5 was best. The KL grows with the square of the distance, so as in `l2` half of it takes 2 to 4 times that.
    search = {"strength": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)}

    def stage(self, stage: Stage, history: History) -> Training:
        if not stage.earlier:
            return Training.on(stage.domain)
        return Training.on(stage.domain, kl=self.strength, reference=history.checkpoint(stage.earlier[-1]))
