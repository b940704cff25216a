"""What a run is: suite x sequence x targets x method x seed, as plain values that travel to workers and into manifests. No torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.files import key_hash
from bench.suite import Suite, load_suite

Device = Literal["auto", "cpu", "cuda"]
Engine = Literal["hf", "vllm"]


class RunSpec(BaseModel):
    """One run. imported: checkpoints to take for the base and the stages (in order) instead of training them, by content hash;
    null: a domain, after whose own stage the rewards of every stage are permuted within their groups ("": of none); the stages up to there
    are the real ones, so that real and null forgetting of that domain start from the same peak."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = "micro"
    model: str = ""
    """An HF folder, a GGUF file or a repository on the Hub that replaces the suite's base."""
    quick: bool = False
    sequence: str = "paper"
    targets: str = "single"
    method: str = "none"
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    device: Device = "auto"
    engine: Engine = "hf"
    null: str = ""
    also: tuple[str, ...] = ()
    """Tasks of lm-eval, by name or .yaml file, on which every row is also scored."""
    also_limit: int | None = Field(default=None, gt=0)
    draw: int = Field(default=0, ge=0)
    """0 for the suite's test items; otherwise the number of a draw of as many from the reserve, for reruns of submissions."""
    imported: tuple[str, ...] = ()
    """Domains' checkpoints in order, the base's first; the sequence is then `imported_sequence`."""
    imported_sequence: tuple[str, ...] = ()

    def load_suite(self) -> Suite:
        return load_suite(self.suite, quick=self.quick)

    def domains(self) -> tuple[str, ...]:
        """The sequence's domains in order."""
        return self.imported_sequence or self.load_suite().sequence(self.sequence)

    def target_domains(self) -> tuple[str, ...]:
        return self.load_suite().targets(self.domains(), self.targets)

    def identity(self) -> dict[str, Any]:
        """What distinguishes this run from others: everything except `also`. Paths are resolved. (A draw of 0 is left out, so that folders
        keep the names that they had before there were draws.)"""
        own = self.model_dump(mode="json", exclude={"also", "also_limit"} | ({"draw"} if not self.draw else set()))
        file, colon, name = self.method.partition(":")
        return own | {
            "suite": _place(self.suite, (".yaml", ".yml")),
            "model": _place(self.model),
            "method": f"{_place(file, ('.py',))}{colon}{name}",
        }

    def folder_name(self) -> str:
        """A readable name, the same for the same run and for no other: micro-paper-single-refresh-steps=30-s0. It ends in a hash where a
        name cannot show everything: a path, text with other characters than letters, digits, _ and ., a user's checkpoints."""
        file, _, name = self.method.partition(":")
        method = name or Path(file).stem
        parts = [Path(self.suite).stem + ("-quick" if self.quick else ""), *([Path(self.model).name] if self.model else [])]
        parts += [self.sequence, self.targets]
        parts += [f"null-after-{self.null}"] if self.null else []
        parts += [f"draw-{self.draw}"] if self.draw else []
        parts += [method] if self.method != "none" or not self.null else []
        parts += [f"{key}={_shown(value)}" for key, value in sorted(self.settings.items())]
        parts += [self.device] if self.device != "auto" else []
        parts += [self.engine] if self.engine != "hf" else []
        plain = "-".join([*parts, f"s{self.seed}"])
        shown = re.sub(r"[^A-Za-z0-9=._+-]+", "_", plain)
        whole = shown == plain and len(shown) <= _LONGEST
        named = not (self.model or self.imported or self.suite.endswith((".yaml", ".yml")) or ".py" in self.method)
        named = named and all(map(_unambiguous, self.settings.values()))
        return shown if whole and named else f"{shown[:_LONGEST]}-{key_hash(self.identity())[:8]}"


_LONGEST = 150
"""Characters of a folder's readable name; file systems take 255 bytes, and files of ours lie below."""


def _unambiguous(value: Any) -> bool:
    """Whether a setting's text can be nothing but this value between the signs that join a name's parts."""
    if isinstance(value, list | tuple):
        return all(map(_unambiguous, value))
    return not isinstance(value, str) or re.fullmatch(r"[A-Za-z0-9_.]+", value) is not None


def _shown(value: Any) -> str:
    """A setting in a folder's name; the parts of a list joined by +."""
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _place(name: str, endings: tuple[str, ...] = ()) -> str:
    """A path resolved where the name is one, so that two ways to write it are one run; else the name."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name and (name.endswith(endings) if endings else path.exists()) else name


class MethodRecord(BaseModel):
    """A method with its settings, as processes that do not run it know it.

    reference: the name or "path/to/file.py:Class" it was requested by; settings: all of them, by name; source: hash of the code that
    decides what it does; own_stages: its stages differ from those of the baseline run; repairs: it does something after the last stage.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str
    name: str
    settings: dict[str, Any]
    source: str
    track: str
    control: bool
    own_stages: bool
    repairs: bool

    @property
    def from_package(self) -> bool:
        """Whether its code came with the package, and is not a user's."""
        return ".py" not in self.reference


class ModelRecord(BaseModel):
    """A base model: its name (empty for the suite's own), the Hub's revision (empty for a folder), the hash of its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    revision: str
    content: str
