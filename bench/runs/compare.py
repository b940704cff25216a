"""Which runs a command is made of: methods, settings, orders and seeds, from the words a user gave. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from bench.errors import UserError
from bench.options import Options, flag
from bench.registry import describe_all, method_class, method_names, tuned_settings
from bench.results.run import load_run
from bench.runs.plan import Plan, plan
from bench.spec import RunSpec
from bench.suite import load_suite
from tasks.task import Split

BASELINE = "none"
"""The method of the baseline run, which every comparison contains."""
Choice = tuple[str, dict[str, Any]]
"""A method's reference and the settings given for it."""
_WORD = re.compile(r"^(?P<method>[^\[\]]+)(\[(?P<settings>[^\[\]]*)\])?$")


def choices_of(methods: str, options: Options) -> list[Choice]:
    """The methods of "refresh[steps=5,30],rollback,controls,mine.py:Mine" with tuned and given settings, the baseline run always first.

    `all` stands for every method of the package, `controls` for every control. `UserError` for what cannot be read.
    """
    named = split_methods(methods)
    if not any(name == BASELINE for name, _ in named):
        named.insert(0, (BASELINE, []))
    found = {}
    for name, words in named:
        for choice in tuned_choices(name, words, options):
            key = repr((name, choice[1]))
            found.pop(key, None)  # named twice: the later place counts
            found[key] = choice
    return list(found.values())


def split_methods(text: str) -> list[tuple[str, list[str]]]:
    """(method, key=value words) of each method of a text as in `choices_of`. `UserError` for brackets that do not match."""
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


def tuned_choices(method: str, words: Sequence[str], options: Options) -> list[Choice]:
    """Every combination of key=value words, on top of the method's tuned settings; a,b,c runs each, a:b is one value of two parts."""
    keys, values = [], []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"--set {word}: write key=value")
        keys.append(key)
        values.append([[part for part in each.split(":") if part] if ":" in each else each for each in value.split(",")])
    return with_tuned(method, [dict(zip(keys, chosen, strict=True)) for chosen in product(*values)], options)


def with_tuned(method: str, settings: Sequence[Mapping[str, Any]], options: Options) -> list[Choice]:
    """Each of the given settings on top of the method's tuned ones, in their types. Those that equal its defaults are left out: equal runs
    have one name."""
    tuned = tuned_settings(method, board_of(options))
    defaults, *found = describe_all(method, [{}, *(tuned | dict(each) for each in settings)])
    plain = defaults.record.settings
    return [(method, {key: value for key, value in each.given.items() if value != plain[key]}) for each in found]


def board_of(options: Options) -> str:
    """The board that settings are tuned for and kept under; with --from, that of the run."""
    where = _where(options)
    suite = load_suite(where["suite"], quick=where["quick"])
    return suite.board(where.get("sequence", options.sequence), options.targets, where["model"])


def plans_of(choices: Sequence[Choice], options: Options, split: Split = "test") -> list[Plan]:
    """A plan for every choice, order, seed and, with --null, target; those of the shard. `UserError` for what cannot be run."""
    where = _where(options)
    suite = load_suite(where["suite"], quick=where["quick"])
    orders = suite.orders(options.sequence) if options.source is None else (where["sequence"],)
    common = where | {"targets": options.targets, "device": options.device, "engine": options.engine}
    common |= {"also": options.also, "also_limit": options.also_limit}
    specs = []
    for order in orders:
        base = RunSpec(**common | {"sequence": order})
        for seed in range(options.seed, options.seed + options.seeds):
            for method, settings in choices:
                for null in base.target_domains() if options.null else ("",):
                    specs.append(base.model_copy(update={"seed": seed, "method": method, "settings": settings, "null": null}))
    return [plan(spec, split) for spec in sharded(specs, options.shard)]


def _where(options: Options) -> dict[str, Any]:
    """Suite, model and checkpoints: as given, or those of the run that --from names."""
    if options.source is None:
        return {"suite": options.suite, "model": options.model, "quick": options.quick}
    clash = options.changed("suite", "model", "sequence", "quick")
    if clash:
        raise UserError(f"--from takes suite, model, sequence and --quick from the run; leave out {flag(clash[0])}")
    run = load_run(options.source)
    spec = run.manifest.spec
    if spec.null:
        raise UserError(f"--from {options.source}: its stages are null stages; choose a run of the real ones")
    chain = tuple(run.manifest.checkpoints[row.name] for row in run.rows.baseline)
    return {
        "suite": spec.suite,
        "model": spec.model,
        "quick": spec.quick,
        "sequence": spec.sequence,
        "imported": chain,
        "imported_sequence": run.sequence,
    }


def sharded(specs: Sequence[RunSpec], shard: str) -> list[RunSpec]:
    """Part i of n of the runs, for "i/n" with 1 <= i <= n; every run is in one part. Runs of one seed and order share their stages, so a
    shard holds whole seeds and orders where there are enough of them, and single runs otherwise."""
    matched = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, parts = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if not 1 <= number <= parts:
        raise UserError(f"--shard {shard}: write i/n with i from 1 to n, as in 2/4")
    groups: dict[tuple[str, int], list[RunSpec]] = {}
    for spec in specs:
        groups.setdefault((spec.sequence, spec.seed), []).append(spec)
    units = list(groups.values()) if len(groups) >= parts else [[spec] for spec in specs]
    return [spec for unit in units[number - 1 :: parts] for spec in unit]
