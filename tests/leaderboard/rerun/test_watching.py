"""What the watcher of a sandbox reads of processes, and what it would miss by looking at their first thread alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from leaderboard.rerun.docker import _mount
from leaderboard.rerun.watching import nameless, resident

HIDES = """
import ctypes, os, sys, threading, time
held = b"x" * (1 << 26)
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(file, b"x" * (1 << 20))
os.unlink(sys.argv[1])
threading.Thread(target=lambda: (print("ready", flush=True), time.sleep(600))).start()
if sys.argv[2] == "exit":
    ctypes.CDLL(None).pthread_exit(None)
time.sleep(600)
"""


def test_memory_and_files_show_after_the_first_thread_has_ended(tmp_path: Path) -> None:
    for ends in ("stay", "exit"):
        with subprocess.Popen([sys.executable, "-c", HIDES, str(tmp_path / "x"), ends], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout.readline() == b"ready\n"
                state = Path(f"/proc/{process.pid}/stat")
                while ends == "exit" and state.read_text().rpartition(")")[2].split()[0] != "Z":
                    pass
                assert resident(process.pid) > 1 << 26, ends
                assert nameless(process.pid) >= 1 << 20, ends
            finally:
                process.kill()


def test_a_mount_of_any_path_stays_one_field() -> None:
    assert _mount(Path("/a:b"), Path("/a:b"), "readonly") == "type=bind,source=/a:b,target=/a:b,readonly,bind-nonrecursive=true"
    assert _mount(Path('/a,"b'), Path("/c")) == 'type=bind,"source=/a,""b",target=/c,bind-nonrecursive=true'
