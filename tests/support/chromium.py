"""Pages in headless Chromium, without a network."""

from __future__ import annotations

import html
import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.report.doctor import find_browser


def render(page: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Chromium on a page. words: further flags."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr", "--no-first-run"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [find_browser() or "", *flags, profile, *words, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)


def width_on_a_phone(text: str, folder: Path) -> int:
    """How wide a page is in a window of 400 pixels: in a frame of another page, since Chromium opens no window below 500."""
    frame = f'<iframe width="400" height="800" srcdoc="{text.replace("&", "&amp;").replace(chr(34), "&quot;")}"></iframe>'
    script = "<script>onload=()=>{document.title=frames[0].document.documentElement.scrollWidth}</script>"
    (folder / "phone.html").write_text(f"<meta charset=utf-8>{frame}{script}", encoding="utf-8")
    found = re.search(r"<title>(\d+)</title>", render(folder / "phone.html", "--dump-dom").stdout)
    assert found is not None
    return int(found[1])


def faults(text: str, folder: Path, *, dark: bool = False) -> tuple[list[dict[str, Any]], int]:
    """What axe-core finds wrong with a page, and how many of its rules the page passes. The page's own policy, which allows no other
    script, is taken out."""
    spec = find_spec("axe_core_python")
    assert spec is not None
    assert spec.origin is not None
    axe = (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    said = "{violations: found.violations.map((v) => ({id: v.id, impact: v.impact, where: v.nodes[0].html})), passes: found.passes.length}"
    run = f"axe.run().then((found) => {{document.getElementById('axe').textContent = JSON.stringify({said})}})"
    open_to_scripts = re.sub(r"<meta http-equiv=.Content-Security-Policy[^>]*>", "", text)
    added = f"<pre id=axe hidden></pre><script>{axe}</script><script>{run}</script></body>"
    (folder / "axe.html").write_text(open_to_scripts.replace("</body>", added), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    shown = render(folder / "axe.html", scheme, "--virtual-time-budget=60000", "--dump-dom").stdout
    found = re.search(r'<pre id="axe" hidden="">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None
    result = json.loads(html.unescape(found[1]))
    return result["violations"], result["passes"]
