"""How a worker puts an error into words."""

from __future__ import annotations

import errno
import tempfile

import pytest

from bench.errors import MachineError, UserError
from bench.worker.process import failure


def test_a_full_disk_is_the_machines_failure_and_named() -> None:
    told = failure(OSError(errno.ENOSPC, "No space left on device"))
    assert told["machine"]
    assert told["user"]
    assert told["error"].startswith(f"the cache or the temporary files ({tempfile.gettempdir()}): cannot be used (No space left on device)")
    assert failure(OSError(errno.EROFS, "Read-only file system", "/data/x"))["error"].startswith("/data/x: cannot be used (Read-only")


@pytest.mark.parametrize(("error", "machine"), [(UserError("a line"), False), (MachineError("a line"), True)])
def test_what_a_user_can_put_right_is_its_own_line(error: UserError, machine: bool) -> None:
    assert failure(error) == {"error": "a line", "user": True, "machine": machine}


def test_other_errors_are_named_by_type_on_one_line_and_traced_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise FileNotFoundError(errno.ENOENT, "no\nsuch file", "/data/x")
    except FileNotFoundError as error:
        told = failure(error)
    assert told == {"error": "FileNotFoundError: [Errno 2] no such file: '/data/x'", "user": False}
    assert "Traceback" in capsys.readouterr().err
