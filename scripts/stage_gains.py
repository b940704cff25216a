"""What single stages gain on a suite's base at some learning rate: the first thing to look at when settings are chosen.

    python scripts/stage_gains.py --suite everyday math:5e-6 code:5e-6 math:1e-5

Each stage is trained on its own from the base, on the first development seed, in the first order that begins with its domain; then the base
and the stage's model are scored on the validation items of all domains. No repair is run. What is trained is cached: rerun to resume.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from graphs import computed, needed
from tabulate import tabulate

from bench.errors import UserError
from bench.results.answers import table_of
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.suite import DEVELOPMENT_SEEDS, FOLDER, Suite, load_suite


def with_rate(name: str, rate: float, folder: Path) -> Path:
    """A suite's file with another learning rate, in a folder that has its base too where that lies beside the suite's file."""
    source = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    settings = yaml.safe_load(source.read_text(encoding="utf-8"))
    settings["rl"]["learning_rate"] = rate
    beside, base = source.parent / settings["base"]["folder"], folder / settings["base"]["folder"]
    if beside.exists() and not base.exists():
        base.symlink_to(beside.resolve())
    file = folder / f"{source.stem}-{rate:g}.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return file


def order_of(suite: Suite, domain: str) -> str:
    """The first sequence that begins with a domain. `UserError` where none does."""
    found = next((name for name, order in suite.sequences.items() if order[0] == domain), None)
    if found is None:
        raise UserError(f"no sequence of suite {suite.name} begins with {domain!r}: take one of {', '.join(suite.domains)}")
    return found


def gains(name: str, trial: str, work: Path, device: str) -> list[str]:
    """A row of the table: the trial, and the greedy scores of each domain before and after the stage, in points of 100."""
    domain, _, rate = trial.partition(":")
    suite = load_suite(name)
    order = order_of(suite, domain)
    planned = plan(
        RunSpec(suite=str(with_rate(name, float(rate), work)), sequence=order, seed=DEVELOPMENT_SEEDS[0], device=device), "validation"
    )
    scorings = [[planned.scoring(row, each) for row in planned.rows.baseline[:2]] for each in suite.domains]
    results = computed(needed(job for pair in scorings for job in pair), [planned], log="stage-gains-")
    cells = []
    for each, pair in zip(suite.domains, scorings, strict=True):
        before, after = (100 * mean(Path(results[job.key].answers), each) for job in pair)
        cells.append(f"{before:.1f} → {after:.1f}")
    return [domain, rate, *cells]


def mean(answers: Path, domain: str) -> float:
    return float(np.mean(table_of(answers.read_bytes(), str(answers))[domain, "greedy"][:, 0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="+", metavar="DOMAIN:RATE")
    parser.add_argument("--suite", default="micro", help="a name, or a .yaml file")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as work:
            rows = [gains(options.suite, trial, Path(work), options.device) for trial in options.trials]
            header = ["stage", "learning rate", *load_suite(options.suite).domains]
    except UserError as error:
        sys.exit(str(error))
    print(tabulate(rows, header, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
