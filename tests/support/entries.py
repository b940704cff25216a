"""Run folders and submissions of a small suite, written without training: answers to real items, right or wrong by given rates."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.costs import AccessRecord, Cost
from bench.results.answers import Answer, written
from bench.results.rows import Row, rows_of
from bench.results.run import Manifest, Run, SuiteRecord, load_run
from bench.results.write import Contents, write_run
from bench.spec import MethodRecord, ModelRecord, RunSpec
from bench.suite import DECODINGS, FOLDER, Suite
from leaderboard.code import facts_of, packaged_file
from leaderboard.pack import Words
from tasks.source import source_hash

ITEMS = 24
RATES = {
    "baseline-0-base": (0.2, 0.3, 0.2, 0.2),
    "baseline-1-code": (0.8, 0.3, 0.2, 0.2),
    "baseline-2-math": (0.7, 0.9, 0.2, 0.2),
    "baseline-3-qa": (0.6, 0.8, 0.7, 0.2),
    "baseline-4-cw": (0.5, 0.3, 0.6, 0.8),
    "repaired": (0.5, 0.8, 0.6, 0.8),
}
"""Of right answers on code, math, qa and cw."""
WORDS = Words(
    title="A method", authors=("Ada Example",), code_licence="Apache-2.0", data_licence="CC-BY-4.0", tuning_seeds=(),
    configurations_tried=1, scored_runs_seen=0, external_data="none", external_compute="none", readme="# A method\n",
)  # fmt: skip
MINE = '''"""Refresh, a little."""

from bench.method import Method, Training


class Mine(Method):
    """steps: of training."""

    steps: int = 4

    def recover(self, checkpoint, targets, history):
        return history.train(checkpoint, Training.on(*targets, steps=self.steps))
'''
WRONG = {"code": "a", "math": "1", "qa": "Moon", "cw": "Moon"}
"""Answers that can be parsed; where one of them happens to be right, it scores."""


def write_suites(folder: Path) -> None:
    """A folder of suites with one, micro on few test items, called small."""
    content = yaml.safe_load((FOLDER / "micro.yaml").read_text(encoding="utf-8")) | {"name": "small", "test_items": ITEMS}
    del content["quick"]
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "micro").symlink_to(FOLDER / "micro")


def write_runs(out: Path, suite: Suite, method: str = "none", **fields: Any) -> list[Run]:
    """Finished runs of a method on seeds 0 to 4. method: a name, or a path:Class; fields: of `write_entry_run`."""
    seeds: Sequence[int] = fields.pop("seeds", range(5))
    return [write_entry_run(out, suite, method, seed, **fields) for seed in seeds]


def write_entry_run(
    out: Path,
    suite: Suite,
    method: str,
    seed: int,
    *,
    rates: Mapping[str, Sequence[float]] | None = None,
    targets: str = "single",
    sequence: str = "paper",
    repair_cost: float = 0.05,
    prompts: int = 128,
    quick: bool = False,
    null: str = "",
    machine: str = "AVX2",
    steps: int = 4,
    trainings: int = 1,
) -> Run:
    """One run. rates: those of `RATES` that differ; prompts: of math, in its record of access; trainings: that lead to a trained row."""
    file, _, name = method.partition(":")
    source = Path(file) if name else packaged_file(method)
    facts = facts_of(source.read_text(encoding="utf-8"), name)
    assert facts is not None
    order = suite.sequence(sequence)
    rows = rows_of(order, own_stages=facts.own_stages, repairs=facts.repairs)
    record = MethodRecord(
        reference=method,
        name=name or method,
        settings=dict.fromkeys(sorted(facts.settings), steps),
        source=source_hash(source, "baselines", f"baselines.{method}" if not name else "a user's own"),
        track=facts.track,
        control=facts.control,
        own_stages=facts.own_stages,
        repairs=facts.repairs,
    )
    given = {"suite": suite.name, "sequence": sequence, "targets": targets, "quick": quick, "null": null, "device": "cpu"}
    spec = RunSpec(method=method, settings=record.settings, seed=seed, **given)
    repaired = facts.repairs
    manifest = Manifest(
        spec=spec,
        suite=SuiteRecord(id=suite.id, fingerprint=suite.fingerprint(), comparable=not quick, settings={}),
        model=ModelRecord(name="", revision="", content=suite.base.content),
        method=record,
        sequence=order,
        targets=suite.targets(order, targets),
        checkpoints={row.name: _content(suite, sequence, method, row, seed) for row in rows.distinct()},
        distances={},
        cost=Cost(
            stages=1.0,
            repair=repair_cost if repaired else 0.0,
            access=AccessRecord(prompts={"math": prompts} if repaired or facts.own_stages else {}),
        ),
        cut={},
        numerics={"device": "cpu", "bf16": False, "capability": machine, "threads": 1, "torch": "2.13.0", "transformers": "5.24.0"},
        versions={"interference-bench": "0.1.0"},
    )
    chosen = RATES | dict(rates or {})
    with tempfile.TemporaryDirectory() as parts:
        samples = {}
        for row in rows.distinct():
            content = written(_answers(suite, order, row, seed, chosen.get(row.name, RATES["repaired"])))
            (Path(parts) / f"{row.name}.gz").write_bytes(content)
            samples[row] = (Path(parts) / f"{row.name}.gz",)
        logs = {}
        for row in (rows.final, *(rows.method[1:] if facts.own_stages else ())):
            if row.part == "method" or (row.part == "final" and "train" in facts.uses):
                logs[row] = tuple(Path(parts) / f"{row.name}-{number}.jsonl" for number in range(trainings))
                for number, log in enumerate(logs[row]):
                    lines = [json.dumps(_step(step, seed, row) | {"loss": 0.1 + number}) for step in range(1, 5)]
                    log.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        folder = out / spec.folder_name()
        write_run(folder, manifest, Contents(samples, logs, {}), lambda run: {}, {"seconds": 1.0})
    return load_run(folder)


def _content(suite: Suite, sequence: str, method: str, row: Row, seed: int) -> str:
    """The content hash of a row's model: the base's own, for stages the same for all methods."""
    if row.index == 0:
        return suite.base.content
    whose = method if row.part != "baseline" else ""
    return hashlib.sha256(f"{sequence} {whose} {row.name} {seed}".encode()).hexdigest()


def _answers(suite: Suite, order: Sequence[str], row: Row, seed: int, rates: Sequence[float]) -> list[Answer]:
    found = []
    for domain in order:
        rate = rates[("code", "math", "qa", "cw").index(domain)]
        items, task = suite.items(domain, "test"), suite.loaded_tasks[domain]
        key = int(hashlib.sha256(f"{row.name} {domain} {seed if row.index else 0}".encode()).hexdigest()[:8], 16)
        for decoding in DECODINGS:
            draws = np.random.default_rng([key, len(decoding)]).random(len(items))
            for place, item in enumerate(items):
                answer = item.answer if draws[place] < rate else WRONG[domain]
                score = task.checked_score(item, answer)
                given = {"prompt": item.prompt, "answer": answer, "parsed": score is not None, "ended": True}
                found.append(Answer(domain=domain, decoding=decoding, item=place, score=score or 0.0, **given))
    return found


def _step(step: int, seed: int, row: Row) -> dict[str, Any]:
    """A log line of 32 prompts with 8 answers each, on math and on the row's own domain."""
    spread, tokens = (11 + step + seed % 5) / 32, (1500 + 7 * step + seed % 997 + 31 * row.index) / 256
    rewards = dict.fromkeys(("math", row.domain) if row.domain else ("math",), 0.5)
    return {"step": step, "reward": rewards, "groups_with_spread": spread, "tokens": tokens, "unparsed": 3 / 256, "loss": 0.1}
