"""Supervised training: batches with a loss on the answers alone, and progress that is saved so that it can be resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from bench.errors import UserError, one_line

Progress = Callable[[int, Mapping[str, float]], None]
"""Is called after each step with the number of steps so far and the losses by name."""


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


@dataclass(frozen=True)
class Unfinished:
    """What an interrupted training left in a folder. settings: everything that decides its result."""

    folder: Path
    settings: str

    def check_folder(self) -> None:
        """`UserError` where the folder has files in it and no unfinished training."""
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self._file.exists():
            raise UserError(f"--out {self.folder}: not empty, and there is no unfinished base in it; choose an empty or a new folder")

    @property
    def _file(self) -> Path:
        return self.folder / "unfinished.pt"

    def load(self) -> dict[str, Any] | None:
        """What `save` was given last, with "step"; None where there is nothing. `UserError` if it is damaged or of other settings."""
        if not self._file.exists():
            return None
        try:
            saved = torch.load(self._file, weights_only=True)
            settings = saved["settings"]
        except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError) as error:
            raise UserError(f"{self._file} is damaged ({one_line(error)}): remove it to begin again, or choose another --out") from error
        if settings != self.settings:
            raise UserError(f"{self._file} was written by another recipe, model or suite: remove it, or choose another --out")
        return saved

    def save(self, step: int, **state: Any) -> None:
        """Replace what is there. step: how many are done; state: tensors in dictionaries and lists."""
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save({"settings": self.settings, "step": step, **state}, self._file.with_suffix(".tmp"))
        os.replace(self._file.with_suffix(".tmp"), self._file)

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)
