"""Checks a submission without trusting anything in it, and without torch: `verify` reports every problem that it finds.

What can be counted again is counted again: the suite's own verifiers score every answer, and every metric follows from those scores. What
verification cannot see (answers of another model, seeds that were swapped, a method that reads test items) is left to reruns; `RULES.md`
lists it.
"""

from leaderboard.verify.whole import Place, Verified, verify, verify_all, verify_each

__all__ = ["Place", "Verified", "verify", "verify_all", "verify_each"]
