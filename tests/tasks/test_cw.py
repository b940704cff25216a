"""micro/cw: constraints read off the prompt and scores worked by hand."""

from __future__ import annotations

import random
import re

import pytest

from tasks.micro.cw import CW, holds
from tasks.micro.vocabulary import RHYME_OF, RHYMES, WORDS
from tasks.task import Item

TASK = CW()
RHYME = Item(
    "cw",
    "5~Moon^s!Rain=",
    "SnowRainKingBestSoon",
    "#5 ~oon ^s !Rain",
    3,
    ((("#", "5"), ("~", "Moon"), ("^", "s"), ("!", "Rain")), ("Snow", "Rain", "King", "Best", "Soon")),
)
FORBID = Item(
    "cw",
    "3^b-n!Cake=",
    "BellCakeLake",
    "#3 ^b -n !Cake",
    1,
    ((("#", "3"), ("^", "b"), ("-", "n"), ("!", "Cake")), ("Bell", "Cake", "Lake")),
)


def read(prompt: str) -> dict[str, str]:
    """Arguments of a prompt's constraints by their signs, the length under ``#``."""
    match = re.fullmatch(r"([0-9])((?:~[A-Z][a-z]+)?)((?:\^[a-z])?)((?:\+[a-z])?)((?:-[a-z])?)((?:![A-Z][a-z]+)?)=", prompt)
    assert match is not None, prompt
    return {"#": match[1]} | {part[0]: part[1:] for part in match.groups()[1:] if part}


def question(prompt: str) -> tuple[tuple[str, str], ...]:
    """What is asked, whatever word of a rhyme class stands for it."""
    return tuple((kind, RHYME_OF[word] if kind == "~" else word) for kind, word in read(prompt).items())


def split(line: str) -> list[str]:
    return re.findall("[A-Z][a-z]+", line)


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(31_000)]


def test_reading_by_hand() -> None:
    assert read("5~Moon^s!Rain=") == {"#": "5", "~": "Moon", "^": "s", "!": "Rain"}
    assert question("5~Moon^s!Rain=") == question("5~Spoon^s!Rain=") != question("5~Crow^s!Rain=")


def test_prompts_set_the_length_and_three_more(drawn: list[Item]) -> None:
    for item in drawn:
        asked = read(item.prompt)
        assert len(asked) == 4
        assert tuple(asked.items()) == item.facts[0]
        assert item.level == int(asked["#"]) - 2
    for kind in "~^+-!":
        assert 0.5 < sum(kind in item.prompt for item in drawn) / len(drawn) < 0.7
    assert {read(item.prompt)["#"] for item in drawn} == set("3456")


def test_canonical_lines_keep_every_constraint(drawn: list[Item]) -> None:
    for item in drawn:
        asked, line = read(item.prompt), split(item.answer)
        assert "".join(line) == item.answer
        assert set(line) <= set(WORDS)
        assert len(set(line)) == len(line) == int(asked["#"])
        if "~" in asked:
            assert line[-1] != asked["~"]
            assert line[-1] in RHYMES[RHYME_OF[asked["~"]]]
        if "^" in asked:
            assert line[0][0] == asked["^"].upper()
        if "+" in asked:
            assert line[1][0] == asked["+"].upper()
        if "-" in asked:
            assert asked["-"] not in item.answer.lower()
        if "!" in asked:
            assert asked["!"] in line


def test_latents_are_constraint_sets_up_to_the_rhyme_word(drawn: list[Item]) -> None:
    latents = {(question(item.prompt), item.latent) for item in drawn}
    assert len(latents) == len({asked for asked, _ in latents}) == len({latent for _, latent in latents})
    assert len(latents) >= 20_000
    assert len({item.prompt for item in drawn}) > len(latents) + 100, "no rhyme class was asked for by two words"


@pytest.mark.parametrize(
    ("line", "score"),
    [
        ("SnowRainKingBestSoon", 1.0),
        ("SightRainLowTellBalloon", 1.0),
        ("SoonRainKingBestNoon", 1.0),
        ("SnowMoonKingRainSoon", 1.0),  # Moon is barred from the end alone
        ("SnowRainKingBestMoon", 0.5),  # a word does not rhyme with itself
        ("SnowRainKingSoonBest", 0.5),  # the rhyme is not at the end
        ("CakeRainKingBestSoon", 0.5),  # begins with c
        ("KingSnowRainBestSoon", 0.5),
        ("BestSnowRainKingSoon", 0.5),  # an s later in the first word is none
        ("SnowRainKingSoon", 0.5),  # four words
        ("SnowRainKingBestBellSoon", 0.5),  # six
        ("SnowCakeKingBestSoon", 0.5),  # without Rain
        ("SnowBrainKingBestSoon", 0.5),  # Brain is not Rain
        ("SnowRainRainKingSoon", 0.5),  # a word twice
        ("SnowRainRainRainSoon", 0.5),  # that counts once
        ("SnowRainKingSoonSoon", 0.5),
        ("RainRainKingBestSoon", 0.0),  # a word twice, and begins with r
        ("SnowRain", 0.0),  # begins with s, holds Rain, no word twice
        ("CakeRainKingBestLow", 0.0),  # five words, Rain, no word twice
        ("Soon", 0.0),  # s, the rhyme, no word twice
        ("Rain", 0.0),
        ("CakeLakeKingBestLow", 0.0),  # five words, none twice, no more
        ("CakeLakeLow", 0.0),
        ("CakeCakeLow", 0.0),
        ("", None),
        ("snowRainKingBestSoon", None),
        ("Snow Rain King Best Soon", None),
        ("SnowRainKingBestSoon.", None),
        ("SnowRainKingBestSoonx", None),
        ("xSnowRainKingBestSoon", None),
        ("SnowRainKingBestSoo", None),
        ("AnnRainKingBestSoon", None),  # Ann is no word of the vocabulary
        ("5~Moon^s!Rain=", None),
    ],
)
def test_scores_by_hand(line: str, score: float | None) -> None:
    assert TASK.score(RHYME, line) == score


@pytest.mark.parametrize(
    ("line", "score"),
    [
        ("BellCakeLake", 1.0),
        ("BestCakeWell", 1.0),
        ("BellCakeKing", 0.5),  # n in King
        ("BellCakeNight", 0.5),  # the capital N is an n
        ("BringCakeLake", 0.5),
        ("BrainCakeSnow", 0.5),  # a letter counts once however often it comes
        ("CakeBellLake", 0.5),
        ("BellLakeRake", 0.5),
        ("BellBellBell", 0.0),  # three words, b, no n
        ("KingCake", 0.0),  # Cake, no word twice
        ("RainSnow", 0.0),
        ("RainRain", 0.0),
    ],
)
def test_a_forbidden_letter_by_hand(line: str, score: float) -> None:
    assert TASK.score(FORBID, line) == score


def test_constraints_one_by_one() -> None:
    assert holds(("#", "2"), ["Low", "Snow"]) and not holds(("#", "2"), ["Low"])
    assert holds(("~", "Low"), ["Cake", "Snow"]) and not holds(("~", "Snow"), ["Cake", "Snow"])
    assert not holds(("~", "Low"), ["Snow", "Cake"])
    assert holds(("^", "c"), ["Cake", "Snow"]) and not holds(("^", "s"), ["Cake", "Snow"])
    assert holds(("+", "s"), ["Cake", "Snow"]) and not holds(("+", "c"), ["Cake", "Snow"])
    assert not holds(("+", "c"), ["Cake"])
    assert holds(("-", "r"), ["Cake", "Snow"]) and not holds(("-", "w"), ["Cake", "Snow"])
    assert holds(("!", "Snow"), ["Cake", "Snow"]) and not holds(("!", "Rain"), ["Cake", "Brain"])


def test_lines_are_read_up_to_400_characters() -> None:
    assert TASK.score(RHYME, "Low" * 133) == 0.0  # 399 characters
    assert TASK.score(RHYME, "Low" * 134) is None


def test_low_quality_demonstrations_keep_the_length_alone() -> None:
    generator = random.Random(0)
    lines = [split(TASK.demonstrate(RHYME, generator, 0.0)) for _ in range(300)]
    assert all(len(set(line)) == 5 and set(line) <= set(WORDS) for line in lines)
    scores = [TASK.score(RHYME, "".join(line)) for line in lines]
    assert sum(scores) / len(scores) < 0.15
    assert TASK.demonstrate(RHYME, generator, 1.0) == RHYME.answer


def test_misread_demonstrations_are_any_words() -> None:
    generator = random.Random(0)
    lines = [split(TASK.demonstrate(RHYME, generator, 0.0, 1.0)) for _ in range(300)]
    assert all(set(line) <= set(WORDS) for line in lines)
    assert {len(line) for line in lines} == {3, 4, 5, 6}
    assert any(len(set(line)) < len(line) for line in lines)
