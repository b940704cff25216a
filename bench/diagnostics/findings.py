"""What is measured of each claim of 2606.02398, and the bounds within which the claim holds. No torch.

A finding is of one seed. Its fields are quantities with a title; some have bounds. Over the seeds of an entry, a claim *holds* for a
quantity where its whole 95 % interval lies within the bounds, *fails* where all of it lies outside, and is *undecided* otherwise; there is
no verdict below five seeds. The bounds were set before the diagnostics were run on scored seeds (docs/diagnostics.md); the paper gives
none.
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
    """Of one stage: how many of its changes to the weights are small. The paper reports 77 to 89 % below both of its thresholds."""

    claim: ClassVar[str] = "1. RL on one domain makes sparse, small edits"
    below_1e_7: float = _quantity("weights changed by less than 1e-7")
    below_1e_6: float = _quantity("less than 1e-6")
    below_1e_5: float = _quantity("less than 1e-5")
    small: float = _quantity("less than 1e-7, and less than 1e-3 of the weight")
    same_in_bf16: float = _quantity("the same after rounding to bf16")
    kind: Literal["edits"] = "edits"


@dataclass(frozen=True)
class Neurons(Finding):
    """Of the stages of two domains: whether they change the same MLP channels most. chance: the 95th percentile of the overlap where
    channels are drawn at random within their layer; again: that of two trainings of one stage on other prompts, mean of both domains."""

    claim: ClassVar[str] = "2. The neurons that two domains change most overlap weakly"
    overlap: float = _quantity("overlap (Jaccard) of the top 10 %")
    chance: float = _quantity("95th percentile by chance")
    again: float = _quantity("overlap of a stage trained twice")
    above_chance: float = _quantity("overlap − chance", high=0)
    of_again: float | None = _quantity("overlap / trained twice", high=0.5)
    kind: Literal["neurons"] = "neurons"


@dataclass(frozen=True)
class Routes(Finding):
    """Of two domains at the end of the sequence: whether the same MLP channels are the most active. again: the overlap of one domain with
    itself on other prompts, mean of both."""

    claim: ClassVar[str] = "3. Domains share active computation routes"
    overlap: float = _quantity("overlap (Jaccard) of the top 10 %")
    chance: float = _quantity("95th percentile by chance")
    again: float = _quantity("overlap of a domain with itself")
    above_chance: float = _quantity("overlap − chance", low=0)
    kind: Literal["routes"] = "routes"


@dataclass(frozen=True)
class Gradients(Finding):
    """Of two domains at one checkpoint: the cosine of their policy gradients. Estimates from few answers are noisy, which draws a cosine to
    0; so it is divided by the root of both reliabilities (the cosine of two independent estimates), where both exceed 0.2."""

    claim: ClassVar[str] = "4. Gradients of two domains are nearly orthogonal, also where they interfere"
    cosine: float = _quantity("cosine as estimated")
    reliability: float = _quantity("the lower reliability")
    corrected: float | None = _quantity("cosine, corrected for noise", low=-0.1, high=0.1)
    lowest: float | None = _quantity("lowest of a module, corrected")
    highest: float | None = _quantity("highest of a module, corrected")
    kind: Literal["gradients"] = "gradients"


@dataclass(frozen=True)
class Path(Finding):
    """Of one domain: expected reward J from its own checkpoint A to the end B = A + d of the sequence. All but `damage` and the two checks
    are shares of the damage J(A) - J(B)."""

    claim: ClassVar[str] = "5. Later stages do their damage by a second-order term"
    damage: float = _quantity("damage J(A) − J(B), points", share=False)
    coverage: float = _quantity("of J, covered by the sampled answers at least")
    gap: float = _quantity("largest error of the estimate against fresh samples, points", share=False)
    first: float | None = _quantity("first-order term", low=-0.25, high=0.25)
    second: float | None = _quantity("second-order term")
    predicted: float | None = _quantity("both", low=0.8, high=1.2)
    mirror: float | None = _quantity("damage at A − d", low=0.5, high=1.5)
    permuted: float | None = _quantity("damage at A + d permuted within tensors")
    quarter: float | None = _quantity("damage at a quarter of the way")
    half: float | None = _quantity("damage halfway")
    kind: Literal["path"] = "path"


@dataclass(frozen=True)
class Conflict(Finding):
    """Of one domain and one part P of the later update d: what undoing it at the end recovers, J(B - P d) - J(B), and what it does alone,
    J(A) - J(A + P d), as shares of the damage. Controls: as many coordinates of each tensor, at random; d shortened to the norm of
    P d."""

    claim: ClassVar[str] = "6. The damage concentrates in a small part of the update"
    coordinates: float = _quantity("share of the coordinates, or of the dimensions")
    norm: float = _quantity("‖P d‖² / ‖d‖²")
    undo: float | None = _quantity("undone")
    undo_random: float | None = _quantity("undone, random coordinates")
    undo_shorter: float | None = _quantity("undone, d shortened")
    above_random: float | None = _quantity("undone − random", low=0)
    above_shorter: float | None = _quantity("undone − shortened", low=0)
    insert: float | None = _quantity("inserted alone")
    insert_random: float | None = _quantity("inserted, random coordinates")
    insert_shorter: float | None = _quantity("inserted, d shortened")
    kind: Literal["conflict"] = "conflict"


@dataclass(frozen=True)
class Contraction(Finding):
    """Of one domain and one part P: whether a refresh of the domain from B brings the weights back to A on P, ‖P (R - A)‖ / ‖P d‖, against
    a refresh of the last domain. Then what of the refresh's effect its own change on P has alone, and the rest without it."""

    claim: ClassVar[str] = "7. A refresh contracts the harmful part of the update"
    recovered: float | None = _quantity("of the damage, recovered by the refresh")
    left: float = _quantity("‖P (R − A)‖ / ‖P d‖", high=1)
    left_other: float = _quantity("the same after a refresh of the last domain")
    below_other: float = _quantity("difference of the two", high=0)
    left_whole: float = _quantity("‖R − A‖ / ‖d‖")
    alone: float | None = _quantity("of what it recovers, by its change on P alone")
    without: float | None = _quantity("by the rest of its change")
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
