"""The command `python -m bench build-base`: a suite's own base is made again from its recipe, and scored."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tabulate import tabulate

from bench import hardware
from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.evaluation.scoring import mean_score, score_domain
from bench.storage.gguf import pretrained_file
from bench.suite import ADAPTER, DECODINGS, FOLDER, Suite
from bench.training.bases import micro, supervised, warm_up
from bench.training.bases.adapters import adapted
from bench.training.models import load_checkpoint
from bench.training.prompting import Dialogue

LINES = 20
"""Steps from one line of progress to the next, where nobody watches."""


def build_base(suite: Suite, out: Path) -> None:
    """Build a suite's base in `out`, with a progress bar; then print its content hash, and what it scores on the suite's validation items.

    Where the base begins with pretrained weights, `out` gets the adapter and the files beside it, which a suite's folder holds, and
    `out`/model the model. Rerun to resume. `UserError` for a suite that has no recipe, and for a folder that holds anything else.
    """
    if suite.base is None:
        raise UserError(f"suite {suite.name} has no base of its own: its runs name a model, as in --model FOLDER")
    supervised.Unfinished(out, settings="").check_folder()
    if suite.base.pretrained is not None:
        base = _warmed_up(suite, out)
    elif suite.base_folder == FOLDER / "micro":
        with _bar(micro.Recipe().steps) as progress:
            (micro.build_with_two if hardware.cores() > 1 else micro.build)(out, micro.Recipe(), progress)
        base = Checkpoint(out)
    else:
        raise UserError(f"suite {suite.name}: there is no recipe for a base like the one in {suite.base_folder}")
    content = base.content()
    same = "the suite's base" if suite.is_own_base(content) else f"another base than the suite's ({suite.base.content[:12]})"
    print(f"{out}: content {content}, {same}\n\n{scores_table(suite, base)}")
    supervised.Unfinished(out, settings="").remove()


def _warmed_up(suite: Suite, out: Path) -> Checkpoint:
    file, recipe = pretrained_file(suite), warm_up.Recipe()
    with tempfile.TemporaryDirectory() as work, _bar(recipe.steps) as progress:
        pretrained = warm_up.prepared(file, Store(Path(work)), f"suite {suite.name}")
        warm_up.build(pretrained, suite, out, recipe, progress)
        return Store(out / "model").add_in_fp32(adapted(pretrained, out / ADAPTER), out)


def scores_table(suite: Suite, base: Checkpoint) -> str:
    """Mean scores on the validation items in percent, by decoding and domain."""
    model, dialogue = load_checkpoint(base).eval(), Dialogue.of(base.folder, suite.prompting)
    answers = {
        domain: score_domain(model, dialogue, task, suite.items(domain, "validation"), split="validation")
        for domain, task in suite.loaded_tasks.items()
    }
    rows = [[d, *(f"{100 * mean_score(found, d):.1f}" for found in answers.values())] for d in DECODINGS]
    return tabulate(rows, ["", *answers], tablefmt="github", disable_numparse=True)


@contextmanager
def _bar(steps: int) -> Iterator[supervised.Progress]:
    """A progress bar of that many steps, with the losses; a line every `LINES` steps where nobody watches."""

    def words(losses: Mapping[str, float]) -> str:
        return " ".join(f"{name} {loss:.2f}" for name, loss in losses.items())

    if not sys.stdout.isatty():
        yield lambda step, losses: print(f"step {step} of {steps}: {words(losses)}", flush=True) if step % LINES == 0 else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("building the base", total=steps)
        yield lambda step, losses: bar.update(task, completed=step, description=words(losses))
