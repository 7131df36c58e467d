"""What is under version control: a copy of what git or hg tracks, so that nothing else gets into a build."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stilton_client import children
from stilton_client.children import Child
from stilton_client.errors import Failure
from stilton_client.terminal import Terminal

_ADVICE = "--no-vcs builds without version control."


@dataclass(frozen=True)
class Checkout:
    """A folder that git or hg looks after. `kind`: which of them."""

    root: Path
    kind: str
    environ: Mapping[str, str]

    def tracked(self, base: Path) -> list[str]:
        """What is tracked in a folder of it, relative to that. Raises Failure."""
        if self.kind == "git":
            listed = self._ask(base, "ls-files", "-z", "--cached", "--recurse-submodules")
            return [name for name in listed.split("\0") if name]
        # Relative to where it runs; names of hg have no line ends.
        return self._ask(base, "files", ".").splitlines()

    def copy_repository(self, target: Path) -> None:
        """Put `.git` or `.hg` there, too: what computes a version asks it. Raises Failure."""
        source = self.root / f".{self.kind}"
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
            return
        # A worktree or a submodule: the file names a folder, perhaps relative to itself.
        found = self._ask(self.root, "rev-parse", "--absolute-git-dir").strip()
        target.write_text(f"gitdir: {found}\n")

    def _ask(self, folder: Path, *words: str) -> str:
        if children.find(self.kind, self.environ) is None:
            raise Failure(f"{self.kind} is not installed", _ADVICE)
        answer = children.answer(Child([self.kind, *words], folder, self.environ))
        if answer.status:
            raise Failure(f"{self.kind} failed: {os.fsdecode(answer.complaint).strip()}", _ADVICE)
        return os.fsdecode(answer.printed)


def exported(
    project: Path, target: Path, out: Terminal, environ: Mapping[str, str], *, setupdir_only: bool = False
) -> Path:
    """A copy of what is under version control; returns where the project is in it. Raises Failure.

    `setupdir_only`: of the project's folder alone, without `.git` or `.hg`.
    """
    checkout = _checkout(project, environ)
    if checkout is None:
        return project
    base = project if setupdir_only else checkout.root
    names = checkout.tracked(base)
    inside = project.relative_to(base)
    if not any(Path(name).is_relative_to(inside) for name in names):
        out.note(f"nothing here is tracked by {checkout.kind}: building without it")
        return project
    if not {str(inside / "pyproject.toml"), str(inside / "setup.py")} & set(names):
        raise Failure(f"{project}: neither pyproject.toml nor setup.py is tracked by {checkout.kind}", _ADVICE)
    for name in names:
        _copy(base / name, target / name)
    if setupdir_only:
        out.note(f"not copying vcs repository metadata for .{checkout.kind}")
    else:
        place = target / f".{checkout.kind}"
        checkout.copy_repository(place)
        out.note(f"copied repo .{checkout.kind} to {place}")
    return target / inside


def _checkout(project: Path, environ: Mapping[str, str]) -> Checkout | None:
    for folder in (project, *project.parents):
        for kind in ("git", "hg"):
            if (folder / f".{kind}").exists():
                return Checkout(folder, kind, environ)
    return None


def _copy(source: Path, target: Path) -> None:
    if not os.path.lexists(source):
        return  # tracked, and deleted
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)  # a submodule that is not checked out
    else:
        shutil.copy2(source, target, follow_symlinks=False)
