"""Diagnostics of the theory of 2606.02398: one file for each of its claims, all on the stages of a baseline run.

findings.py says what is measured and when a claim holds, without torch. Every other file computes one kind of finding from a `Subject`,
the stages of a run and what can be computed from them.
"""
