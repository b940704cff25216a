"""Comparing methods: which runs a comparison is made of, and what it will cost. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import default_cache
from bench.registry import make_method, method_class, method_names, tuned_settings
from bench.runs.execute import graph_of
from bench.runs.forecast import Ledger
from bench.runs.machine import default_jobs
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.suite import load_suite

PLAIN = "none"
_WORD = re.compile(r"^(?P<method>[^\[\]]+)(\[(?P<settings>[^\[\]]*)\])?$")


def split_methods(text: str) -> list[tuple[str, list[str]]]:
    """(method, key=value words) of each method in "refresh[steps=5,30],rollback,controls,mine.py:Mine".

    `all` stands for every method here, `controls` for every control. `UserError` for brackets that do not match.
    """
    found: list[tuple[str, list[str]]] = []
    for word in filter(None, (part.strip() for part in re.split(r",(?![^\[\]]*\])", text))):
        matched = _WORD.match(word)
        if matched is None:
            raise UserError(f"--methods {word}: write name, name[key=value;key=value] or path/to/file.py:Class")
        name, settings = matched["method"], [part for part in (matched["settings"] or "").split(";") if part]
        if name in ("all", "controls"):
            if settings:
                raise UserError(f"--methods {word}: settings go to one method by name")
            found += [(each, []) for each in method_names() if name == "all" or method_class(each).controls]
        else:
            found.append((name, settings))
    return list({repr(each): each for each in found}.values())


def settings_of(words: Sequence[str], method: str) -> list[dict[str, Any]]:
    """Every combination of key=value words, converted; a,b,c runs each, a:b is one value of two parts (a: of one)."""
    keys, choices = [], []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"setting {word}: write key=value")
        keys.append(key)
        choices.append([[part for part in each.split(":") if part] if ":" in each else each for each in value.split(",")])
    found = [dict(zip(keys, values, strict=True)) for values in product(*choices)]
    made = [make_method(method, chosen).settings() for chosen in found]
    return [{key: settings[key] for key in keys} for settings in made]


def comparison(
    methods: str,
    *,
    seeds: Sequence[int],
    suite: str = "micro",
    model: str = "",
    quick: bool = False,
    sequence: str = "paper",
    targets: str = "single",
    device: str = "auto",
    engine: str = "hf",
    also: tuple[str, ...] = (),
    also_limit: int | None = None,
    shard: str = "1/1",
) -> list[RunSpec]:
    """The runs of a comparison, the plain run always among them; with `shard` "i/n" the part that falls to machine i of n.

    Runs of one seed and order share their stages, so a shard holds whole seeds and orders where there are enough of them, and single
    runs otherwise. `UserError` for what cannot be run.
    """
    loaded = load_suite(suite, quick=quick)
    chosen = split_methods(methods)
    if not any(name == PLAIN for name, _ in chosen):
        chosen.insert(0, (PLAIN, []))
    variants = []
    for name, words in chosen:
        tuned = tuned_settings(name, loaded.board(sequence, targets, model))
        variants += [(name, tuned | own) for own in settings_of(words, name)]
    variants = list({repr((name, make_method(name, own).settings())): (name, own) for name, own in reversed(variants)}.values())[::-1]
    where = {"suite": suite, "model": model, "quick": quick, "targets": targets, "device": device, "engine": engine}
    where |= {"also": also, "also_limit": also_limit}
    specs = [
        RunSpec(**where, sequence=order, method=name, settings=settings, seed=seed)
        for order in loaded.orders(sequence)
        for seed in seeds
        for name, settings in variants
    ]
    return sharded(specs, shard)


def sharded(specs: Sequence[RunSpec], shard: str) -> list[RunSpec]:
    """Part i of n of the runs, for "i/n" with 1 <= i <= n; every run is in one part."""
    matched = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, parts = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if not 1 <= number <= parts:
        raise UserError(f"--shard {shard}: write i/n with i from 1 to n, as in 2/4")
    groups: dict[tuple[str, int], list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault((spec.sequence, spec.seed), []).append(spec)
    units = list(groups.values()) if len(groups) >= parts else [[spec] for spec in specs]
    return [spec for unit in units[number - 1 :: parts] for spec in unit]


def forecast(specs: Sequence[RunSpec], *, cache: Path | None = None, jobs: int | None = None) -> str:
    """What the runs will take, in a line: stages, repairs and scorings, those in the cache, and the time by what such jobs took here."""
    suite = specs[0].load_suite()
    workers = jobs or default_jobs(specs[0].device, suite.gpu_memory_gb)
    found = Ledger(cache or default_cache(), graph_of([plan(spec) for spec in specs]).values()).forecast()
    return f"{len(specs)} runs: {found.text(workers)}"
