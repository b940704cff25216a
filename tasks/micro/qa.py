"""micro/qa: questions over facts given in the prompt, one and two hops.

Prompt  ``AnnBob,CidDan,BobEva,..??Ann``: three to six facts "first -> second" among forty names, then ``?`` (one hop) or ``??``
(two) and the key. Answer: the name reached, for two hops with the bridge before it or without (``BobEva``, ``Eva``); the last name is
scored. Latent: the facts sorted, the number of hops, the key. Level: the number of hops.
"""

from __future__ import annotations

import random
import re

from tasks.micro.vocabulary import NAMES
from tasks.task import MAX_ANSWER_CHARS, Item, Task

_SINGLE_FACTS = (1, 2)
_CHAINS = (1, 2)
_TWO_HOP_SHARE = 0.6
_NAME = "|".join(NAMES)
_NAMES = re.compile(_NAME)
_ANSWER = re.compile(rf"(?:{_NAME})?({_NAME})")


class QA(Task):
    domain = "qa"
    version = 1
    answer_tokens = 4

    def draw(self, rng: random.Random) -> Item:
        """One or two chains a->b->c and one or two single facts, no name a key twice, so that both hops are always defined."""
        names = rng.sample(NAMES, 10)
        chains = (names[0:3], names[3:6])[: rng.choice(_CHAINS)]
        singles = (names[6:8], names[8:10])[: rng.choice(_SINGLE_FACTS)]
        facts = [(chain[hop], chain[hop + 1]) for chain in chains for hop in (0, 1)]
        facts += [(single[0], single[1]) for single in singles]
        rng.shuffle(facts)
        follow = dict(facts)
        hops = 2 if rng.random() < _TWO_HOP_SHARE else 1
        key = rng.choice([chain[0] for chain in chains]) if hops == 2 else rng.choice(facts)[0]
        path = [follow[key]]
        if hops == 2:
            path.append(follow[path[0]])
        told = ",".join(first + second for first, second in facts)
        latent = f"{' '.join(sorted(first + second for first, second in facts))} {hops} {key}"
        return Item(self.domain, f"{told}{'?' * hops}{key}", "".join(path), latent, hops, path[-1])

    def score(self, item: Item, answer: str) -> float | None:
        match = _ANSWER.fullmatch(answer) if len(answer) <= MAX_ANSWER_CHARS else None
        return None if match is None else float(match[1] == item.facts)

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: without the bridge. Misread: the bridge alone."""
        if rng.random() < high_quality:
            return item.answer
        if misread and rng.random() < misread:
            return _NAMES.findall(item.answer)[0]
        return item.facts
