"""Text that is safe to show: no hidden characters, no letters that look like others, nothing that a browser or spreadsheet would run."""

from __future__ import annotations

import re
import unicodedata

NAME = r"[a-z0-9][a-z0-9-]{2,39}"
"""The form of an entry's name."""
_HTTPS = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,24}(/[A-Za-z0-9._~/?#&=%+,;:@()-]*)?")
_HIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@")
_ALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "FULLWIDTH")
"""Scripts with letters that look alike."""


def flaw_of_text(text: str) -> str:
    """What makes a line of text unsafe to show, in words; empty where nothing does."""
    if text != text.strip() or not text:
        return "is empty, or begins or ends with a space"
    hidden = next((character for character in text if unicodedata.category(character) in _HIDDEN), "")
    if hidden:
        return f"has the hidden character U+{ord(hidden):04X}"
    if text.startswith(_FORMULA):
        return f"begins with {text[0]!r}, which a spreadsheet takes for a formula"
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode's normal form NFC"
    for word in re.findall(r"\w+", text):
        scripts = {script for character in word for script in _ALIKE if unicodedata.name(character, "").startswith(script)}
        if len(scripts) > 1:
            return f"mixes {' and '.join(sorted(script.capitalize() for script in scripts))} letters in the word {word!r}"
    return ""


def flaw_of_address(address: str) -> str:
    """What is wrong with the address of a page, in words; empty where nothing is."""
    return "" if _HTTPS.fullmatch(address) else "must be an address that begins with https://"
