"""Builds a project: exports it from version control, runs its backend or Sphinx, and puts the files in `dist`.

The library `build` drives the backend from this interpreter, whichever interpreter the backend runs in; that one
needs nothing installed. What children print is kept in a log, and shown with -v.

Children live in sessions of their own, so that the whole tree of them can be ended: also when we are interrupted.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import build
import pyproject_hooks
from packaging.metadata import parse_email

from stilton_client import archives
from stilton_client.errors import Failure
from stilton_client.forms import ATTESTATIONS_SUFFIX
from stilton_client.terminal import Terminal

DOCS_FOLDERS = ("doc", "docs", "source", "doc/source", "docs/source")
_BESIDE = (".asc", ".sig", ATTESTATIONS_SUFFIX)
_RELEASE = re.compile(r".+-v?\d.*")
_LAST_LINES = 20
_END_WITHIN_S = 5.0
_NOT_VERSIONED = "--no-vcs builds without version control."


@dataclass(frozen=True)
class Wish:
    """What is to be built, and how. `sdist`, `wheel`: with neither, both; the wheel is then made of the sdist."""

    sdist: bool = False
    wheel: bool = False
    releases: bool = True
    docs: bool = False
    python: str | None = None
    isolated: bool = True
    exported: bool = True
    setupdir_only: bool = False


def build_project(wish: Wish, project: Path, terminal: Terminal, environ: Mapping[str, str]) -> list[Path]:
    """Build what is wished; returns the files, which are in `project/dist`. Raises Failure."""
    if not any((project / name).exists() for name in ("pyproject.toml", "setup.py")):
        raise Failure(
            f"{project} has no pyproject.toml and no setup.py",
            "Go to the folder of a project, or name the files to upload.",
        )
    python = _interpreter(wish.python, environ)
    sphinx = _sphinx(python, environ) if wish.docs else ""
    with _workdir() as work, _children(terminal, environ) as children:
        terminal.note(f"using workdir {work}")
        source = _exported(wish, project, work / "source", children) if wish.exported else project
        dist = _cleaned(project, terminal)
        workshop = _Workshop(source, python, work, children, isolated=wish.isolated)
        built = [_placed(file, dist, terminal) for file in _releases(wish, workshop)]
        if wish.docs:
            built.append(_placed(_documentation(workshop, sphinx, built), dist, terminal, " [sphinx docs]"))
        return sorted(built)


# -- files of a project ----------------------------------------------------------------------------


def _exported(wish: Wish, project: Path, target: Path, children: "_Children") -> Path:
    """A copy of what is under version control; returns where the project is in it. Raises Failure."""
    root, kind = _repository(project)
    if root is None:
        return project
    base = project if wish.setupdir_only else root
    names = _tracked(kind, base, children)
    inside = project.relative_to(base)
    if not any(Path(name).is_relative_to(inside) for name in names):
        children.terminal.note(f"nothing here is tracked by {kind}: building without it")
        return project
    if not {str(inside / "pyproject.toml"), str(inside / "setup.py")} & set(names):
        raise Failure(f"{project}: neither pyproject.toml nor setup.py is tracked by {kind}", _NOT_VERSIONED)
    for name in names:
        _copy(base / name, target / name)
    if wish.setupdir_only:
        children.terminal.note(f"not copying vcs repository metadata for .{kind}")
    else:
        _copy_repository(root / f".{kind}", target / f".{kind}", children)
        children.terminal.note(f"copied repo .{kind} to {target / f'.{kind}'}")
    return target / inside


def _repository(project: Path) -> tuple[Path | None, str]:
    for folder in (project, *project.parents):
        for kind in ("git", "hg"):
            if (folder / f".{kind}").exists():
                return folder, kind
    return None, ""


def _tracked(kind: str, base: Path, children: "_Children") -> list[str]:
    """Relative to `base`."""
    if kind == "git":
        listed = children.answer(["git", "ls-files", "-z", "--cached", "--recurse-submodules"], base)
        return [name for name in listed.split("\0") if name]
    # Relative to where it runs; names of hg have no line ends.
    return children.answer(["hg", "files", "."], base).splitlines()


def _copy(source: Path, target: Path) -> None:
    if not os.path.lexists(source):
        return  # tracked, and deleted
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)  # a submodule that is not checked out
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _copy_repository(source: Path, target: Path, children: "_Children") -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
        return
    # A worktree or a submodule: the file names a folder, perhaps relative to itself.
    found = children.answer(["git", "rev-parse", "--absolute-git-dir"], source.parent).strip()
    target.write_text(f"gitdir: {found}\n")


def _cleaned(project: Path, terminal: Terminal) -> Path:
    """An empty `dist`. Raises Failure, nothing deleted, if there is something in it that no build made."""
    dist = project / "dist"
    terminal.note("pre-build: cleaning dist")
    found = sorted(dist.iterdir()) if dist.is_dir() else []
    for path in found:
        if path.is_dir() or not _is_built(path.name):
            raise Failure(
                f"{path} is nothing that a build makes: dist is not cleaned", "Move it somewhere else, then try again."
            )
    for path in found:
        path.unlink()
    dist.mkdir(exist_ok=True)
    return dist


def _is_built(name: str) -> bool:
    for suffix in _BESIDE:
        name = name.removesuffix(suffix)
    return name == ".gitignore" or (archives.is_archive(name) and _RELEASE.fullmatch(name) is not None)


def _placed(file: Path, dist: Path, terminal: Terminal, remark: str = "") -> Path:
    target = Path(shutil.move(file, dist / file.name))
    terminal.line(f"built: {dist.name}/{file.name}{remark} {target.stat().st_size / 1024:.0f}kb")
    return target


# -- interpreters ----------------------------------------------------------------------------------


def _interpreter(wanted: str | None, environ: Mapping[str, str]) -> str:
    """The one that was asked for, that of the active environment, ours. Raises Failure."""
    if wanted is not None:
        found = shutil.which(str(Path(wanted).expanduser()), path=environ.get("PATH"))
        if found is None:
            raise Failure(f"{wanted} is no Python interpreter", "--python takes a path or the name of a command.")
        return str(Path(found).absolute())
    active = Path(environ.get("VIRTUAL_ENV") or "", "bin", "python")
    return str(active) if environ.get("VIRTUAL_ENV") and active.exists() else sys.executable


def _sphinx(python: str, environ: Mapping[str, str]) -> str:
    path = os.pathsep.join([str(Path(python).parent), environ.get("PATH", os.defpath)])
    found = shutil.which("sphinx-build", path=path)
    if found is None:
        raise Failure("sphinx-build is not installed", f"Install it: {python} -m pip install sphinx")
    return found


class _Isolated:
    """An environment for one build. `install` says what goes into it; see `build.env.IsolatedEnv`."""

    def __init__(self, folder: Path, base: str, children: "_Children") -> None:
        self._folder = folder
        self._base = base
        self._children = children
        self.python_executable = str(folder / "bin" / "python")
        children.run([base, "-m", "venv", "--clear", "--without-pip", str(folder)])

    def make_extra_environ(self) -> dict[str, str]:
        path = self._children.environ.get("PATH", os.defpath)
        return {"PATH": os.pathsep.join([str(self._folder / "bin"), path])}

    def install(self, requirements: Iterable[str]) -> None:
        wanted = sorted(set(requirements))
        if not wanted:
            return
        pip = [self.python_executable, "-m", "pip"]
        if self._base == sys.executable and importlib.util.find_spec("pip"):
            pip = [sys.executable, "-m", "pip", "--python", self.python_executable]
        else:
            self._children.run([self.python_executable, "-m", "ensurepip", "--default-pip"])
        self._children.run(
            [*pip, "install", "--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--", *wanted]
        )


# -- building --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Workshop:
    """Where and with what one project is built."""

    source: Path
    python: str
    work: Path
    children: "_Children"
    isolated: bool

    def make(self, kind: str, source: Path | None = None) -> Path:
        """`sdist` or `wheel`. Raises Failure."""
        target = self.work / "built"
        with _backend_words(self.children), self._builder(kind, source or self.source) as builder:
            return Path(builder.build("sdist" if kind == "sdist" else "wheel", target))

    def metadata(self) -> tuple[str, str]:
        """Name and version that the project's wheel would have. Raises Failure."""
        with _backend_words(self.children), self._builder("wheel", self.source) as builder:
            folder = Path(builder.metadata_path(self.work / "metadata"))
        raw = parse_email((folder / "METADATA").read_bytes())[0]
        return raw.get("name", ""), raw.get("version", "")

    @contextlib.contextmanager
    def _builder(self, kind: str, source: Path) -> Iterator[build.ProjectBuilder]:
        distribution: build.DistributionType = "sdist" if kind == "sdist" else "wheel"
        self.children.step(f"building {kind} with {self.python}")
        if not self.isolated:
            yield build.ProjectBuilder(source, self.python, self.children.hook)
            return
        env = _Isolated(self.work / "env", self.python, self.children)
        builder = build.ProjectBuilder.from_isolated_env(env, source, self.children.hook)
        env.install(builder.build_system_requires)
        env.install(builder.get_requires_for_build(distribution))
        yield builder


def _releases(wish: Wish, workshop: _Workshop) -> Iterator[Path]:
    if not wish.releases:
        return
    if wish.sdist or not wish.wheel:
        sdist = workshop.make("sdist")
        if not wish.sdist:
            # As `python -m build` does it: a wheel shows that the sdist is whole.
            yield workshop.make("wheel", _unpacked(sdist, workshop.work / "unpacked"))
        yield sdist
    if wish.wheel:
        yield workshop.make("wheel")


def _unpacked(sdist: Path, target: Path) -> Path:
    try:
        with tarfile.open(sdist) as archive:
            archive.extractall(target, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise Failure(f"{sdist.name}, just built, cannot be unpacked ({error})", "--sdist builds only that.") from error
    return next(path for path in target.iterdir() if path.is_dir())


def _documentation(workshop: _Workshop, sphinx: str, built: Sequence[Path]) -> Path:
    """A zip of the project's documentation. Raises Failure."""
    source = next((name for name in DOCS_FOLDERS if (workshop.source / name / "conf.py").is_file()), None)
    if source is None:
        raise Failure("there is no documentation: no conf.py in doc, docs or source", "Leave out --with-docs.")
    release = archives.release(built[0]) if built else None
    name, version = (release.name, release.version) if release else workshop.metadata()
    pages = workshop.work / "pages"
    with _backend_words(workshop.children):
        workshop.children.run([sphinx, "-E", source, str(pages)], workshop.source)
    target = workshop.work / f"{name}-{version}.doc.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(pages.rglob("*")):
            if path.is_file() and ".doctrees" not in path.relative_to(pages).parts:
                archive.write(path, path.relative_to(pages))
    return target


# -- children --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _workdir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="devpi-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@contextlib.contextmanager
def _children(terminal: Terminal, environ: Mapping[str, str]) -> Iterator["_Children"]:
    """Their log stays only if one of them failed."""
    handle, name = tempfile.mkstemp(prefix="devpi-build-", suffix=".log")  # mode 0600
    os.close(handle)
    children = _Children(terminal, environ, Path(name))
    try:
        yield children
    finally:
        if not children.failed:
            Path(name).unlink()


@contextlib.contextmanager
def _backend_words(children: "_Children") -> Iterator[None]:
    """Raises Failure, with the last of what was printed, for all that can go wrong in a backend."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        raise children.failure(f"{Path(str(error.cmd[0])).name} failed with status {error.returncode}") from error
    except (build.BuildException, build.BuildBackendException, build.FailedProcessError) as error:
        # A backend that cannot even be imported has nothing printed.
        words = getattr(getattr(error, "exception", None), "traceback", None) or ""
        children.keep(words.encode())
        raise children.failure(str(error)) from error
    except pyproject_hooks.HookMissing as error:
        raise children.failure(f"the backend has no {error}") from error


class _Children:
    """Programs that are run one after the other; what they print goes to one log."""

    def __init__(self, terminal: Terminal, environ: Mapping[str, str], log: Path) -> None:
        self.terminal = terminal
        self.environ = environ
        self.failed = False
        self._log = log

    def step(self, text: str) -> None:
        """Say what comes next."""
        self.terminal.note(text)
        self.keep(f"* {text}\n".encode())

    def hook(self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
        """`run`, as `build` wants it."""
        self.run(cmd, cwd, extra_environ)

    def run(self, command: Sequence[str], cwd: str | Path | None = None, more: Mapping[str, str] | None = None) -> None:
        """Run to the end. Raises CalledProcessError."""
        environ = {**self.environ, **(more or {})}
        with self._started(command, cwd, environ, stderr=subprocess.STDOUT) as child:
            assert child.stdout is not None
            for line in child.stdout:
                self._write(line)
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, list(command))

    def answer(self, command: Sequence[str], cwd: Path) -> str:
        """What a program of version control prints. Raises Failure."""
        try:
            with self._started(command, cwd, self.environ, stderr=subprocess.PIPE) as child:
                printed, complaint = child.communicate()
        except FileNotFoundError:
            raise Failure(f"{command[0]} is not installed", _NOT_VERSIONED) from None
        if child.returncode:
            raise Failure(f"{command[0]} failed: {os.fsdecode(complaint).strip()}", _NOT_VERSIONED)
        return os.fsdecode(printed)

    def failure(self, what: str) -> Failure:
        """With the log's last lines."""
        self.failed = True
        lines = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return Failure("\n".join([*lines, f"building failed: {what}"]), f"All that was printed: {self._log}")

    @contextlib.contextmanager
    def _started(
        self, command: Sequence[str], cwd: str | Path | None, environ: Mapping[str, str], *, stderr: int
    ) -> Iterator[subprocess.Popen[bytes]]:
        self.terminal.debug(f"running {command[0]}")
        with subprocess.Popen(  # noqa: S603 - what is built is the person's own
            list(command), cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
            start_new_session=True,
        ) as child:  # fmt: skip
            try:
                yield child
            except BaseException:
                _end(child)
                raise

    def keep(self, line: bytes) -> None:
        """Put it into the log."""
        with self._log.open("ab") as log:
            log.write(line)

    def _write(self, line: bytes) -> None:
        self.keep(line)
        if self.terminal.verbose:
            self.terminal.note(line.decode(errors="replace").rstrip())


def _end(child: subprocess.Popen[bytes]) -> None:
    """A child and all that it started."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_WITHIN_S)
        os.killpg(child.pid, signal.SIGKILL)
