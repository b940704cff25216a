"""Take a screenshot of a report's page with headless Chromium, without network access.

python scripts/screenshot.py report/report.html docs/report.png
python scripts/screenshot.py report/report.html docs/report-dark.png --dark --height 2400
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.report.doctor import find_browser


def main() -> None:
    """Read the options and take the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1200, help="at least 500, the narrowest window that Chromium opens")
    parser.add_argument("--height", type=int, default=1500)
    parser.add_argument("--dark", action="store_true")
    words = parser.parse_args()
    browser = find_browser()
    if browser is None:
        sys.exit("screenshot: no Chromium or Chrome on the PATH; install one")
    if not words.page.is_file():
        sys.exit(f"screenshot: {words.page} is not a file; `python -m bench report RUN... --out FOLDER` writes report.html")
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--proxy-server=127.0.0.1:9"]
        flags += [f"--user-data-dir={profile}", f"--blink-settings=preferredColorScheme={0 if words.dark else 1}"]
        shot = [f"--window-size={words.width},{words.height}", f"--screenshot={words.picture.resolve()}", words.page.resolve().as_uri()]
        subprocess.run([browser, *flags, *shot], check=True, capture_output=True)


if __name__ == "__main__":
    main()
