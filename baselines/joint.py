"""Reference line: train on all domains at once, for as many steps as the whole sequence takes.

It does not compete with the methods, because it knows the later domains from the start. It is no upper bound either: every stage starts a
new optimizer and trains on the same prompts again, a quarter of those that a domain's own stage has in a sequence of four.
"""

from bench.method import History, Method, Stage, Training


class Joint(Method):
    """No settings. Every stage trains on all domains of the sequence in equal shares."""

    track = "reference"

    def stage(self, stage: Stage, history: History) -> Training:
        return Training.on(*stage.sequence)
