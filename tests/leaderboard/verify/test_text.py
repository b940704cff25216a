"""Words that are shown to others: safe, honest, filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from forgeries import edit, put, refusals, refused

from leaderboard.submission import FILE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p\u0430yload", "mixes Cyrillic and Latin letters in the word"),
        ("safe \u202e gnp.exe", r"has the invisible character U\+202E"),
        ("zero\u200bwidth", r"has the invisible character U\+200B"),
        ("line\nbreak", r"has the invisible character U\+000A"),
        ("=HYPERLINK(1)", "begins with '=', which a spreadsheet would read as a formula"),
        ("+1", "begins with '\\+'"),
        ("@SUM(A1)", "begins with '@'"),
        ("\uff1dHYPERLINK(1)", "which a spreadsheet would read as a formula"),
        ("title\ufe01", r"has the invisible character U\+FE01"),
        ("\U000e0100x", r"has the invisible character U\+E0100"),
        ("p\U0001d41ayload", r"\(U\+1D41A\), which looks like 'a': write that instead"),
        ("\u216fine", "which looks like 'M': write that instead"),
        ("a" + "\u0334" * 3, "has more than 2 combining marks on one letter"),
        ("e\u0301tude", "is not in Unicode's normal form NFC: copy it from here: \u00e9tude"),
        ("pay\u200dload", r"has the invisible character U\+200D"),
        (" space", "is empty, or begins or ends with a space"),
        ("FILL IN: one line", "fill it in: a text without FILL IN"),
        ("x" * 121, "at most 120 characters"),
    ],
)
@pytest.mark.parametrize("field", ["title", "authors.0"])
def test_text_that_is_not_safe_to_show(submissions: Path, field: str, text: str, said: str) -> None:
    edit(submissions / "mine", FILE, put(field, text))
    refused(submissions / "mine", rf"submission\.json: {re.escape(field)}: .*{said}")


@pytest.mark.parametrize(
    "text",
    [
        "\u0394W repair",
        "\u03bcP at work",
        "\u00b5P",
        "na\u00efve",
        "\u8ad6\u6587",
        "\u05d0\u05d1",
        "R\u00b2 of W\u1d40W",
        "\u0e2d\u0e33\u0e19\u0e32\u0e08",
        "\u054d\u0587\u0561\u056f",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "\u0917\u094c\u0921\u093c",
        "M\u00aa Ni\u00f1o",
    ],
)
def test_honest_titles(submissions: Path, text: str) -> None:
    edit(submissions / "mine", FILE, put("title", text))
    assert refusals(submissions / "mine") == []


@pytest.mark.parametrize("name", ["Mine", "mi", "-mine", "mine_2", "m\u0456ne", "x" * 41, "../mine"])
def test_names_of_entries(submissions: Path, name: str) -> None:
    edit(submissions / "mine", FILE, put("name", name))
    refused(submissions / "mine", r"submission\.json: name: ")


def test_a_folder_of_another_name(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("name", "yours"))
    refused(submissions / "mine", r"submission\.json: name: 'yours' must equal the folder's name")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "http://example.org", "https://a b.org", "https://x", "data:text/html,x", '"><script>']
)
@pytest.mark.parametrize("field", ["paper", "code"])
def test_addresses(submissions: Path, field: str, address: str) -> None:
    edit(submissions / "mine", FILE, put(field, address))
    refused(submissions / "mine", rf"submission\.json: {field}: must be a URL that begins with https://")


def test_the_readme_may_be_edited_and_has_no_placeholder(submissions: Path) -> None:
    (submissions / "mine" / "README.md").write_text("# Mine\n\nWith a typing error less.\n")
    assert refusals(submissions / "mine") == []
    (submissions / "mine" / "README.md").write_text("# FILL IN: the method's name\n")
    refused(submissions / "mine", r"README\.md: still has a placeholder \(FILL IN\): replace it")
