"""Claim 1: how many of the changes that a stage makes are small, in fp32 and after rounding to bf16.

A change below bf16's resolution is lost where weights are stored in bf16 (2509.04259 calls the sparsity that was reported an artefact of
this), so both are counted. Weights are those of the checkpoints, tied ones once.
"""

from __future__ import annotations

import torch

from bench.checkpoint import Checkpoint
from bench.diagnostics.findings import Edits
from bench.diagnostics.subject import Subject, before


def diagnose(subject: Subject) -> list[Edits]:
    """A finding for each stage."""
    return [edits(before(subject, domain), subject.stages[domain], domain) for domain in subject.sequence]


def edits(start: Checkpoint, end: Checkpoint, domain: str) -> Edits:
    """What a stage changed, as shares of all weights."""
    total, counts = 0, torch.zeros(5, dtype=torch.float64)
    for _, old, new in start.pieces(end):
        if not old.is_floating_point():
            continue
        change = (new - old).abs()
        small = (change < 1e-7) & (change <= 1e-3 * old.abs())
        same = old.bfloat16() == new.bfloat16()
        counts += torch.stack([(change < 1e-7).sum(), (change < 1e-6).sum(), (change < 1e-5).sum(), small.sum(), same.sum()])
        total += old.numel()
    return Edits(domain, *(counts / total).tolist())
