"""Somebody's own checkpoints as a run: copied into the store, and named by a spec that trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.checkpoint import Checkpoint
from bench.errors import UserError, nearest
from bench.spec import RunSpec
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.training.prompting import TOKENIZERS, Dialogue
from bench.weights import INDEX, WEIGHTS


def import_checkpoints(
    base: Path,
    stages: Sequence[tuple[str, Path]],
    *,
    suite: str = "micro",
    quick: bool = False,
    targets: str = "single",
    cache: Path | None = None,
) -> RunSpec:
    """A spec of the plain run whose base and stages (domain, HF folder), in order, are these.

    `UserError` where a folder is no HF folder, a domain is unknown or repeated, or the models differ in shape.
    """
    loaded = load_suite(suite, quick=quick)
    domains = tuple(domain for domain, _ in stages)
    for domain in domains:
        if domain not in loaded.domains:
            raise nearest("domain", domain, loaded.domains)
    if len(domains) < 2 or len(set(domains)) < len(domains):
        raise UserError("--stage: needs two or more stages of different domains, in the order they were trained")
    store = Cache(cache).store
    first: Checkpoint | None = None
    spoken: Dialogue | None = None
    chain = []
    for folder in [base, *(folder for _, folder in stages)]:
        for needed in (("config.json",), (WEIGHTS, INDEX), TOKENIZERS):
            if not any((folder / name).exists() for name in needed):
                raise UserError(f"{folder}: no {needed[0]} there; give a folder that save_pretrained wrote")
        try:
            checkpoint = store.add_folder(folder)
        except Exception as error:
            raise UserError(f"{folder}: its weights cannot be read ({error})") from error
        first = first or checkpoint
        if checkpoint.shapes() != first.shapes():
            raise UserError(f"{folder}: its tensors differ in name or shape from those of {base}")
        dialogue = Dialogue.of(checkpoint.folder, loaded.prompting)
        spoken = spoken or dialogue
        if dialogue.ends != spoken.ends:
            raise UserError(f"{folder}: its answers end with tokens {dialogue.ends}, those of {base} with {spoken.ends}")
        chain.append(checkpoint.hash)
    return RunSpec(
        suite=suite,
        quick=quick,
        sequence="-".join(domains),
        targets=targets,
        imported=tuple(chain),
        imported_sequence=domains,
    )
