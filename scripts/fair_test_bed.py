"""Is a suite a fair test bed? Base scores, what a stage gains, what real and null stages make the model forget. No repair is run.

    python scripts/fair_test_bed.py --out docs/fair-test-bed.md

Development seeds only. Everything trained is cached: rerun the command to resume.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import date
from pathlib import Path

import numpy as np
from tabulate import tabulate

from bench.files import check_cache, default_cache
from bench.results.answers import table_of
from bench.results.run import Run
from bench.results.statistics import Interval, crossed_interval
from bench.runs.execute import execute
from bench.runs.machine import default_jobs
from bench.runs.plan import plan
from bench.runs.pool import Pool
from bench.spec import RunSpec
from bench.suite import DECODINGS, DEVELOPMENT_SEEDS, Decoding, load_suite

LEAST_GAIN = {"greedy": 4, "sampled": 8}
LEAST_FORGETTING = {"greedy": 6, "sampled": 8}
"""Points of 100 that a fair test bed shows at least."""
TITLES = {"greedy": "greedy", "sampled": "at temperature 1"}


def single_stages(suite: str, seeds: list[int], cache: Path, device: str) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """domain -> decoding -> (base scores (I,), scores after a stage from the base (S, I)), each on the stage's own domain.

    These are the first stages of the suite's sequences, one sequence for each domain that some sequence begins with.
    """
    sequences = load_suite(suite).sequences
    first_of = {domains[0]: name for name, domains in sorted(sequences.items()) if len(domains) == max(map(len, sequences.values()))}
    plans = {
        (domain, seed): plan(RunSpec(suite=suite, sequence=name, seed=seed, device=device))
        for domain, name in first_of.items()
        for seed in seeds
    }
    scorings = {
        (domain, seed): [planned.scoring(row, domain) for row in planned.rows.baseline[:2]] for (domain, seed), planned in plans.items()
    }
    wanted = [job for part in scorings.values() for scoring in part for job in (*scoring.of.needs, scoring.of, scoring)]
    pool = Pool(default_jobs(device, load_suite(suite).gpu_memory_gb), cache, cache / "logs" / "fair", lambda event: None, device)
    pool.run({job.key: job for job in wanted})
    if pool.failures:
        sys.exit(f"failed: {pool.failures[0].error} (log: {pool.failures[0].log})")

    def scores(domain: str, seed: int, place: int, decoding: Decoding) -> np.ndarray:
        file = Path(pool.results[scorings[domain, seed][place].key].answers)
        return table_of(file.read_bytes(), str(file))[domain, decoding][:, 0]

    return {
        domain: {
            decoding: (scores(domain, seeds[0], 0, decoding), np.stack([scores(domain, seed, 1, decoding) for seed in seeds]))
            for decoding in DECODINGS
        }
        for domain in first_of
    }


def shown(interval: Interval) -> str:
    return f"{interval.estimate:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"


def forgetting(runs: list[Run], domain: str, decoding: str) -> Interval:
    """Points that a domain lost between its own stage and the last, over seeds and items."""
    column = runs[0].sequence.index(domain)
    last = len(runs[0].sequence)
    scores = np.stack([run.scores(decoding)[domain] for run in runs])
    return crossed_interval([100 * (scores[:, column + 1] - scores[:, last])])


def weight_changes(runs: list[Run]) -> float:
    """Mean over seeds of the norm of all that happened to the weights after the math stage."""
    column = runs[0].sequence.index("math")
    return float(np.mean([run.manifest.distances[run.rows.baseline[-1].name][run.rows.after(column).name] for run in runs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="micro")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    seeds = list(DEVELOPMENT_SEEDS[: options.seeds])
    cache = default_cache()
    check_cache(cache)
    suite = load_suite(options.suite)
    singles = single_stages(options.suite, seeds, cache, options.device)
    common = {"suite": options.suite, "device": options.device}
    real = execute([plan(RunSpec(**common, seed=seed)) for seed in seeds], out=options.runs)
    null = execute([plan(RunSpec(**common, seed=seed, null="math")) for seed in seeds], out=options.runs)

    verdicts: list[tuple[str, bool, str]] = []
    parts = [f"Suite {suite.id}, seeds {seeds[0]} to {seeds[-1]}, {suite.test_items} test items, points of 100 with 95 % intervals."]
    for decoding in DECODINGS:
        rows = []
        for domain in real[0].sequence:
            base, after = singles[domain][decoding]
            gain, least = crossed_interval([100 * (after - base)]), LEAST_GAIN[decoding]
            if decoding == "greedy":
                verdicts.append((f"{domain}: base between 25 and 70 % greedily", 25 <= 100 * base.mean() <= 70, f"{100 * base.mean():.1f}"))
            verdicts.append((f"{domain}: a stage gains {least} points {TITLES[decoding]}", gain.estimate >= least, shown(gain)))
            lost = "" if domain == real[0].sequence[-1] else shown(forgetting(real, domain, decoding))
            lost_null = shown(forgetting(null, domain, decoding)) if domain == "math" else ""
            rows.append([domain, f"{100 * base.mean():.1f}", shown(gain), lost, lost_null])
        forgotten, least = forgetting(real, "math", decoding), LEAST_FORGETTING[decoding]
        verdicts.append(
            (f"math: {least} points forgotten {TITLES[decoding]}", forgotten.estimate >= least and forgotten.low > 0, shown(forgotten))
        )
        header = [
            "domain",
            "base",
            "gain of a stage from the base",
            "forgetting under code-math-qa-cw",
            "forgetting under null stages after math",
        ]
        parts.append(f"**{TITLES[decoding].capitalize()}**\n\n" + tabulate(rows, header, tablefmt="github", disable_numparse=True))
    moved = [weight_changes(runs) for runs in (real, null)]
    per = [forgetting(runs, "math", "greedy").estimate / norm for runs, norm in zip((real, null), moved, strict=True)]
    parts.append(
        f"Weights moved after the math stage by {moved[0]:.2f} (norm of the change), under null stages by {moved[1]:.2f}: "
        f"{per[0]:.2f} points greedily per unit by real training, {per[1]:.2f} by null training."
    )
    table = [[what, "yes" if met else "NO", value] for what, met, value in verdicts]
    parts.append(
        "**Acceptance criteria**\n\n" + tabulate(table, ["criterion", "met", "measured"], tablefmt="github", disable_numparse=True)
    )
    numerics = real[0].manifest.numerics
    words = ", ".join(f"{name} {value}" for name, value in numerics.items() if value not in ("", 0, False))
    words_of = f"--suite {options.suite} --seeds {options.seeds} --device {options.device}"
    command = f"python scripts/fair_test_bed.py {words_of} --out docs/fair-test-bed.md"
    parts.append(f"Made by `{command}` on {date.today()}: {words}, {platform.machine()}, {os.cpu_count()} cores.")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(f"# A fair test bed?\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
