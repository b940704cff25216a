"""Submissions: packed from runs, verified without trusting them, run again, ranked and published. `RULES.md` has the rules."""
