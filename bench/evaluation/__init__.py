"""How checkpoints are scored: the suite's domains, and tasks of lm-eval."""
