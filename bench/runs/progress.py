"""The live display of running jobs: one bar with the time left, what each worker does, and matrix rows as they are known.

On a terminal it is drawn in place; elsewhere (a log, CI) each finished stage and row is one line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from bench.runs.plan import Plan

_SCORING_WEIGHT = 6
"""A cell's scoring, counted in training steps, for the bar alone."""


class Display(AbstractContextManager):
    """Hears the pool's events between __enter__ and __exit__."""

    def __init__(self, plans: Sequence[Plan], *, enabled: bool = True) -> None:
        self._plans = plans
        self._console = Console(stderr=True, quiet=not enabled)
        self._drawn = enabled and self._console.is_terminal
        self._scores: dict[str, dict[str, float]] = {}
        self._told: set[str] = set()
        self._ended: set[str] = set()
        self._failed: set[str] = set()
        self._active: dict[str, dict[str, Any]] = {}
        self._done_steps = 0.0
        steps = plans[0].spec.load_suite().rl.get("steps", 100)
        jobs = {job for plan in plans for job in plan.jobs}
        self._weights = {job: self._weight(job, steps) for job in jobs}
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        )
        self._total = self._bar.add_task("all", total=sum(self._weights.values()))
        self._live: Live | None = None
        self._last = 0.0

    @staticmethod
    def _weight(job: str, steps: int) -> float:
        kind = job.partition("/")[0]
        return {"stage": steps, "score": _SCORING_WEIGHT, "recover": steps / 5}.get(kind, 0)

    def __enter__(self) -> Display:
        if self._drawn:
            self._live = Live(self._render(), console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event of the pool."""
        job, kind = event.get("job") or "", event["event"]
        if kind == "step":
            self._active[job] = event
        elif kind == "done":
            self._finish(job, event["result"])
        elif kind == "failed":
            self._active.pop(job, None)
            self._failed.add(job)
            self._console.print(f"failed: {event['error']}", style="red")
        elif kind == "died" and job:
            self._active.pop(job, None)
            self._console.print(f"a worker died during {job.partition('/')[0]}; its job goes to another", style="yellow")
        partial = sum(self._weights.get(j, 0) * e["step"] / e["of"] for j, e in self._active.items() if e["event"] == "step")
        self._bar.update(self._total, completed=self._done_steps + partial)
        if self._live is not None and time.monotonic() - self._last > 0.2:
            self._last = time.monotonic()
            self._live.update(self._render())

    def _finish(self, job: str, result: dict[str, Any]) -> None:
        ended = self._active.pop(job, None)
        self._ended.add(job)
        self._done_steps += self._weights.get(job, 0)
        if ended is not None and not self._drawn:
            reward = " ".join(f"{name} {value:.3f}" for name, value in ended["reward"].items())
            self._console.print(f"trained {ended['what']}: {ended['of']} steps, last reward {reward}")
        if job.startswith("score/"):
            _, domain, maker = job.split("/", 2)
            self._scores.setdefault(maker, {})[domain.partition(":")[0]] = result["greedy"]
            if not self._drawn:
                self._tell_rows()

    def _tell_rows(self) -> None:
        for plan, name, maker in self._rows():
            cells = self._scores.get(maker, {})
            if len(cells) == len(plan.sequence) and maker not in self._told:
                self._told.add(maker)
                scores = "  ".join(f"{domain} {100 * cells[domain]:5.1f}" for domain in plan.sequence)
                what = name if name.startswith("baseline") or len(self._plans) == 1 else f"{name} ({plan.label})"
                self._console.print(f"seed {plan.spec.seed}  {what:<18} {scores}")

    def _rows(self) -> list[tuple[Plan, str, str]]:
        found = {}
        for plan in self._plans:
            for part in ("baseline", "method", "final"):
                for name, maker in plan.rows[part]:
                    found.setdefault((id(plan), maker), (plan, name, maker))
        return list(found.values())

    def _render(self) -> Group:
        working = Table.grid(padding=(0, 2))
        for event in self._active.values():
            reward = " ".join(f"{name} {value:.2f}" for name, value in event["reward"].items())
            working.add_row("training", event["what"], f"step {event['step']}/{event['of']}", f"reward {reward}")
        return Group(self._bar, working, self._matrix(self._plans[0]) if len(self._plans) == 1 else self._overview())

    def _matrix(self, plan: Plan) -> Table:
        """The one run's scores as they are known."""
        table = Table("greedy, %", *plan.sequence, title=plan.spec.folder_name())
        for _, name, maker in self._rows():
            cells = self._scores.get(maker, {})
            table.add_row(name, *(f"{100 * cells[d]:.1f}" if d in cells else "·" for d in plan.sequence))
        return table

    def _overview(self) -> Table:
        """A line a method, a column a seed: the share of a run's jobs that are done, once for every order."""
        seeds = list(dict.fromkeys(plan.spec.seed for plan in self._plans))
        by_label: dict[str, dict[int, list[str]]] = {}
        for plan in self._plans:
            by_label.setdefault(plan.label, {}).setdefault(plan.spec.seed, []).append(self._state(plan))
        table = Table("run", *(f"seed {seed}" for seed in seeds))
        for label, states in by_label.items():
            table.add_row(label, *(" ".join(states.get(seed, ())) for seed in seeds))
        return table

    def _state(self, plan: Plan) -> str:
        if any(job in self._failed for job in plan.jobs):
            return "failed"
        done = sum(job in self._ended for job in plan.jobs)
        return "done" if done == len(plan.jobs) else f"{100 * done // len(plan.jobs)} %" if done else "·"
