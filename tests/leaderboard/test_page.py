"""The page: complete without its script, which is the only one that may run; nothing fetched; a stranger's text is escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leaderboard.cli import app
from leaderboard.page import page
from leaderboard.rank import leaderboard
from leaderboard.submission import FILE
from leaderboard.verdicts import MEANINGS, Verdict, digest


class Parsed(HTMLParser):
    """Every element with its attributes, and the text of each cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def verdicts(board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    verdict = Verdict(name="mine", submission=digest(board / "mine"), level="reproduced", date="2026-11-28")
    (folder / "mine.json").write_text(verdict.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def text(board: Path, verdicts: Path) -> str:
    return page(leaderboard(board, verdicts))


def test_every_entry_is_there_without_the_script(text: str, board: Path, verdicts: Path) -> None:
    (ranking,) = leaderboard(board, verdicts).rankings
    plain = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    cells = [cell.strip() for cell in Parsed(plain).cells]
    for standing in ranking.standings:
        estimate = f"{standing.entry.metrics['greedy']['net recovery'].estimate:.2f}"
        row = next(place for place, cell in enumerate(cells) if cell.startswith(standing.submission.name))
        assert cells[row - 1] == standing.place_words
        assert cells[row + 1].startswith(estimate)
        assert standing.level in cells[row : row + 12]
    assert ranking.title in plain
    assert all(words in html.unescape(plain) for words in MEANINGS.values())


def test_the_only_script_is_the_one_that_the_policy_names(text: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    named = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert html.unescape(policy).startswith("default-src 'none'")
    assert f"script-src 'sha256-{named}'" in html.unescape(policy)


def test_nothing_is_fetched(text: str) -> None:
    for tag, attributes in Parsed(text).elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "action", "data") and tag != "a":
                assert value is not None
                assert value.startswith(("data:", "#")), (tag, value)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_tables_can_be_read_aloud(text: str) -> None:
    found = Parsed(text).elements
    assert sum(tag == "caption" for tag, _ in found) == sum(tag == "table" for tag, _ in found) == 1
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in found if tag == "th")
    assert ("html", {"lang": "en"}) in found
    for tag, attributes in found:
        if tag == "svg":
            ids = (attributes["aria-labelledby"] or "").split()
            assert len(ids) == 2
            assert all(f'id="{name}"' in text for name in ids)
    names = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(names) == len(set(names))


def test_a_strangers_text_is_escaped(submissions: Path, tmp_path: Path) -> None:
    file = submissions / "mine" / FILE
    content = json.loads(file.read_text()) | {"title": '<script>alert(1)</script> & "quotes"', "authors": ["<img src=x onerror=y>"]}
    file.write_text(json.dumps(content | {"code": "https://example.org/?a=1&b=2"}))
    text = page(leaderboard(submissions, tmp_path))
    assert len(re.findall("<script", text)) == 1
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quotes&#34;" in text
    assert 'href="https://example.org/?a=1&amp;b=2" rel="nofollow noopener"' in text


def test_refused_submissions_are_shown_with_their_reason(submissions: Path, tmp_path: Path) -> None:
    (submissions / "mine" / "<b>.txt").write_text("x")
    text = page(leaderboard(submissions, tmp_path))
    assert "&lt;b&gt;.txt: its name has other signs" in text


def test_the_same_page_for_the_same_submissions(text: str, board: Path, verdicts: Path) -> None:
    assert page(leaderboard(board, verdicts)) == text


def test_the_command(board: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["page", "--out", str(tmp_path / "site"), "--submissions", str(board)])
    assert done.exit_code == 0
    assert (tmp_path / "site" / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_no_submissions(tmp_path: Path) -> None:
    assert "No submissions yet." in page(leaderboard(tmp_path, tmp_path))
