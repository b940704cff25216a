"""Reads a method's code as text: what its class declares, what it asks of a history, and what should not be in it. Untrusted code is never
imported here."""

from leaderboard.code.check import check_code
from leaderboard.code.facts import Facts, facts_of
from leaderboard.code.likeness import likeness, shingles
from leaderboard.code.lint import ALLOWED_MODULES
from leaderboard.code.text import method_text, packaged_file

__all__ = ["ALLOWED_MODULES", "Facts", "check_code", "facts_of", "likeness", "method_text", "packaged_file", "shingles"]
