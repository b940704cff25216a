"""On-policy distillation: which training it declares, that its advantages descend the reverse KL, and what the trainer makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from baselines.opd import OPD, TeacherGap
from bench.method import Rollout, Training
from bench.suite import GRPO
from bench.training.grpo import Trainer
from bench.training.loss import Batch, token_losses
from bench.training.models import load_checkpoint
from bench.training.prompting import Dialogue
from bench.worker.history import RunHistory
from bench.worker.workbench import Workbench


def test_opd_trains_the_last_checkpoint_with_each_targets_own_as_its_teacher(house) -> None:
    """kl=0.0 and not None: a suite's KL term would take the teachers for its reference."""
    own, last = {"math": house.checkpoint(*house.OWN), "code": house.checkpoint(*house.FISHER)}, house.checkpoint(*house.LAST)
    history = house.history(stages=own)
    repaired = OPD(steps=7).recover(last, ("math", "code"), history)
    declared = Training({"math": 0.5, "code": 0.5}, steps=7, advantages=TeacherGap(), reference=own, kl=0.0)
    assert history.asked == [("checkpoint", "math"), ("checkpoint", "code"), ("train", last, declared)]
    assert house.row(repaired) == [value + 1 for value in house.LAST]


def test_a_tokens_advantage_is_teacher_minus_student() -> None:
    """Two answers, of two tokens and of one; what lies past an answer's end is undefined."""
    mask = torch.tensor([[True, True], [True, False]])
    student, teacher = torch.tensor([[-1.0, -2.0], [-0.5, math.nan]]), torch.tensor([[-3.0, -0.5], [-0.5, 7.0]])
    rollout = Rollout(["math"], torch.zeros(1, 2), student, teacher, mask)
    assert TeacherGap()(rollout).tolist() == [[-2.0, 1.5], [0.0, 0.0]]


def test_a_step_descends_the_reverse_kl() -> None:
    """Two tokens, the student's probabilities 1/2 and 1/2, the teacher's 4/5 and 1/5. With one answer of each token the batch is the
    student's distribution. KL = (log 5/8 + log 5/2) / 2 = log 5/4; its gradient by the logits is p (log p/q - KL) = -+ log 2 / 2."""
    logits = torch.zeros(2, requires_grad=True)
    student = logits.log_softmax(0).reshape(2, 1)
    teacher = torch.tensor([[0.8], [0.2]]).log()
    mask, rewards = torch.ones(2, 1, dtype=torch.bool), torch.zeros(1, 2)
    gap = TeacherGap()(Rollout(["math"], rewards, student.detach(), teacher, mask))
    batch = Batch([[1]], ["math"], torch.tensor([[0], [1]]), mask, rewards, gap, student.detach(), teacher)
    (token_losses(student, batch, GRPO(), kl=0.0).sum() / 2).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([-math.log(2) / 2, math.log(2) / 2]))


# --- with the real trainer


def test_every_prompt_is_judged_by_its_own_domains_teacher(tiny_bench: Workbench) -> None:
    """Math's teacher is the student itself, qa's is another model."""
    base = tiny_bench.base
    student, math_teacher, qa_teacher = (load_checkpoint(base) for _ in range(3))
    with torch.no_grad():
        qa_teacher.model.norm.weight.mul_(2.0)
    batch = Trainer(
        model=student,
        dialogue=Dialogue.of(base.folder, tiny_bench.suite.prompting),
        tasks=tiny_bench.suite.loaded_tasks,
        training=Training.on("math", "qa", advantages=TeacherGap(), kl=0.0),
        settings=tiny_bench.suite.grpo,
        seed=100,
        reference={"math": math_teacher, "qa": qa_teacher},
    ).rollout()
    assert set(batch.domains) == {"math", "qa"}
    assert batch.advantages.shape == batch.tokens.shape
    rows = {name: batch.rows([group for group, own in enumerate(batch.domains) if own == name]) for name in ("math", "qa")}
    assert not batch.advantages[rows["math"]].any()
    assert (batch.advantages[rows["qa"]] != 0).any(1).all()
    assert not batch.advantages[~batch.mask].any()


@dataclass(frozen=True)
class Nothing:
    """Advantages of 0, without a teacher."""

    def __call__(self, rollout: Rollout) -> torch.Tensor:
        return torch.zeros(rollout.mask.shape)


@pytest.fixture(scope="module")
def own_teacher(tiny_bench: Workbench) -> RunHistory:
    """Nothing changed since math's stage."""
    return RunHistory(tiny_bench, ("code", "math"), 100, tiny_bench.base, {"math": tiny_bench.base})


def test_where_student_and_teacher_are_equal_nothing_changes(own_teacher: RunHistory) -> None:
    """To the bit: Adam would turn the smallest difference into steps of the learning rate."""
    assert OPD(steps=2).recover(own_teacher.base, ("math",), own_teacher) == own_teacher.base


def test_the_teachers_passes_are_charged(own_teacher: RunHistory, tiny_bench: Workbench) -> None:
    """Two trainings that move nothing, on the same answers: one with a teacher, one without."""
    with_teacher = RunHistory(tiny_bench, ("math", "code"), 100, tiny_bench.base, {"math": tiny_bench.base, "code": tiny_bench.base})
    OPD(steps=2).recover(with_teacher.base, ("math",), with_teacher)
    without = RunHistory(tiny_bench, ("code", "math"), 100, tiny_bench.base, {})
    assert without.train(without.base, Training.on("math", steps=2, advantages=Nothing())) == without.base
    parameters = sum(tensor.numel() for _, tensor in tiny_bench.base.items())
    tokens = (with_teacher.spent - without.spent) / (2 * parameters)
    answers = 2 * tiny_bench.suite.grpo.prompts * tiny_bench.suite.grpo.group
    assert tokens == int(tokens) and tokens > answers
    assert with_teacher.access.checkpoints == {"base", "math"}
    assert with_teacher.access.prompts == {"math": 2 * tiny_bench.suite.grpo.prompts}
