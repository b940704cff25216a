"""The live display of running jobs: one bar with the time left, what each worker does, and matrix rows as they are known.

On a terminal it is drawn in place; elsewhere (a log, CI) each finished training and row is one line.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from bench.results.rows import Row
from bench.runs.plan import Plan, graph_of
from bench.runs.pool import Event
from bench.worker.jobs import Diagnose, Job, Recover, Score, Stage
from bench.worker.outcomes import Scored

_SCORING_WEIGHT = 6
"""A cell's scoring, counted in training steps, for the bar alone."""


class Display(AbstractContextManager):
    """Hears the pool's events between __enter__ and __exit__. jobs: what is done for these plans, where that is not to score their rows."""

    def __init__(self, plans: Sequence[Plan], *, enabled: bool = True, jobs: Mapping[str, Job] | None = None) -> None:
        self._plans = plans
        self._scored = jobs is None
        self._jobs = graph_of(plans) if jobs is None else jobs
        self._console = Console(stderr=True, quiet=not enabled)
        self._drawn = enabled and self._console.is_terminal
        self._scores: dict[str, dict[str, float]] = {}
        self._shown: set[str] = set()
        self._ended: set[str] = set()
        self._failed: set[str] = set()
        self._active: dict[str, Event] = {}
        self._done_steps = 0.0
        steps = plans[0].spec.load_suite().grpo.steps
        self._weights = {key: _weight(job, steps) for key, job in self._jobs.items()}
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        )
        self._total = self._bar.add_task("all", total=sum(self._weights.values()))
        self._live: Live | None = None
        self._last = 0.0

    def __enter__(self) -> Display:
        if self._drawn:
            self._live = Live(self._render(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def hear(self, event: Event) -> None:
        """Take in one event of the pool."""
        match event.name:
            case "step":
                self._active[event.job] = event
                if event.detail["step"] == event.detail["of"] and not self._drawn:
                    reward = " ".join(f"{name} {value:.3f}" for name, value in event.detail["reward"].items())
                    self._print(f"trained {event.detail['what']}: {event.detail['of']} steps, last reward {reward}")
            case "done":
                self._finish(event)
            case "failed":
                self._active.pop(event.job, None)
                self._failed.add(event.job)
                self._print(f"{self._jobs[event.job].kind} failed: {event.detail['error']}", style="red")
            case "died" if event.job:
                self._active.pop(event.job, None)
                self._print(f"a worker died during {self._jobs[event.job].kind}", style="yellow")
        partial = sum(self._weights[key] * active.detail["step"] / active.detail["of"] for key, active in self._active.items())
        self._bar.update(self._total, completed=self._done_steps + partial)
        if self._live is not None and time.monotonic() - self._last > 0.2:
            self._last = time.monotonic()
            self._live.update(self._render())

    def _print(self, text: str, style: str = "") -> None:
        """One line of text, unchanged: brackets in it are not markup, and a long line is not broken."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _finish(self, event: Event) -> None:
        self._active.pop(event.job, None)
        job = self._jobs[event.job]
        self._ended.add(event.job)
        self._done_steps += self._weights[event.job]
        if isinstance(job, Score):
            scored: Scored = event.detail["result"]
            self._scores.setdefault(job.of.key, {})[job.domain] = scored.means["greedy"]
            if not self._drawn:
                self._print_rows()
        elif isinstance(job, Diagnose) and not self._drawn:
            self._print(f"seed {job.last.seed}  measured {job.about}{f' of {job.domain}' if job.domain else ''}")

    def _print_rows(self) -> None:
        for plan, row, maker in self._rows():
            cells = self._scores.get(maker, {})
            if len(cells) == len(plan.sequence) and maker not in self._shown:
                self._shown.add(maker)
                scores = "  ".join(f"{domain} {100 * cells[domain]:5.1f}" for domain in plan.sequence)
                what = row.name if row.part == "baseline" or len(self._plans) == 1 else f"{row.name} ({plan.label})"
                self._print(f"seed {plan.spec.seed}  {what:<18} {scores}")

    def _rows(self) -> list[tuple[Plan, Row, str]]:
        """Every plan's rows with the key of the job behind each; baseline rows that plans share once a plan."""
        return [(plan, row, job.key) for plan in self._plans for row, job in plan.maker_of.items()]

    def _render(self) -> Group:
        working = Table.grid(padding=(0, 2))
        for event in self._active.values():
            reward = " ".join(f"{name} {value:.2f}" for name, value in event.detail["reward"].items())
            progress = f"step {event.detail['step']}/{event.detail['of']}"
            working.add_row("training", escape(event.detail["what"]), progress, escape(f"reward {reward}"))
        if not self._scored:
            return Group(self._bar, working)
        return Group(self._bar, working, self._matrix(self._plans[0]) if len(self._plans) == 1 else self._overview())

    def _matrix(self, plan: Plan) -> Table:
        """The one run's scores as they are known."""
        table = Table("greedy, %", *map(escape, plan.sequence), title=escape(plan.spec.folder_name()))
        for row, job in plan.maker_of.items():
            cells = self._scores.get(job.key, {})
            table.add_row(escape(row.name), *(f"{100 * cells[d]:.1f}" if d in cells else "·" for d in plan.sequence))
        return table

    def _overview(self) -> Table:
        """A line a method, a column a seed: the share of a run's jobs that are done, once for every order."""
        seeds = list(dict.fromkeys(plan.spec.seed for plan in self._plans))
        by_label: dict[str, dict[int, list[str]]] = {}
        for plan in self._plans:
            by_label.setdefault(plan.label, {}).setdefault(plan.spec.seed, []).append(self._state(plan))
        table = Table("run", *(f"seed {seed}" for seed in seeds))
        for label, states in by_label.items():
            table.add_row(escape(label), *(" ".join(states.get(seed, ())) for seed in seeds))
        return table

    def _state(self, plan: Plan) -> str:
        if any(key in self._failed for key in plan.jobs):
            return "failed"
        done = sum(key in self._ended for key in plan.jobs)
        return "done" if done == len(plan.jobs) else f"{100 * done // len(plan.jobs)} %" if done else "·"


def _weight(job: Job, steps: int) -> float:
    """How much of the bar a job is, in steps of training."""
    match job:
        case Stage():
            return steps
        case Recover():
            return steps / 5
        case Score():
            return _SCORING_WEIGHT
        case Diagnose():
            return steps / 2
    return 0
