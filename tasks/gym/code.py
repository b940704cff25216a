"""gym/code: predict the output of programs, rewriting rules and data transformations; eight of reasoning-gym's datasets.

    ab 16 %                   rewrites a string of A# #A B# #B until nothing applies; 6, 8, 12 tokens
    string_manipulation 16 %  3-4, 4-5, 5-7 ordered rules on strings of 5-7, 7-10, 9-13 letters until nothing applies
    manipulate_matrix 16 %    1-2, 2-3, 3-5 steps (crop, transpose, map, drop, zero) on 2-3, 3-4, 4-5 rows and columns
    number_filtering 12 %     keep or remove what is larger or smaller, of 4-5, 6-8, 9-12 numbers with 0, 0-1, 0-3 decimals
    word_sorting 12 %         3-4, 5-7, 8-10 words in ASCII order, up or down
    base_conversion 12 %      8 to 127 between bases 2-4, 16 to 255 between 2-10, 64 to 1,023 between 2-16
    spiral_matrix 8 %         3 x 3, 4 x 4, 5 x 5 read in a spiral
    rotate_matrix 8 %         2 x 2 to 3 x 3, 4 x 4, 5 x 5 by one to three quarter turns

Nothing that a model writes is executed. Latent: the program and its input in one notation: for ab the smallest of the program and its
images under swapping A with B and under mirroring; for filters "remove smaller" is "keep larger" and the list is sorted; for sorting the
sorted words and the direction. Drawn again: entries whose answer is a copy from the prompt, empty outputs, and entries whose key departs
from the rules as worded (string_manipulation: "cb" under "replace it with 'aa' and delete the last character"; the middle of a string of
even length). Mirrors and turns of manipulate_matrix are off: the wording leaves axis and direction open.

The verifiers behind our readers compare exactly, with two exceptions: word_sorting's accepts extra words after the right ones, so our
reader counts them; spiral_matrix's passes anything but the key to `eval`, so it gets only digits and blanks.

Considered and not used. Wrong or vague: number_sorting (1.0 where every number is off by up to 1), game_of_life (extra rows go unseen),
pool_matrix (right within 1 %; moves numpy's global generator), string_synthesis ("cycle through the rules" in words, back to rule 1 in
the key), string_insertion (`eval` of the answer; 95 % of its strings stay as they are), binary_matrix (`eval` of the answer), codeio
(runs bundled code that a model wrote, with `exec`; one of many right inputs counts; nearness is paid). Other items under another
PYTHONHASHSEED: list_functions, word_ladder. bf: a dot on stdout for every program, global tables in its compiler, and from level 2
programs of 2,000 characters. Too easy to guess: letter_counting (39 % by one answer), binary_alternation (23 %), circuit_logic,
isomorphic_strings, ransom_note, game_of_life_halting (two answers). Few questions: caesar_cipher (319 sentences of one story),
string_splitting (three small counts).
"""

from __future__ import annotations

import json
import random
import re

from tasks.gym.answers import Facts, integers, matrix, quoted_numbers, string, swapped, words
from tasks.gym.base import Entry, Gym, Source

_AB = re.compile("[AB]#|#[AB]")
_AB_PROGRAM = re.compile("following program:\n\n(.*)\n")
_SWAP = str.maketrans("AB", "BA")

_MIDDLE = "If the string length is greater than 15, remove the middle character."
_CB = "If the string prefix is 'cb', replace it with 'aa' and delete the last character."

_OFF = -1000.0
"""A weight that manipulate_matrix's softmax turns into exactly 0."""


def _ab_program(entry: Entry) -> str:
    return _AB_PROGRAM.search(entry["question"])[1]


def _ab_latent(entry: Entry) -> str:
    program = _ab_program(entry)
    mirrored = " ".join(token[::-1] for token in reversed(program.split()))
    return "ab " + min(text for half in (program, mirrored) for text in (half, half.translate(_SWAP)))


def _ab_answer(text: str, facts: Facts) -> str | None:
    """Tokens with blanks between them."""
    tokens = text.split()
    return " ".join(tokens) if tokens and all(map(_AB.fullmatch, tokens)) else None


def _rules_latent(entry: Entry) -> str:
    metadata = entry["metadata"]
    return f"rules {metadata['string']} {json.dumps(metadata['selected_rules'])}"


def _rules_fair(entry: Entry) -> bool:
    states, rules = entry["metadata"]["states"], entry["metadata"]["selected_rules"]
    unclear = (_CB in rules and "cb" in states) or (_MIDDLE in rules and any(len(state) > 15 for state in states))
    return len(states) > 1 and bool(states[-1]) and not unclear


def _steps_latent(entry: Entry) -> str:
    steps = [[value for key, value in step.items() if key != "instruction"] for step in entry["metadata"]["operations"]]
    return f"steps {json.dumps(entry['metadata']['matrix'])} {json.dumps(steps)}"


def _steps_fair(entry: Entry) -> bool:
    """More than one number is left, and not simply some rows of the matrix."""
    before, after = entry["metadata"]["matrix"], entry["metadata"]["solution"]
    rows = [before[start : start + len(after)] for start in range(len(before))]
    return after not in rows and sum(map(len, after)) > 1


def _filter_latent(entry: Entry) -> str:
    metadata = entry["metadata"]
    keeps = "larger" if metadata["operation"] in ("keep_larger", "remove_smaller") else "smaller"
    return f"filter {keeps} {metadata['filter_value']} of {' '.join(sorted(metadata['original_numbers']))}"


def _filter_fair(entry: Entry) -> bool:
    """All numbers different, none the bound itself, some kept and some not."""
    metadata = entry["metadata"]
    values = [float(number) for number in (metadata["filter_value"], *metadata["original_numbers"])]
    return len(set(values)) == len(values) and 0 < len(metadata["result"]) < len(metadata["original_numbers"])


def _the_others(facts: Facts, rng: random.Random) -> str:
    """What the filter should have dropped."""
    kept = set(re.findall("'([^']*)'", facts["answer"]))
    return str([number for number in facts["metadata"]["original_numbers"] if number not in kept])


def _sorting_latent(entry: Entry) -> str:
    metadata = entry["metadata"]
    return f"sort {metadata['direction']} {' '.join(sorted(metadata['transformed_words']))}"


def _sorting_answer(text: str, facts: Facts) -> str | None:
    """As many words as there are, with commas between them."""
    normal = words(text, facts)
    return normal if normal and normal.count(",") + 1 == len(facts["metadata"]["sorted_words"]) else None


def _sorting_fair(entry: Entry) -> bool:
    """Not in order yet, and plain words: the story that they are from holds marks like ``_In`` too."""
    metadata = entry["metadata"]
    return metadata["sorted_words"] != metadata["transformed_words"] and all(map(str.isalpha, metadata["sorted_words"]))


def _bases_latent(entry: Entry) -> str:
    metadata = entry["metadata"]
    return f"bases {metadata['decimal_value']} {metadata['source_base']} {metadata['target_base']}"


def _spiral_latent(entry: Entry) -> str:
    return f"spiral {json.dumps(entry['metadata']['matrix'])}"


def _rotation_latent(entry: Entry) -> str:
    return f"rotate {entry['metadata']['num_rotations'] % 4} {json.dumps(entry['metadata']['matrix'])}"


def _square(least: int, most: int) -> dict[str, int]:
    return {"min_rows": least, "max_rows": most, "min_cols": least, "max_cols": most}


_CLEAR = {"w_rotate": _OFF, "w_hmirror": _OFF, "w_vmirror": _OFF, "w_cmirror": _OFF}


class Code(Gym):
    domain = "code"
    version = 2
    answer_tokens = 320
    sources = (
        Source(
            "ab",
            16,
            ({"length": 6}, {"length": 8}, {"length": 12}),
            _ab_latent,
            _ab_answer,
            swapped,
            fair=lambda entry: entry["answer"] not in ("", _ab_program(entry)),
        ),
        Source(
            "string_manipulation",
            16,
            (
                {"min_string_length": 5, "max_string_length": 7, "min_num_rules": 3, "max_num_rules": 4},
                {"min_string_length": 7, "max_string_length": 10, "min_num_rules": 4, "max_num_rules": 5},
                {"min_string_length": 9, "max_string_length": 13, "min_num_rules": 5, "max_num_rules": 7},
            ),
            _rules_latent,
            string,
            swapped,
            fair=_rules_fair,
        ),
        Source(
            "manipulate_matrix",
            16,
            (
                _square(2, 3) | _CLEAR | {"min_transforms": 1, "max_transforms": 2},
                _square(3, 4) | _CLEAR | {"min_transforms": 2, "max_transforms": 3},
                _square(4, 5) | _CLEAR | {"min_transforms": 3, "max_transforms": 5},
            ),
            _steps_latent,
            matrix,
            swapped,
            fair=_steps_fair,
        ),
        Source(
            "number_filtering",
            12,
            (
                {"min_numbers": 4, "max_numbers": 5, "max_decimals": 0},
                {"min_numbers": 6, "max_numbers": 8, "max_decimals": 1},
                {"min_numbers": 9, "max_numbers": 12, "max_decimals": 3},
            ),
            _filter_latent,
            quoted_numbers,
            _the_others,
            lambda entry: {"original_numbers": entry["metadata"]["original_numbers"]},
            _filter_fair,
        ),
        Source(
            "word_sorting",
            12,
            ({"max_words": 4}, {"min_words": 5, "max_words": 7}, {"min_words": 8, "max_words": 10}),
            _sorting_latent,
            _sorting_answer,
            swapped,
            lambda entry: {"sorted_words": entry["metadata"]["sorted_words"]},
            _sorting_fair,
        ),
        Source(
            "base_conversion",
            12,
            (
                {"min_value": 8, "max_value": 127, "max_base": 4},
                {"min_value": 16, "max_value": 255, "max_base": 10},
                {"min_value": 64, "max_value": 1023},
            ),
            _bases_latent,
            string,
            swapped,
            fair=lambda entry: entry["metadata"]["source_repr"] != entry["answer"],
        ),
        Source(
            "spiral_matrix",
            8,
            ({"min_n": 3, "max_n": 3}, {"min_n": 4, "max_n": 4}, {"min_n": 5, "max_n": 5}),
            _spiral_latent,
            integers,
            swapped,
            fair=lambda entry: entry["metadata"]["solution"] != [cell for row in entry["metadata"]["matrix"] for cell in row],
        ),
        Source(
            "rotate_matrix",
            8,
            (
                {"max_n": 3, "min_rotations": 1, "max_rotations": 3},
                {"min_n": 4, "max_n": 4, "min_rotations": 1, "max_rotations": 3},
                {"min_n": 5, "max_n": 5, "min_rotations": 1, "max_rotations": 3},
            ),
            _rotation_latent,
            matrix,
            swapped,
            fair=lambda entry: entry["metadata"]["solution"] != entry["metadata"]["matrix"],
        ),
    )
