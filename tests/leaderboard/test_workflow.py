"""The step of the workflow that verifies a stranger's change, run in a small repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "submission.yml"
MINE = "leaderboard/submissions/mine"

pytestmark = pytest.mark.skipif(shutil.which("git") is None or shutil.which("bash") is None, reason="needs git and bash")


def verify_step() -> str:
    content = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return next(step["run"] for step in content["jobs"]["verify"]["steps"] if step.get("name") == "Verify")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A main branch with an entry of three files."""
    folder = tmp_path / "repository"
    (folder / MINE).mkdir(parents=True)
    for name in ("submission.json", "README.md", "method.py"):
        (folder / MINE / name).write_text("{}")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "main")
    return folder


def git(folder: Path, *words: str) -> None:
    who = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *words], cwd=folder, check=True, env=os.environ | who)


def checked(folder: Path, change: Callable[[Path], None]) -> tuple[str, str]:
    """The verdict on a change and what the step prints. `change` edits the entry's folder on a branch."""
    git(folder, "checkout", "-q", "-b", "change")
    change(folder / MINE)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "change")
    git(folder, "checkout", "-q", "main")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", verify_step()], cwd=folder, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    return (folder / "verdict.txt").read_text().strip(), (folder / "result.txt").read_text()


def test_the_change_itself_is_read(repository: Path) -> None:
    """Main's copy of the entry is out of the way: what is verified is the change."""
    verdict, result = checked(repository, lambda mine: (mine / "submission.json").write_text('{"name": 7}'))
    assert verdict == "refused"
    assert f"{MINE}/submission.json: name" in result
    assert f"note: {MINE} is there already: its authors must agree to this change" in result


def test_a_deleted_entry_is_not_accepted(repository: Path) -> None:
    verdict, _ = checked(repository, shutil.rmtree)
    assert verdict == "refused"
    assert not (repository / MINE).exists()


def test_attributes_hide_nothing(repository: Path) -> None:
    def hide(mine: Path) -> None:
        (mine / "payload.py").write_text("$Format:%H$")
        (mine / ".gitattributes").write_text("payload.py export-ignore export-subst\n.gitattributes export-ignore\n")

    checked(repository, hide)
    assert (repository / MINE / "payload.py").read_text() == "$Format:%H$"
    assert (repository / MINE / ".gitattributes").exists()


def test_a_link_is_refused(repository: Path) -> None:
    verdict, result = checked(repository, lambda mine: (mine / "link").symlink_to("/etc/passwd"))
    assert verdict == "refused"
    assert "only plain files are allowed" in result


def test_a_name_cannot_command_the_runner(repository: Path) -> None:
    """A line that begins with two colons is a workflow command."""
    verdict, result = checked(repository, lambda mine: (mine / "x\n::warning::owned").symlink_to("/etc/passwd"))
    assert verdict == "refused"
    assert "owned" in result
    assert not [line for line in result.splitlines() if line.startswith("::")]


def test_a_change_elsewhere_is_refused(repository: Path) -> None:
    verdict, result = checked(repository, lambda mine: (mine.parents[1] / "cli.py").write_text("x"))
    assert verdict == "refused"
    assert "leaderboard/cli.py: a submission changes only its own folder" in result
