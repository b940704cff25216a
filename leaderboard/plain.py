"""Text that is safe to show: no invisible characters, no letters that look like others, nothing that a browser or spreadsheet would run."""

from __future__ import annotations

import re
import unicodedata

NAME = r"[a-z0-9][a-z0-9-]{2,39}"
"""The form of an entry's name."""
NAME_WORDS = "3 to 40 lowercase letters, digits and dashes, beginning with a letter or a digit"
_HTTPS = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,24}(/[A-Za-z0-9._~/?#&=%+,;:@()-]*)?")
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
"""Categories of Unicode."""
_BLANK_LETTERS = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180E, 0x2800, 0x3164, 0xFFA0}
_VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Selectors of variants: marks that change nothing that can be seen."""
_FORMULA = ("=", "+", "-", "@")
MOST_MARKS = 2
"""Combining marks in a row; more of them would cover other lines."""
_SIGNS = {"Ll", "Lm", "Lo", "Lt", "Lu", "Nd", "Nl"}
"""Categories of letters and digits; those in bold, in circles or full width have a plain form. Raised and lowered digits are of none."""
_GREEK_ALIKE = set("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχ")
"""Greek letters that look Latin; others, as in ΔW or μP, are no disguise."""
_ALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "FULLWIDTH")
"""Scripts with letters that look alike."""


def flaw_of_text(text: str) -> str:
    """What makes a line of text unsafe to show, in words; empty where nothing does."""
    if text != text.strip() or not text:
        return "is empty, or begins or ends with a space"
    hidden = next((c for c in text if _invisible(c)), "")
    if hidden:
        return f"has the invisible character U+{ord(hidden):04X}: remove it"
    if unicodedata.normalize("NFKC", text).startswith(_FORMULA):
        return f"begins with {text[0]!r}, which a spreadsheet would read as a formula: begin with another character"
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode's normal form NFC: type it again without combining characters"
    if any(all(map(unicodedata.combining, text[place : place + MOST_MARKS + 1])) for place in range(len(text) - MOST_MARKS)):
        return f"has more than {MOST_MARKS} combining marks on one letter: remove some"
    styled = next((c for c in text if unicodedata.category(c) in _SIGNS and unicodedata.normalize("NFKC", c) != c), "")
    if styled:
        return f"has {styled!r}, which looks like {unicodedata.normalize('NFKC', styled)!r}: write that instead"
    for word in re.findall(r"\w+", text):
        scripts = {script for script in map(_script, word) if script}
        if len(scripts) > 1:
            return f"mixes {' and '.join(sorted(script.capitalize() for script in scripts))} letters in the word {word!r}"
    return ""


def _invisible(letter: str) -> bool:
    code = ord(letter)
    return unicodedata.category(letter) in _INVISIBLE or code in _BLANK_LETTERS or any(code in codes for codes in _VARIATIONS)


def _script(letter: str) -> str:
    """The script of a letter that could be taken for another; empty for all others."""
    found = next((script for script in _ALIKE if unicodedata.name(letter, "").startswith(script)), "")
    return "" if found == "GREEK" and letter not in _GREEK_ALIKE else found


def flaw_of_url(url: str) -> str:
    """What is wrong with the URL of a page, in words; empty where nothing is."""
    return "" if _HTTPS.fullmatch(url) else "must be a URL that begins with https:// and has no spaces or unusual characters"
