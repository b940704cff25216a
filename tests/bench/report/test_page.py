"""The page: readable, safe, the same for the same report, and in need of nothing but itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from chromium import render, width_on_a_phone

from bench.errors import UserError
from bench.report import tables
from bench.report.page import page, write_report
from bench.report.svg import PALETTE
from bench.report.words import shown
from bench.suite import DECODINGS

NASTY = "<script>document.title='broken'</script>|&[/x]"


class Page(HTMLParser):
    """Tags with attributes, and text with the tag it stands in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", data.strip()))


def test_values_stand_under_their_own_heads(board, entries, html):
    """Of the sharpened model greedy and temperature 1 differ, and so do all metrics."""
    metrics = entries["sharpen"].metrics
    wanted = [shown("net recovery", metrics[decoding]["net recovery"]) for decoding in DECODINGS]
    wanted += [shown(name, metrics["greedy"][name]) for name in ("recovery ratio", "retention", *tables.COST_METRICS)]
    assert len(set(wanted[:4])) == 4
    ranking = re.search(r'<table class="ranking">.*?</table>', html, re.DOTALL)[0]
    heads = [re.sub(r"<[^>]*>", "", head) for head in re.findall(r"<th scope=\"col\".*?</th>", ranking)]
    others = ["recovery ratio", "retention", *tables.COST_METRICS]
    assert heads == ["place", "entry", "net recovery, greedy", "net recovery, temperature&nbsp;1", *others, "cost, %", "access"]
    row = next(row for row in re.findall(r"<tr.*?</tr>", ranking, re.DOTALL) if ">sharpen<" in row)
    cells = [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td>.*?</td>", row, re.DOTALL)]
    assert cells[: len(wanted)] == wanted
    assert cells[len(wanted)] == "100.0"


def test_answers_and_settings_are_escaped(html):
    assert NASTY not in html
    assert "&lt;script&gt;document.title" in html
    assert "script" not in {tag for tag, _ in Page(html).tags}


def test_the_page_needs_nothing_beside_itself(html):
    page = Page(html)
    loading = [attrs.get(name) for _, attrs in page.tags for name in ("src", "href", "data", "srcset", "action", "poster") if name in attrs]
    assert [address for address in loading if not (address or "").startswith(("#", "data:"))] == []
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    policy = next(attrs["content"] for tag, attrs in page.tags if tag == "meta" and attrs.get("http-equiv"))
    assert "default-src 'none'" in (policy or "")


def test_ids_are_unique_and_references_meet_them(html):
    page = Page(html)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {(attrs.get("href") or "")[1:] for _, attrs in page.tags if "href" in attrs and (attrs["href"] or "").startswith("#")}
    used |= set(re.findall(r"url\(#([^)]*)\)", html)) | {i for _, a in page.tags for i in (a.get("aria-labelledby") or "").split()}
    assert used <= set(ids)


def test_every_figure_has_a_text_alternative_and_takes_the_pages_colours(html):
    svgs = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(svgs) >= 10
    for svg in svgs:
        assert svg.startswith("<svg viewBox=")
        assert 'role="img"' in svg
        assert re.search(r"<title id=[^>]*>[^<]{5,}</title><desc id=[^>]*>[^<]{20,}</desc>", svg)
        colours = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"<desc.*?</desc>|\"#|url\(#", "", svg, flags=re.DOTALL)))
        assert colours <= set(PALETTE)
        assert all(
            "currentColor" in style for style in re.findall(r"<text style=\"([^\"]*)\"", svg) if "fill: #" not in style and "fill" in style
        )
        # matplotlib paints text without a colour black.
        assert not [style for style in re.findall(r"<text([^>]*)>", svg) if "fill" not in style]


def test_the_same_report_makes_the_same_page(report, html):
    assert page(report) == html


def test_the_files_of_a_report(report, tmp_path):
    names = [path.name for path in write_report(report, tmp_path / "new" / "out")]
    assert names == ["report.html", "report.md", "report.json", "entries.csv", "cells.csv"]
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(names)


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(report, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/dev/full"), Path("/proc/nothing"), tmp_path / ("n" * 300)):
        with pytest.raises(UserError, match=r"^--out ") as refused:
            write_report(report, out)
        assert "\n" not in str(refused.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_disk_that_fills_while_a_report_is_written_is_one_line(report, tmp_path):
    (tmp_path / "report.md").mkdir()  # what cannot be replaced by a file
    with pytest.raises(UserError, match=r"^--out .*cannot be used"):
        write_report(report, tmp_path)


@pytest.mark.browser
def test_the_page_renders_in_a_browser_and_fits_a_phone(html, tmp_path):
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    done = render(tmp_path / "report.html", f"--screenshot={tmp_path / 'shot.png'}", "--window-size=1200,1600")
    assert "CONSOLE" not in done.stderr
    import matplotlib.image

    pixels = matplotlib.image.imread(tmp_path / "shot.png")
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50  # text, three palettes, and no blank page
    assert width_on_a_phone(html, tmp_path) <= 400
