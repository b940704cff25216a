"""Drawings as SVG text for a page: ink has the page's text colour, the background is transparent, and a description gives the numbers."""

from __future__ import annotations

import html
import io
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0b7fc2", "#d0590a", "#0b8f6a", "#c0609a", "#8a7200", "#7a6cc4")
"""Distinguishable for colour-blind readers (after Wong 2011), each with a contrast of 3 or more on white and on near-black."""
INK = "#010203"
"""A placeholder for the page's text colour while drawing."""
WIDTH = 5.2
"""Inches; a page's drawings all have the width of a column, so that type has one size in them."""
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "grid.color": INK,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def drawn(name: str, title: str, description: str, height: float, draw: Callable[[Axes], None], *, width: float = WIDTH) -> str:
    """An <svg> element, the same text for the same data. name: prefix of its ids, its own within a page; height and width: inches."""
    import matplotlib
    from matplotlib.figure import Figure

    # The viewer's own sans-serif is used, so matplotlib need not warn that it is missing here.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(buffer.getvalue(), name, title, description)


def _for_page(text: str, name: str, title: str, description: str) -> str:
    body = text[text.index("<svg") :].strip()
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', body)
    body = re.sub(r' (id=")', rf" \1{name}-", body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = body.replace(INK, "currentColor")
    words = f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(description)}</desc>'
    head = f'<svg viewBox="{box[1] if box else ""}" role="img" aria-labelledby="{name}-title {name}-desc">'
    return re.sub(r"<svg[^>]*>", lambda _: head + words, body, count=1)


def standalone(svg: str) -> str:
    """The same as a file of its own: its ink is dark on a light page and light on a dark one."""
    style = "<style>svg{color:#1b1d1f;font-family:sans-serif}@media(prefers-color-scheme:dark){svg{color:#e6e3dc}}</style>"
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace("<title", f"{style}<title", 1) + "\n"
