"""How a worker puts an error into words."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from bench.errors import MachineError, UserError
from bench.user_code import load_file
from bench.worker.process import failure


def test_a_full_disk_is_the_machines_failure_and_named() -> None:
    told = failure(OSError(errno.ENOSPC, "No space left on device"))
    assert told["machine"]
    assert told["user"]
    assert told["error"].startswith(f"the cache or the temporary files ({tempfile.gettempdir()}): cannot be used (No space left on device)")
    assert failure(OSError(errno.EROFS, "Read-only file system", "/data/x"))["error"].startswith("/data/x: cannot be used (Read-only")


def test_a_full_disk_is_found_behind_what_a_library_says() -> None:
    """torch.save ends in a RuntimeError while the disk's error is handled; safetensors has its number in the text."""
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/snapshot.tmp")
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")  # noqa: B904 (as torch does)
    except RuntimeError as hidden:
        told = failure(hidden)
    assert told["machine"]
    assert told["error"].startswith("/data/snapshot.tmp: cannot be used (No space left on device)")
    assert failure(SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"))["machine"]
    assert not failure(SafetensorError("I/O error: no such file (os error 2)")).get("machine")
    said = UserError("a line")
    said.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert failure(said) == {"error": "a line", "user": True, "machine": False}


def test_a_full_gpu_is_no_fault_of_what_was_computed() -> None:
    """A trial of `tune` that ran out of it must not count as a worse setting."""
    assert failure(torch.OutOfMemoryError("CUDA out of memory"))["machine"]
    assert not failure(RuntimeError("CUDA error"))["machine"]


@pytest.mark.parametrize(("error", "machine"), [(UserError("a line"), False), (MachineError("a line"), True)])
def test_what_a_user_can_put_right_is_its_own_line(error: UserError, machine: bool) -> None:
    assert failure(error) == {"error": "a line", "user": True, "machine": machine}


def test_an_error_in_a_users_file_names_its_line(tmp_path: Path) -> None:
    """The deepest one of the file's own."""
    file = tmp_path / "mine.py"
    file.write_text("import json\n\ndef outer():\n    return inner()\n\ndef inner():\n    return json.loads('{')\n")
    with pytest.raises(ValueError) as caught:
        load_file(file).outer()
    told = failure(caught.value)["error"]
    assert told.startswith("JSONDecodeError: ")
    assert told.endswith(" (mine.py:7 in inner)")


def test_other_errors_are_named_by_type_on_one_line_and_traced_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise FileNotFoundError(errno.ENOENT, "no\nsuch file", "/data/x")
    except FileNotFoundError as error:
        told = failure(error)
    assert told == {"error": "FileNotFoundError: [Errno 2] no such file: '/data/x'", "user": False, "machine": False}
    assert "Traceback" in capsys.readouterr().err
