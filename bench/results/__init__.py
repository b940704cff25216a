"""Finished runs and what they show: run folders, metrics, estimates, statistics, boards. No torch."""
