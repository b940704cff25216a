"""Methods that try to get out of their sandbox, or to be scored for what they did not do. Each says what it found: "ESCAPED", or what
stopped it; the others are ended for the limit that they pass. Nothing here leaves this machine: what they reach for is a file, a process or
a port of the test itself."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.results.run import Run
from bench.runs.execute import execute
from bench.runs.plan import plan
from bench.spec import MethodRecord, RunSpec
from leaderboard.code import facts_of
from leaderboard.rerun.bubblewrap import Bubblewrap
from leaderboard.rerun.docker import Docker
from leaderboard.rerun.sandbox import Confined, Limits
from tasks.source import lone_source_hash

pytestmark = pytest.mark.slow

HEAD = '''
# A string that names an existing file would be part of the code's hash, so paths are put together here.
import json, os, signal, socket, subprocess, sys, threading, time
from pathlib import Path
import torch
from bench.checkpoint import Checkpoint, Store
from bench.method import Method, Training

def channels():
    """Descriptors that may be the pipe to the parent."""
    return [number for number in range(3, 64) if "pipe" in target_of(number)]

def target_of(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""

def tell(event):
    for channel in channels():
        try:
            os.write(channel, (json.dumps(event) + "\\n").encode())
        except OSError:
            pass

def command_of(number):
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""

def called(number, *arguments):
    """A system call."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(number, *(ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a or 0) for a in arguments))
    if found == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found

def job_of():
    """The key of the job that runs now."""
    frame = sys._getframe()
    while frame is not None:
        if "job" in frame.f_locals and hasattr(frame.f_locals["job"], "key"):
            return frame.f_locals["job"].key
        frame = frame.f_back

def attempt(what):
    """Runs it; says what stopped it, or that nothing did."""
    try:
        found = what()
    except BaseException as error:
        return f"{type(error).__name__} {error}"
    raise RuntimeError(f"ESCAPED {found!r:.80}")

class Hostile(Method):
    """Does no good."""
    def recover(self, checkpoint, targets, history):
        OUTSIDE = %(outside)r
'''
LIMITS = Limits(memory=3.0, disk=0.3, files=5_000, seconds=60.0, log=2_000_000)


@dataclass(frozen=True)
class Host:
    """What the methods reach for. outside: a folder of the test with a file `secret`; cache: with the baseline run's stages, made once;
    sandbox: where they run."""

    outside: Path
    cache: Path
    suite: str
    sandbox: type[Confined]

    def run(self, body: str, work: Path, limits: Limits = LIMITS, draw: int = 0) -> Run:
        """A run of a method whose `recover` has this body. `UserError` with the reason where it failed. draw: of fresh items."""
        file = work / "hostile.py"
        file.write_text(HEAD % {"outside": str(self.outside)} + textwrap.indent(textwrap.dedent(body), " " * 8), encoding="utf-8")
        facts = facts_of(file.read_text(encoding="utf-8"), "Hostile")
        assert facts is not None
        record = MethodRecord(
            reference=f"{file}:Hostile",
            name="Hostile",
            settings={},
            source=lone_source_hash(file.read_text(encoding="utf-8"), "baselines"),
            track=facts.track,
            control=False,
            own_stages=facts.own_stages,
            repairs=facts.repairs,
        )
        planned = plan(RunSpec(suite=self.suite, method=record.reference, device="cpu", draw=draw), method=record)
        sandbox = self.sandbox(work / "box", Store(self.cache / "checkpoints"), [file, Path(self.suite)], limits)
        try:
            return execute([planned], out=work / "runs", cache=self.cache, jobs=1, display=False, sandbox=sandbox)[0]
        finally:
            sandbox.close()
            assert not (work / "box").exists()

    def why(self, body: str, work: Path, limits: Limits = LIMITS, draw: int = 0) -> str:
        """Why such a run failed."""
        with pytest.raises(UserError) as failed:
            self.run(body, work, limits, draw)
        assert "ESCAPED" not in str(failed.value)
        return str(failed.value)


SANDBOXES = [pytest.param(Bubblewrap, marks=pytest.mark.bubblewrap), pytest.param(Docker, marks=pytest.mark.docker)]


@pytest.fixture(scope="module", params=SANDBOXES)
def host(request: pytest.FixtureRequest, tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Unchanged at the end: the secret file, what lies beside it, and every checkpoint of the cache."""
    outside, cache = tmp_path_factory.mktemp("outside"), tmp_path_factory.mktemp("host-cache")
    (outside / "secret").write_text("the secret", encoding="utf-8")
    execute([plan(RunSpec(suite=str(tiny_suite), device="cpu"))], out=tmp_path_factory.mktemp("runs"), cache=cache, jobs=1, display=False)
    yield Host(outside, cache, str(tiny_suite), request.param)
    assert {path.name: path.read_text(encoding="utf-8") for path in outside.iterdir()} == {"secret": "the secret"}
    for stored in (cache / "checkpoints").iterdir():
        Checkpoint(stored).verify()


def test_an_honest_method_gives_the_same_inside_and_outside(host: Host, tmp_path: Path) -> None:
    body = "return history.train(checkpoint, Training.on(*targets, steps=2))"
    inside = host.run(body, tmp_path)
    spec = RunSpec(suite=host.suite, method=f"{tmp_path / 'hostile.py'}:Hostile", device="cpu")
    outside = execute([plan(spec)], out=tmp_path / "outside", cache=host.cache, jobs=1, display=False)[0]
    assert inside.manifest.checkpoints == outside.manifest.checkpoints
    assert inside.manifest.cost == outside.manifest.cost
    assert inside.manifest.method.source == outside.manifest.method.source
    assert inside.file("training/repaired.jsonl") == outside.file("training/repaired.jsonl")


def test_without_a_sandbox_the_same_methods_escape(host: Host, tmp_path: Path) -> None:
    """So the attempts below are real ones."""
    (tmp_path / "hostile.py").write_text(HEAD % {"outside": str(host.outside)} + f"        {READS['secret']}\n", encoding="utf-8")
    planned = plan(RunSpec(suite=host.suite, method=f"{tmp_path / 'hostile.py'}:Hostile", device="cpu"))
    with pytest.raises(UserError, match="ESCAPED 'the secret'"):
        execute([planned], out=tmp_path / "runs", cache=host.cache, jobs=1, display=False)


STOPPED = "contained: (PermissionError|FileNotFoundError|OSError|KeyError|IndexError|CalledProcessError|ValueError)"
"""What the system answers; a mistake in the attempt itself would be another error."""
READS = {
    "keyring": "attempt(lambda: called(250, 0, -3, 0))",
    "keys": 'attempt(lambda: called(249, b"user", b"secret", None, 0))',
    "shadow": 'attempt(lambda: open("/etc" + "/shadow").read())',
    "secret": 'attempt(lambda: open(OUTSIDE + "/secret").read())',
    "home": 'attempt(lambda: [path.read_text() for path in Path(os.path.expanduser("~root")).glob(".*rc")][0])',
    "other processes": 'attempt(lambda: [p for p in range(1, 99_999) if b"--slow" in command_of(p)][0])',
    "environment": 'attempt(lambda: os.environ["PYTEST_CURRENT_TEST"])',
    "memory of process 1": 'attempt(lambda: open("/proc" + "/1/mem", "r+b"))',
    "a disk": 'attempt(lambda: [open(f"/dev/{name}", "rb").read(1) for name in ("sda", "vda", "mem", "kmsg")])',
}


@pytest.mark.parametrize("what", READS)
def test_reads_nothing_of_the_host(host: Host, tmp_path: Path, what: str) -> None:
    assert re.search(STOPPED, host.why(f'raise RuntimeError("contained: " + {READS[what]})', tmp_path))


WRITES = {
    "user namespace": "attempt(lambda: called(272, 0x10000000))",
    "memory without a file": "attempt(lambda: called(319, b'x', 0))",
    "memory of System V": "attempt(lambda: called(29, 0, 1 << 28, 0o1600))",
    "io_uring": "attempt(lambda: called(425, 8, None))",
    "sockets of machines": "attempt(lambda: socket.socket(40, socket.SOCK_STREAM))",
    "outside": 'attempt(lambda: Path(OUTSIDE, "mark").write_text("x"))',
    "the package": 'attempt(lambda: Path(sys.modules["bench"].__file__).write_text("x"))',
    "its own file": "attempt(lambda: Path(__file__).write_text('x'))",
    "the libraries": 'attempt(lambda: Path(torch.__file__).write_text("x"))',
    "the system": 'attempt(lambda: Path("/usr/bin/mark").write_text("x"))',
    "the root": 'attempt(lambda: Path("/mark").write_text("x"))',
    "settings of the kernel": 'attempt(lambda: Path("/proc" + "/sys/kernel/hostname").write_text("x"))',
    "priority": "attempt(lambda: os.setpriority(os.PRIO_PROCESS, 0, -10))",
    "user": "attempt(lambda: os.setuid(0))",
    "mount": 'attempt(lambda: subprocess.run(["mount", "-t", "tmpfs", "x", "/" + "tmp"], check=True))',
    "limits": "attempt(lambda: __import__('resource').setrlimit(__import__('resource').RLIMIT_NOFILE, (9999, 9999)))",
}


@pytest.mark.parametrize("what", WRITES)
def test_changes_nothing_of_the_host(host: Host, tmp_path: Path, what: str) -> None:
    assert re.search(STOPPED, host.why(f'raise RuntimeError("contained: " + {WRITES[what]})', tmp_path))


def test_reaches_no_port_and_no_socket_of_the_host(host: Host, tmp_path: Path) -> None:
    with socket.socket() as port, socket.socket(socket.AF_UNIX) as abstract:
        port.bind(("127.0.0.1", 0))
        port.listen()
        abstract.bind(f"\0hostile-{os.getpid()}")
        abstract.listen()
        body = f"""
        tcp = attempt(lambda: socket.create_connection(("127.0.0.1", {port.getsockname()[1]}), 3))
        unix = attempt(lambda: socket.socket(socket.AF_UNIX).connect("\\0hostile-{os.getpid()}"))
        raise RuntimeError(f"contained: {{tcp}}, {{unix}}")
        """
        assert "contained: ConnectionRefusedError" in host.why(body, tmp_path)


def test_learns_neither_the_draw_nor_any_answer(host: Host, tmp_path: Path) -> None:
    """It looks for what decides the items of a rerun in all that it can reach: its job, its variables, its environment, its files."""
    draw = 7_654_321
    body = f"""
    import gc
    draw = str({draw} + 0)[::-1][::-1]
    seen = [str(os.environ), *(str(command_of(number)) for number in range(1, 99))]
    frame = sys._getframe().f_back
    while frame is not None:
        seen += [repr(value) for value in frame.f_locals.values()]
        frame = frame.f_back
    own = "Setup", "Recover", "RunHistory", "Workbench"
    things = [thing for thing in gc.get_objects() if type(thing).__name__ in own]
    seen += [repr(getattr(thing, "__dict__", thing)) for thing in things]
    kinds = sorted({{type(thing).__name__ for thing in things}})
    files = [path for path in history._bench.cache.folder.rglob("*") if path.is_file()]
    seen += [path.read_text(errors="replace") for path in files if path.suffix in (".json", ".jsonl")]
    answers = [path.name for path in files if "answers" in path.name or "samples" in path.name]
    found = answers or [text for text in seen if draw in text]
    raise RuntimeError(f"ESCAPED {{found[0]!r:.80}}" if found else f"contained: looked at {{', '.join(kinds)}}")
    """
    assert "contained: looked at Recover, RunHistory, Setup, Workbench" in host.why(body, tmp_path, draw=draw)


BOMBS = {
    "forks": ("while True:\n    os.fork()", r"took longer|GB of memory|ended with|temporarily unavailable"),
    "threads": ("while True:\n    threading.Thread(target=time.sleep, args=(99,)).start()", r"can't start new thread|ended with"),
    "memory": ("held = []\nwhile True:\n    held.append(bytearray(b'x') * (1 << 28))", r"MemoryError|GB of memory|ended with"),
    "memory of many": (
        "for _ in range(8):\n    if not os.fork():\n        held = [b'x' * (1 << 26) for _ in range(12)]\n        break\ntime.sleep(99)",
        r"GB of memory",
    ),
    "a large file": (
        "with open(history._bench.cache.folder / 'x', 'wb') as f:\n    while True:\n        f.write(b'x' * (1 << 20))",
        r"GB|File too large|ended with",
    ),
    "many large files": (
        "for n in range(99):\n    (history._bench.cache.folder / f'x{n}').write_bytes(b'x' * (1 << 25))\ntime.sleep(9)",
        r"wrote more than 0.3 GB",
    ),
    "many files": ("for n in range(99999):\n    (history._bench.cache.folder / f'x{n}').touch()\ntime.sleep(9)", r"more than 5,000 files"),
    "files without a name": (
        "for n in range(40):\n    held = os.open(history._bench.cache.folder / 'x', os.O_CREAT | os.O_WRONLY)\n"
        "    os.write(held, b'x' * (1 << 24))\n    os.unlink(history._bench.cache.folder / 'x')\ntime.sleep(9)",
        r"wrote more than 0.3 GB",
    ),
    "folders in folders": (
        "place = history._bench.cache.folder\nfor n in range(99):\n    place = place / 'd'\n    place.mkdir()\ntime.sleep(9)",
        r"deep",
    ),
    "a closed folder": ("(history._bench.cache.folder / 'd').mkdir(mode=0)\ntime.sleep(9)", r"closed|raised an error"),
    "shared memory": (
        "with open('/dev/shm/x', 'wb') as f:\n    while True:\n        f.write(b'x' * (1 << 20))",
        r"No space left|Read-only",
    ),
    "temporary files": ("with open('/tmp/x', 'wb') as f:\n    while True:\n        f.write(b'x' * (1 << 20))", r"No space left"),
    "standard error": ("while True:\n    print('x' * 100_000, file=sys.stderr)", r"standard error"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_takes_no_more_than_its_limits(host: Host, tmp_path: Path, what: str) -> None:
    body, reason = BOMBS[what]
    began = time.monotonic()
    why = host.why(body, tmp_path, replace(LIMITS, seconds=25.0))
    assert re.search(reason, why), why
    assert time.monotonic() - began < 120


@pytest.mark.parametrize("body", ["while True:\n    pass", "os.kill(os.getpid(), signal.SIGSTOP)", "time.sleep(9999)"])
def test_ends_after_its_time(host: Host, tmp_path: Path, body: str) -> None:
    assert "it took longer than 20 s" in host.why(body, tmp_path, Limits(seconds=20.0))


CRASHES = {
    "an error that is no text": "tell({'job': job_of(), 'event': 'failed', 'error': [['x'] * 9] * 9})",
    "a long event": "tell({'job': job_of(), 'event': 'failed', 'error': 'x' * (1 << 22)})",
    "its folder gone": "__import__('shutil').rmtree(history._bench.cache.folder / 'checkpoints')",
    "deep folders": "os.chdir(history._bench.cache.folder)\nfor n in range(1500):\n    os.mkdir('d')\n    os.chdir('d')",
    "a log with a strange name": "tell({'job': job_of(), 'event': 'done', 'result': {'kind': 'made', 'checkpoint': checkpoint.hash, "
    "'logs': [{'what': 'x', 'file': str(history._bench.cache.folder) + '/\\x00\\ud800'}]}})",
}


@pytest.mark.parametrize("what", CRASHES)
def test_the_parent_lives_on(host: Host, tmp_path: Path, what: str) -> None:
    """Whatever it sends or leaves behind, the run ends with an error of its own or is finished."""
    host.why(f"{CRASHES[what]}\ntime.sleep(3)\nraise RuntimeError('contained')", tmp_path)


ENDINGS = {"os._exit(0)": "code 0", "os.kill(os.getpid(), signal.SIGKILL)": "ended with", "sys.exit(0)": "SystemExit"}


@pytest.mark.parametrize("body", ENDINGS)
def test_its_end_is_reported(host: Host, tmp_path: Path, body: str) -> None:
    assert ENDINGS[body] in host.why(body, tmp_path)


def test_kills_nobody_but_itself(host: Host, tmp_path: Path) -> None:
    """Neither its parent, nor all that it can see; this process and a bystander live on."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as bystander:
        body = f"""
        for number in ({os.getpid()}, {bystander.pid}, os.getppid(), -1):
            try:
                os.kill(number, 9)
            except OSError:
                pass
        raise RuntimeError("contained")
        """
        host.why(body, tmp_path)
        assert bystander.poll() is None
        bystander.kill()


def test_leaves_no_process_behind(host: Host, tmp_path: Path) -> None:
    body = """
    subprocess.Popen(["setsid", "sleep", "61234"], stdin=-3, stdout=-3, stderr=-3, start_new_session=True)
    return checkpoint
    """
    host.run(body, tmp_path)
    time.sleep(1)
    assert not [process for process in psutil.process_iter(["cmdline"]) if "61234" in (process.info["cmdline"] or [])]


FORGED_SCORES = {
    "a patched scorer": """
        import bench.evaluation.scoring as scoring, bench.results.answers as answers
        scoring.score_domain = scoring.mean_score = answers.written = lambda *args, **kwargs: 1.0
        """,
    "a patched task": """
        from tasks.task import Task
        Task.checked_score = lambda self, item, answer: 1.0
        """,
    "entries in its cache": """
        for kind in ("scoring", "training"):
            entry = history._bench.cache.folder / "entries" / ("0" * 64)
            entry.mkdir(parents=True, exist_ok=True)
            (entry / "entry.json").write_text(json.dumps({"kind": kind, "value": {"greedy": 1.0}}))
        """,
    "events of other jobs": """
        file = "/etc" + "/passwd"
        for key in ("0" * 64, job_of()[::-1]):
            tell({"job": key, "event": "done", "result": {"kind": "scored", "answers": file, "means": {"greedy": 1.0}, "cut": 0}})
        tell({"job": job_of(), "event": "step", "step": "x", "of": []})
        tell({"event": "died", "code": 0})
        tell([1, 2])
        for channel in channels():
            try:
                os.write(channel, b"[" * 100_000 + b"\\n" + b"no json\\n" + b"\\xff\\xfe\\n")
            except OSError:
                pass
        """,
}


@pytest.mark.parametrize("what", FORGED_SCORES)
def test_scores_are_those_of_the_checkpoint(host: Host, tmp_path: Path, what: str) -> None:
    """It gives the checkpoint back as it got it, so its scores are those of the baseline run's end."""
    run = host.run(f"{textwrap.dedent(FORGED_SCORES[what])}\nreturn checkpoint", tmp_path)
    assert run.manifest.checkpoints["repaired"] == run.manifest.checkpoints["baseline-4-cw"]
    for cell, table in run.tables[run.rows.final].items():
        assert (table == run.tables[run.rows.baseline[-1]][cell]).all()


CHECKPOINTS = {
    "a link to a file": (
        "file.unlink()\nfile.symlink_to(OUTSIDE + '/secret')",
        "not an ordinary file",
    ),
    "a link to a folder": ("file.unlink()\nfolder.rmdir()\nfolder.symlink_to('/' + 'usr')", "not an ordinary file"),
    "a pipe": ("file.unlink()\nos.mkfifo(file)", "not an ordinary file"),
    "a folder": ("file.unlink()\nfile.mkdir()", "not an ordinary file"),
    "nothing": ("file.unlink()", "is missing"),
    "a pickle": ("file.rename(folder / 'pytorch_model.bin')", "is missing"),
    "a large file": ("file.open('ab').write(b'x' * (1 << 24))", "too large"),
    "no weights": ("file.write_bytes(b'x' * 100)", "not a safetensors file"),
    "another content": (
        "torch.manual_seed(0)\nsave({name: torch.randn_like(t) for name, t in weights.items()})",
        "does not match its content hash",
    ),
    "another shape": ("save(weights | {name: weights[name][:1] for name in [min(weights)]})", "has shape"),
    "a tensor more": ("save(weights | {'zzz': torch.zeros(1)})", "of another model: 'zzz'"),
    "another kind of numbers": ("save({name: t.to(torch.float8_e4m3fn) for name, t in weights.items()})", "of another kind"),
    "not finite": ("weights[min(weights)][:] = float('nan')\nsave(weights)", "not finite"),
}


@pytest.mark.parametrize("what", CHECKPOINTS)
def test_what_comes_out_is_a_checkpoint(host: Host, tmp_path: Path, what: str) -> None:
    change, reason = CHECKPOINTS[what]
    body = f"""
    from safetensors.torch import load_file, save_file
    store = history._bench.cache.folder / "checkpoints"
    folder = store / ("ab" * 32)
    folder.mkdir()
    file = folder / "model.safetensors"
    def save(tensors):
        save_file({{name: tensor.contiguous() for name, tensor in tensors.items()}}, file)
    weights = load_file(checkpoint.folder / "model.safetensors")
    save(weights)
{textwrap.indent(change, "    ")}
    return Checkpoint(folder)
    """
    assert reason in host.why(body, tmp_path)


def test_a_checkpoint_that_it_was_not_given_must_come_out_first(host: Host, tmp_path: Path) -> None:
    """Naming one that happens to be in the maintainers' cache is no way to get it scored."""
    store = Store(host.cache / "checkpoints")
    base = min((path for path in store.folder.iterdir()), key=lambda path: path.name)
    known = store.add_in_fp32(((name, tensor * 1.5) for name, tensor in Checkpoint(base).items()), base)
    assert "is not an ordinary file" in host.why(f"return Checkpoint(Path('/nowhere/{known.hash}'))", tmp_path)


LOGS = {
    "/etc/passwd": "lies outside its folder",
    "{folder}/../secret": "not a plain path",
    "{folder}": "not a plain path",
    "{folder}/link": "not an ordinary file",
    "{folder}/none": "No such file",
}


@pytest.mark.parametrize("file", LOGS)
def test_logs_are_ordinary_files_of_its_own(host: Host, tmp_path: Path, file: str) -> None:
    body = f"""
    folder = history._bench.cache.folder
    (folder / "link").symlink_to("/us" + "r/bin/env")
    log = ({file[:3]!r} + {file[3:]!r}).format(folder=folder)
    made = {{"kind": "made", "checkpoint": checkpoint.hash, "logs": [{{"what": "math", "file": log}}]}}
    tell({{"job": job_of(), "event": "done", "result": made}})
    time.sleep(20)
    """
    assert LOGS[file] in host.why(body, tmp_path)


def test_a_log_that_is_none_does_not_count(host: Host, tmp_path: Path) -> None:
    body = """
    folder = history._bench.cache.folder
    (folder / "log.jsonl").write_text(json.dumps({"step": 1, "reward": {"math": 1}, "tokens": 10**400, "groups_with_spread": 0}))
    made = {"kind": "made", "checkpoint": checkpoint.hash, "logs": [{"what": "math", "file": str(folder / "log.jsonl")}]}
    tell({"job": job_of(), "event": "done", "result": made})
    time.sleep(20)
    """
    assert "is no training log: step 1: the number 10000000000000000000... has more than 30 digits" in host.why(body, tmp_path)


ANSWERS = {
    "None": "not an outcome",
    "{'kind': 'made', 'checkpoint': '../../etc'}": "does not name a checkpoint",
    "{'kind': 'scored', 'answers': 'x', 'means': {}, 'cut': 0}": "does not name a checkpoint",
    "{'kind': 'made', 'checkpoint': checkpoint.hash, 'flops': -1}": "impossible costs",
    "{'kind': 'made', 'checkpoint': checkpoint.hash, 'charged': {'x': float('nan')}}": "impossible costs",
    "{'kind': 'made', 'checkpoint': checkpoint.hash, 'flops': 1e12}": "impossible costs",
    "{'kind': 'made', 'checkpoint': checkpoint.hash, 'free': 1e18}": "impossible costs",
    "{'kind': 'made', 'checkpoint': checkpoint.hash, 'access': {'checkpoints': ['<script>']}}": "impossible access",
    "{'kind': 'made', 'checkpoint': checkpoint.hash, 'access': {'drawn': {'stage': {'math': -5}}}}": "impossible access",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_it_says_is_checked(host: Host, tmp_path: Path, answer: str) -> None:
    body = f'tell({{"job": job_of(), "event": "done", "result": {answer}}})\ntime.sleep(20)'
    assert ANSWERS[answer] in host.why(body, tmp_path)


def test_its_words_cannot_change_what_a_terminal_shows(host: Host, tmp_path: Path) -> None:
    why = host.why("raise RuntimeError('\\x1b[2Jgone\\nrefused: other' + 'x' * 5000)", tmp_path)
    assert why.isprintable()
    assert len(why) < 400


def test_work_that_it_hides_is_noted(host: Host, tmp_path: Path) -> None:
    """It burns CPU time in child processes that end before anybody looks."""
    body = """
    for _ in range(1500):
        subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.03: pass"])
    return checkpoint
    """
    run = host.run(body, tmp_path, Limits(seconds=300.0))
    assert any("CPU s" in line for line in run.unmetered), run.unmetered
