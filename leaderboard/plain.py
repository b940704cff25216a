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
_JOINERS = "\u200c\u200d"
_VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Selectors of variants: marks that change nothing that can be seen."""
_FORMULA = ("=", "+", "-", "@")
MOST_MARKS = 2
"""Combining marks in a row; more of them would cover other lines."""
_ROMAN = tuple(f"<compat> {ord(letter):04X}" for letter in "CDILMVX")
_STYLES = ("<font>", "<wide>", "<circle>", "<square>", *_ROMAN)
"""How Unicode marks letters and digits in bold, in full width or in circles, and Roman numerals."""
_GREEK_ALIKE = set("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχ")
"""Greek letters that look Latin; others, as in ΔW or μP, are no disguise."""
_ALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")
"""Scripts with letters that look alike."""


def flaw_of_text(text: str) -> str:
    """What makes a line of text unsafe to show, in words; empty where nothing does."""
    if text != text.strip() or not text:
        return "is empty, or begins or ends with a space"
    hidden = first_invisible(text)
    if hidden is not None:
        return f"has the invisible character U+{ord(text[hidden]):04X}: remove it"
    if unicodedata.normalize("NFKC", text).startswith(_FORMULA):
        return f"begins with {text[0]!r}, which a spreadsheet would read as a formula: begin with another character"
    if (normal := unicodedata.normalize("NFC", text)) != text:
        return f"is not in Unicode's normal form NFC: copy it from here: {normal}"
    if any(all(map(unicodedata.combining, text[place : place + MOST_MARKS + 1])) for place in range(len(text) - MOST_MARKS)):
        return f"has more than {MOST_MARKS} combining marks on one letter: remove some"
    styled = next((c for c in text if unicodedata.decomposition(c).startswith(_STYLES)), "")
    if styled:
        return f"has {styled!r} (U+{ord(styled):04X}), which looks like {unicodedata.normalize('NFKC', styled)!r}: write that instead"
    for word in re.findall(r"\w+", text):
        scripts = {script for script in map(_script, word) if script}
        if len(scripts) > 1:
            return f"mixes {' and '.join(sorted(script.capitalize() for script in scripts))} letters in the word {word!r}"
    return ""


def first_invisible(text: str, allowed: str = "") -> int | None:
    """Where the first character is that cannot be seen, allowed ones apart. Joiners may stand between letters of scripts that need them."""

    def joins(place: int) -> bool:
        sides = text[place - 1 : place], text[place + 1 : place + 2]
        return text[place] in _JOINERS and all(side and unicodedata.category(side)[0] in "LM" and not _script_of(side) for side in sides)

    return next((place for place, c in enumerate(text) if _invisible(c) and c not in allowed and not joins(place)), None)


def _invisible(letter: str) -> bool:
    code = ord(letter)
    return unicodedata.category(letter) in _INVISIBLE or code in _BLANK_LETTERS or any(code in codes for codes in _VARIATIONS)


def _script(letter: str) -> str:
    """The script of a letter that could be taken for another; empty for all others."""
    found = _script_of(letter)
    return "" if found == "GREEK" and letter not in _GREEK_ALIKE else found


def _script_of(letter: str) -> str:
    return next((script for script in _ALIKE if unicodedata.name(letter, "").startswith(script)), "")


def flaw_of_url(url: str) -> str:
    """What is wrong with the URL of a page, in words; empty where nothing is."""
    return "" if _HTTPS.fullmatch(url) else "must be a URL that begins with https:// and has no spaces or unusual characters"
