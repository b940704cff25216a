"""Submissions, their verification and ranking: not here yet."""
