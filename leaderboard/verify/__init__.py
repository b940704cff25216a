"""Checks a submission without trusting anything in it, and without torch: `verify` reports every problem that it finds.

What can be counted again is counted again: every answer is scored by the suite's own verifiers, and every number follows from those scores.
What arithmetic cannot see (answers of another model, seeds that were swapped, a method that reads test items) is left to re-runs;
`RULES.md` lists it.
"""

from leaderboard.verify.whole import SUBMISSIONS, Verified, names_in, verify, verify_all

__all__ = ["SUBMISSIONS", "Verified", "names_in", "verify", "verify_all"]
