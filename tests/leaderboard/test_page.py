"""The page: complete without its script, which is the only one that may run; nothing fetched; a stranger's text is escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium import faults, render, width_on_a_phone
from typer.testing import CliRunner
from verdict_files import judge

from leaderboard.cli import app
from leaderboard.page import page
from leaderboard.rank import leaderboard
from leaderboard.submission import FILE
from leaderboard.verdicts import MEANINGS
from leaderboard.verify import Place


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
def judged(board: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The board, on which mine was reproduced."""
    verdicts = shutil.copytree(board.verdicts, tmp_path_factory.mktemp("judged") / "verified")
    place = Place(board.submissions, Path(verdicts))
    judge(place, "mine", "reproduced", "bit-exact")
    return place


@pytest.fixture(scope="module")
def text(judged: Place) -> str:
    return page(leaderboard(judged))


def test_every_entry_is_there_without_the_script(text: str, judged: Place) -> None:
    (ranking,) = leaderboard(judged).rankings
    plain = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    cells = [cell.strip() for cell in Parsed(plain).cells]
    for standing in ranking.standings:
        estimate = f"{standing.entry.metrics['greedy']['net recovery'].estimate:.2f}"
        row = next(place for place, cell in enumerate(cells) if cell.startswith(standing.submission.name))
        assert cells[row - 1] == standing.place_words
        assert cells[row + 1].startswith(estimate)
        assert any(cell.startswith(standing.level) for cell in cells[row : row + 12])
    assert ranking.title in plain
    assert "bit-exact" in plain
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


def test_a_strangers_text_is_escaped(place: Place) -> None:
    file = place.submissions / "mine" / FILE
    content = json.loads(file.read_text()) | {"title": '<script>alert(1)</script> & "quotes"', "authors": ["<img src=x onerror=y>"]}
    evidence = {"address": "https://example.org/weights", "sha256": "ab" * 32}
    file.write_text(json.dumps(content | {"code": "https://example.org/?a=1&b=2", "evidence": evidence}))
    text = page(leaderboard(place))
    assert len(re.findall("<script", text)) == 1
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;quotes&#34;" in text
    assert 'href="https://example.org/?a=1&amp;b=2" rel="nofollow noopener">code</a>' in text
    assert 'href="https://example.org/weights" rel="nofollow noopener">evidence</a>' in text


def test_refused_submissions_are_shown_with_their_reason(place: Place) -> None:
    (place.submissions / "mine" / "<b>.txt").write_text("x")
    text = page(leaderboard(place))
    assert "&lt;b&gt;.txt: its name may only have letters" in text


def test_the_same_page_for_the_same_submissions(text: str, judged: Place) -> None:
    assert page(leaderboard(judged)) == text


def test_the_command(board: Place, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["page", "--out", str(tmp_path / "site"), "--submissions", str(board.submissions)])
    assert done.exit_code == 0
    assert (tmp_path / "site" / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_no_submissions(tmp_path: Path) -> None:
    assert "No submissions yet." in page(leaderboard(Place(tmp_path, tmp_path)))


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_fault(place: Place, tmp_path: Path, dark: bool) -> None:
    judge(place, "mine", "disputed", note="the claim is above its rerun")
    found, passes = faults(page(leaderboard(place)), tmp_path, dark=dark)
    assert not found
    assert passes > 10


@pytest.mark.browser
def test_axe_would_find_one(place: Place, tmp_path: Path) -> None:
    found, _ = faults(page(leaderboard(place)).replace("<h1>", '<img src="x"><h1>'), tmp_path)
    assert [each["id"] for each in found] == ["image-alt"]


@pytest.mark.browser
def test_it_fits_a_phone_and_logs_nothing(place: Place, tmp_path: Path) -> None:
    text = page(leaderboard(place))
    assert width_on_a_phone(text, tmp_path) <= 400
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert "CONSOLE" not in render(tmp_path / "page.html", "--dump-dom").stderr
