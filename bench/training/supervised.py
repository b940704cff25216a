"""Batches of supervised training: prompts with answers, and a loss on the answers alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def answered(prompts: Sequence[list[int]], answers: Sequence[list[int]], *, end: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (rows, L) of prompts with their answers and the end token, padded on the right, and labels (rows, L): the ids where the
    answer and its end are, -100 on prompts and padding."""
    texts = [prompt + answer + [end] for prompt, answer in zip(prompts, answers, strict=True)]
    width = max(map(len, texts))
    ids = torch.tensor([text + [pad] * (width - len(text)) for text in texts])
    labels = torch.tensor(
        [[-100] * len(prompt) + text[len(prompt) :] + [-100] * (width - len(text)) for prompt, text in zip(prompts, texts, strict=True)]
    )
    return ids, labels
