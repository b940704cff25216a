"""A user's own checkpoints as a run: copied into the store, and named by a spec that trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.checkpoint import Checkpoint
from bench.errors import UserError, nearest
from bench.spec import RunSpec
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.training.models import add_model_folder, check_context
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
    """The spec of a baseline run whose base and stages (domain, HF folder), in order, are these.

    `UserError` where a folder is not a complete HF folder of a causal language model, where a domain is unknown or repeated, where the
    models differ in shape or in how answers end, and where the suite's prompts do not fit their context window.
    """
    loaded = load_suite(suite, quick=quick)
    domains = tuple(domain for domain, _ in stages)
    for domain in domains:
        if domain not in loaded.domains:
            raise nearest("domain", domain, loaded.domains)
    if len(domains) < 2 or len(set(domains)) < len(domains):
        raise UserError("--stage: needs two or more stages of different domains, in the order they were trained")
    folders = [(f"--base {base}", base), *((f"--stage {domain}={folder}", folder) for domain, folder in stages)]
    for what, folder in folders:
        for needed in (("config.json",), (WEIGHTS, INDEX), TOKENIZERS):
            if not any((folder / name).is_file() for name in needed):
                raise UserError(f"{what}: no {needed[0]} there; give a folder that save_pretrained wrote")
    store = Cache(cache).store
    chain: list[Checkpoint] = []
    ends: tuple[int, ...] = ()
    for what, folder in folders:
        checkpoint = add_model_folder(store, folder, what)
        dialogue = Dialogue.of(checkpoint.folder, loaded.prompting)
        if not chain:
            ends = dialogue.ends
            check_context(dialogue, loaded, checkpoint.folder, what)
        elif checkpoint.shapes() != chain[0].shapes():
            raise UserError(f"{what}: its tensors differ in name or shape from those of {base}; give stages of one model")
        if dialogue.ends != ends:
            raise UserError(f"{what}: its answers end with tokens {dialogue.ends}, those of {base} with {ends}; give both the same config")
        chain.append(checkpoint)
    return RunSpec(
        suite=suite,
        quick=quick,
        sequence="-".join(domains),
        targets=targets,
        imported=tuple(checkpoint.hash for checkpoint in chain),
        imported_sequence=domains,
    )
