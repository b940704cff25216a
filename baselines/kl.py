"""KL: stay near the previous stage's policy on the new domain's prompts, by the KL term of GRPO (2402.03300, eq. 4).

    loss = L_s(theta) + strength * mean over tokens of (q/p - log q/p - 1),    p = pi_theta, q = pi_{s-1}

at the policy's own samples, where the term's expectation is KL(pi_theta || pi_{s-1}). No prompt of an old domain is used; that the KL on
the new ones predicts forgetting is 2509.04259's finding. The first stage is the plain one: the base is no stage's work, and all methods
that protect earlier stages then share it. That, and `strength`, are ours.
"""

from baselines.l2 import L2
from bench.method import History, Stage, Training


class KL(L2):
    """strength: of the KL term, above 0."""

    track = "open"  # the reference's pass, and groups without spread that need one now, nearly double a stage
    strength: float = 0.1
    search = {"strength": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)}

    def stage(self, stage: Stage, history: History) -> Training:
        if not stage.earlier:
            return Training.on(stage.domain)
        return Training.on(stage.domain, kl=self.strength, reference=history.checkpoint(stage.earlier[-1]))
