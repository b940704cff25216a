"""gym/math: eight of reasoning-gym's datasets, three levels each.

    chain_sum 15 %               ``37 + 42 - 18 =``; 2-3, 4-5, 5-7 terms of 2, 2-3, 3-4 digits
    basic_arithmetic 15 %        + - * with brackets and signs; 2-3 terms of 1 digit, 3-4 of 1-2, 4-6 of 2
    products 14 %                2 factors of 2 digits, 2 of 3, 3 of 2-3
    gcd 12 %                     2 numbers to 150, 2 to 600, 3 to 600
    lcm 12 %                     2 numbers to 40, 2 to 100, 3 to 40
    fraction_simplification 12 % terms to 20, 60, 200 times a factor to 9, 20, 50
    simple_equations 13 %        ``7*x + 12 = 40``; 2, 2-3, 3-5 terms with constants to 20, 50, 100
    countdown 7 %                an expression of 3 numbers to 10, 3 to 50, 4 to 50 that hits a target; any exact one is right

Answers are whole numbers, a fraction, or (countdown) an expression. Latent: an expression with its terms and factors sorted, the same for
the three datasets that ask for a value; sorted numbers; the fraction as printed; the equation as a*x + b = c with a > 0, whatever its
letter; sorted numbers and target.

Drawn again: fractions that reduce to a whole number, and greatest common divisors below 5 (1 or 2 would be right too often).

Without our readers the verifiers accept ``1,0,0`` for 100, ``1_0`` for 10, ``1e2`` and Arabic digits (chain_sum, products), whatever
follows a LaTeX fraction (fraction_simplification), and results within 0.001 % of the target (countdown, which also gives the text to
sympy's `parse_expr`, that is to `eval`). Our reader for countdown parses the expression, checks numbers and exact value itself and passes
on its own text. basic_arithmetic has no division, since its keys round it down.

Considered and not used. Wrong or vague: polynomial_equations (skips what is no number), number_format (right within 0.01, and options
differ by less), coin_flip (right within 0.0001), number_sequence (several rules fit, one is right), leg_counting (its key says how many
legs a starfish has), polynomial_multiplication, simple_integration and intermediate_integration (evaluate the answer), time_intervals (its
entries hold today's date), decimal_arithmetic (rounds; sets the decimal context of the process), power_function (rounded powers of numbers
with four decimals). Too easy to guess: count_bits (26 % by one answer), count_primes at sizes this small. Too few questions, so that they
can be memorised: calendar_arithmetic, puzzle24. Fit behind a reader but more of the same: decimal_chain_sum, complex_arithmetic,
prime_factorization, dice, simple_geometry, bitwise_arithmetic.
"""

from __future__ import annotations

import random

from tasks.gym import expression
from tasks.gym.answers import Facts, fraction, integer, wrong_integer
from tasks.gym.base import Entry, Gym, Source
from tasks.gym.expression import ExpressionError


def _value_of(entry: Entry) -> str:
    return f"value {expression.canonical(expression.parse(entry['metadata']['expression']))}"


def _of_numbers(entry: Entry) -> str:
    metadata = entry["metadata"]
    return f"{metadata['source_dataset']} {' '.join(map(str, sorted(metadata['numbers'])))}"


def _fraction(entry: Entry) -> str:
    metadata = entry["metadata"]
    return f"fraction {metadata['numerator']}/{metadata['denominator']}"


def _equation(entry: Entry) -> str:
    """The coefficients of a*x + b = c, read off the left side's values at 0 and 1; a is made positive."""
    left, _, right = entry["metadata"]["equation"].partition(" = ")
    tree = expression.parse(left, entry["metadata"]["variable"])
    b = expression.value(tree, 0)
    a, c = expression.value(tree, 1) - b, int(right)
    sign = 1 if a > 0 else -1
    return f"equation {sign * a}*x + {sign * b} = {sign * c}"


def _countdown(entry: Entry) -> str:
    metadata = entry["metadata"]
    return f"countdown {' '.join(map(str, sorted(metadata['numbers'])))} = {metadata['target']}"


def _reaches_target(text: str, facts: Facts) -> str | None:
    """An expression of exactly the given numbers whose exact value is the target, written anew; None for any other."""
    numbers, target = facts["metadata"]["numbers"], facts["metadata"]["target"]
    try:
        tree = expression.parse(text)
        fits = sorted(expression.numbers(tree)) == sorted(numbers) and expression.value(tree) == target
    except ExpressionError:
        return None
    return expression.text_of(tree) if fits else None


def _one_left_out(facts: Facts, rng: random.Random) -> str:
    numbers = facts["metadata"]["numbers"]
    return " + ".join(map(str, rng.sample(numbers, len(numbers) - 1)))


def _unreduced(facts: Facts, rng: random.Random) -> str:
    """The fraction as it was, or with another numerator."""
    metadata = facts["metadata"]
    if rng.random() < 0.5:
        return f"{metadata['numerator']}/{metadata['denominator']}"
    return f"{metadata['simplified_numerator'] + 1}/{metadata['simplified_denominator']}"


def _kept(*keys: str):
    return lambda entry: {key: entry["metadata"][key] for key in keys}


_SIGNS = ("+", "-", "*")
_FRACTION_KEYS = ("numerator", "denominator", "simplified_numerator", "simplified_denominator")


class Math(Gym):
    domain = "math"
    version = 2
    answer_tokens = 320
    sources = (
        Source(
            "chain_sum",
            15,
            (
                {"min_terms": 2, "max_terms": 3, "min_digits": 2, "max_digits": 2},
                {"min_terms": 4, "max_terms": 5, "min_digits": 2, "max_digits": 3},
                {"min_terms": 5, "max_terms": 7, "min_digits": 3, "max_digits": 4},
            ),
            _value_of,
            integer,
            wrong_integer,
        ),
        Source(
            "basic_arithmetic",
            15,
            (
                {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 1, "operators": _SIGNS},
                {"min_terms": 3, "max_terms": 4, "min_digits": 1, "max_digits": 2, "operators": _SIGNS},
                {"min_terms": 4, "max_terms": 6, "min_digits": 2, "max_digits": 2, "operators": _SIGNS},
            ),
            _value_of,
            integer,
            wrong_integer,
        ),
        Source(
            "products",
            14,
            (
                {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2},
                {"min_terms": 2, "max_terms": 2, "min_digits": 3, "max_digits": 3},
                {"min_terms": 3, "max_terms": 3, "min_digits": 2, "max_digits": 3},
            ),
            _value_of,
            integer,
            wrong_integer,
        ),
        Source(
            "gcd",
            12,
            (
                {"min_value": 10, "max_value": 150},
                {"min_value": 50, "max_value": 600},
                {"min_value": 50, "max_value": 600, "min_numbers": 3, "max_numbers": 3},
            ),
            _of_numbers,
            integer,
            wrong_integer,
            fair=lambda entry: entry["metadata"]["result"] >= 5,
        ),
        Source(
            "lcm",
            12,
            (
                {"min_value": 4, "max_value": 40},
                {"min_value": 10, "max_value": 100},
                {"min_value": 5, "max_value": 40, "min_numbers": 3, "max_numbers": 3},
            ),
            _of_numbers,
            integer,
            wrong_integer,
        ),
        Source(
            "fraction_simplification",
            12,
            (
                {"max_value": 20, "min_factor": 2, "max_factor": 9, "styles": ("plain",)},
                {"max_value": 60, "min_factor": 2, "max_factor": 20, "styles": ("plain",)},
                {"max_value": 200, "min_factor": 2, "max_factor": 50, "styles": ("plain",)},
            ),
            _fraction,
            fraction,
            _unreduced,
            _kept(*_FRACTION_KEYS),
            lambda entry: entry["metadata"]["simplified_denominator"] > 1,
        ),
        Source(
            "simple_equations",
            13,
            (
                {"min_terms": 2, "max_terms": 2, "max_value": 20},
                {"min_terms": 2, "max_terms": 3, "max_value": 50},
                {"min_terms": 3, "max_terms": 5, "max_value": 100},
            ),
            _equation,
            integer,
            wrong_integer,
        ),
        Source(
            "countdown",
            7,
            (
                {"min_numbers": 3, "max_numbers": 3, "max_value": 10, "min_target": 5, "max_target": 100},
                {"min_numbers": 3, "max_numbers": 3, "max_value": 50, "min_target": 10, "max_target": 500},
                {"min_numbers": 4, "max_numbers": 4, "max_value": 50, "min_target": 10, "max_target": 500},
            ),
            _countdown,
            _reaches_target,
            _one_left_out,
            _kept("numbers", "target"),
        ),
    )
