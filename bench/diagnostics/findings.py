"""What is measured of each claim of 2606.02398, and the bounds within which the claim holds. No torch.

A finding is of one seed. Its fields are quantities with a title; some have bounds. Over the seeds of an entry, a claim *holds* for a
quantity if its whole 95 % interval lies within the bounds, *fails* if the whole interval lies outside, and is *undecided* otherwise; there
is no verdict below five seeds. The bounds were set before the diagnostics were run on scored seeds (docs/diagnostics.md); all but one are
ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter


@dataclass(frozen=True)
class Quantity:
    """A number of a finding. share: shown as a share of 1, otherwise in points; low, high: the bounds within which the claim holds."""

    name: str
    title: str
    share: bool
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        """Whether it bears on the claim."""
        return self.low > -math.inf or self.high < math.inf


def _quantity(title: str, *, share: bool = True, low: float = -math.inf, high: float = math.inf) -> Any:
    return field(metadata={"quantity": (title, share, low, high)})


@dataclass(frozen=True)
class Finding:
    """What was found of a claim. of: the domain, pair or part that it is about. A quantity that could not be measured is None."""

    claim: ClassVar[str]
    of: str

    @classmethod
    def quantities(cls) -> Iterator[Quantity]:
        """Its numbers, in order."""
        for each in fields(cls):
            if "quantity" in each.metadata:
                yield Quantity(each.name, *each.metadata["quantity"])


@dataclass(frozen=True)
class Edits(Finding):
    """Of one stage: how many of its changes to the weights are small. The paper reports 77 to 89 % below both of its thresholds. There are
    no bounds: the share depends on the learning rate and on how weights are stored."""

    claim: ClassVar[str] = "1. RL on one domain makes sparse, small edits"
    below_1e_7: float = _quantity("weights changed by less than 1e-7")
    below_1e_6: float = _quantity("by less than 1e-6")
    below_1e_5: float = _quantity("by less than 1e-5")
    small: float = _quantity("by less than 1e-7 and 0.1 % (reported: 0.77 to 0.89)")
    same_in_bf16: float = _quantity("unchanged after rounding to bf16")
    kind: Literal["edits"] = "edits"


@dataclass(frozen=True)
class Neurons(Finding):
    """Of the stages of two domains: whether they change the same MLP channels most. chance: the 95th percentile of the overlap of channels
    that are drawn at random within their layer; again: the overlap of two trainings of one stage on different prompts, mean of both
    domains; None for stages that were not trained here. The paper reports a mean overlap below 0.19."""

    claim: ClassVar[str] = "2. The neurons that two domains change most overlap weakly"
    overlap: float = _quantity("overlap (Jaccard) of the top 10 %", high=0.19)
    chance: float = _quantity("95th percentile by chance")
    again: float | None = _quantity("overlap of two trainings of one stage")
    of_again: float | None = _quantity("ratio of the two overlaps", high=0.5)
    kind: Literal["neurons"] = "neurons"


@dataclass(frozen=True)
class Routes(Finding):
    """Of two domains at the end of the sequence: whether the same MLP channels are the most active. again: the overlap of a domain with
    itself on other prompts, mean of both; shuffled: that of one domain with the other one's tokens in random order, mean of both ways."""

    claim: ClassVar[str] = "3. Domains share active computation routes"
    overlap: float = _quantity("overlap (Jaccard) of the top 10 %")
    chance: float = _quantity("95th percentile by chance")
    again: float = _quantity("overlap of a domain with itself")
    shuffled: float = _quantity("overlap with the other's tokens, shuffled")
    above_chance: float = _quantity("overlap minus chance", low=0)
    above_shuffled: float = _quantity("overlap minus shuffled", low=0)
    kind: Literal["routes"] = "routes"


@dataclass(frozen=True)
class Gradients(Finding):
    """Of two domains at one checkpoint: the cosine of their policy gradients. Noise shrinks a cosine towards 0. So it is divided by the
    root of both reliabilities (the cosine of two independent estimates of one gradient) if both exceed 0.2, and is None otherwise. Modules:
    the attention and the MLP of each layer; their extremes are selected on noise as well."""

    claim: ClassVar[str] = "4. The gradients of two domains are nearly orthogonal"
    cosine: float = _quantity("cosine as estimated")
    reliability: float = _quantity("reliability, the lower of both")
    corrected: float | None = _quantity("cosine, corrected for noise", low=-0.1, high=0.1)
    modules: float = _quantity("modules with reliable gradients", share=False)
    lowest: float | None = _quantity("lowest cosine of a module, corrected")
    highest: float | None = _quantity("highest cosine of a module, corrected")
    kind: Literal["gradients"] = "gradients"


@dataclass(frozen=True)
class Path(Finding):
    """Of one domain: expected reward J from its own checkpoint A to the end B = A + d of the sequence. Shares are of the damage J(A) -
    J(B): those at A - d and with d permuted of the damage in fresh samples, all others of that in the smooth estimate, which is given."""

    claim: ClassVar[str] = "5. The damage is mainly of second order"
    damage: float = _quantity("damage J(A) − J(B), points", share=False)
    coverage: float = _quantity("coverage of J by the sampled answers (minimum over A and B)")
    gap: float = _quantity("largest difference from fresh samples, points", share=False)
    first: float | None = _quantity("first-order term", low=-0.25, high=0.25)
    second: float | None = _quantity("second-order term")
    predicted: float | None = _quantity("first + second order", low=0.8, high=1.2)
    mirror: float | None = _quantity("damage at A − d", low=0.5, high=1.5)
    permuted: float | None = _quantity("damage at A + d permuted within tensors")
    quarter: float | None = _quantity("damage at a quarter of the way")
    half: float | None = _quantity("damage halfway")
    kind: Literal["path"] = "path"


@dataclass(frozen=True)
class Conflict(Finding):
    """Of one domain and one part P of the later update d: what undoing it at the end recovers, J(B - P d) - J(B), and what it does alone,
    J(A) - J(A + P d), as shares of the damage. Controls: random coordinates of the same tensors, up to the same norm in each; d shortened
    to the norm of P d; and the same part of a placebo, d permuted within tensors and lengthened until it does at least half the damage."""

    claim: ClassVar[str] = "6. The damage concentrates in a small part of the update"
    coordinates: float = _quantity("share of the coordinates, or of the dimensions")
    norm: float = _quantity("‖P d‖² / ‖d‖²")
    undo: float | None = _quantity("recovered by undoing P")
    undo_random: float | None = _quantity("by undoing random coordinates")
    undo_shorter: float | None = _quantity("by shortening d")
    undo_placebo: float | None = _quantity("by undoing P of the placebo")
    above_random: float | None = _quantity("P minus random", low=0)
    above_shorter: float | None = _quantity("P minus shortened", low=0)
    above_placebo: float | None = _quantity("P minus placebo", low=0)
    insert: float | None = _quantity("damage by P alone")
    insert_random: float | None = _quantity("by random coordinates alone")
    insert_shorter: float | None = _quantity("by d shortened")
    kind: Literal["conflict"] = "conflict"


@dataclass(frozen=True)
class Contraction(Finding):
    """Of one domain and one part P: whether a refresh R of the domain from B brings the weights back to A on P, compared with a null
    refresh (same prompts, rewards permuted within groups). Then what the refresh's own change on P recovers, and what the rest of it
    does."""

    claim: ClassVar[str] = "7. A refresh contracts the harmful part of the update"
    recovered: float | None = _quantity("share of the damage that the refresh recovers")
    left: float = _quantity("‖P (R − A)‖ / ‖P d‖", high=0.9)
    left_null: float = _quantity("after a null refresh")
    below_null: float = _quantity("refresh minus null refresh", high=0)
    left_whole: float = _quantity("‖R − A‖ / ‖d‖")
    alone: float | None = _quantity("of what it recovers: its change on P alone", low=0.5)
    without: float | None = _quantity("of what it recovers: the rest of its change")
    kind: Literal["contraction"] = "contraction"


AnyFinding = Annotated[Edits | Neurons | Routes | Gradients | Path | Conflict | Contraction, Field(discriminator="kind")]
KINDS: dict[str, type[Finding]] = {
    each.__dataclass_fields__["kind"].default: each for each in (Edits, Neurons, Routes, Gradients, Path, Conflict, Contraction)
}
"""By the name that the command line takes, in the order of the claims."""
OF_A_DOMAIN = frozenset({"path", "conflict", "contraction"})
"""Those that are measured domain by domain, for every domain but the last; the others need the whole run."""
_FINDINGS: TypeAdapter[list[Finding]] = TypeAdapter(list[AnyFinding])


def to_json(findings: list[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON."""
    return _FINDINGS.dump_python(findings, mode="json")


def from_json(value: Any) -> list[Finding]:
    """The findings again."""
    return _FINDINGS.validate_python(value)
