"""Finished runs and what they say: run folders, metrics, estimates, statistics, boards. No torch."""
