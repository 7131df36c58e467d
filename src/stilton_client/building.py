"""Builds a project: exports it from version control, runs its backend or Sphinx, and puts the files in `dist`.

The library `build` drives the backend from this interpreter, whichever interpreter the backend runs in; that one
needs nothing installed. What backends print is kept in a log, and shown with -v.
"""

import contextlib
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import build
import pyproject_hooks
from packaging.metadata import parse_email

from stilton_client import archives, checkouts, children, distfolder, interpreters
from stilton_client.children import Child, Log
from stilton_client.errors import Failure
from stilton_client.interpreters import Isolated
from stilton_client.terminal import Terminal

DOCS_FOLDERS = ("doc", "docs", "source", "doc/source", "docs/source")


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


def build_project(wish: Wish, project: Path, out: Terminal, environ: Mapping[str, str]) -> list[Path]:
    """Build what is wished; returns the files, which are in `project/dist`. Raises Failure."""
    if not any((project / name).exists() for name in ("pyproject.toml", "setup.py")):
        raise Failure(
            f"{project} has no pyproject.toml and no setup.py",
            "Go to the folder of a project, or name the files to upload.",
        )
    python = interpreters.interpreter(wish.python, environ)
    sphinx = interpreters.sphinx(python, environ) if wish.docs else ""
    with _workdir() as work, children.logged("devpi-build-", out) as log:
        out.note(f"using workdir {work}")
        source = project
        if wish.exported:
            source = checkouts.exported(project, work / "source", out, environ, setupdir_only=wish.setupdir_only)
        dist = distfolder.cleaned(project, out)
        workshop = _Workshop(source, python, work, environ, log, isolated=wish.isolated)
        built = [distfolder.placed(file, dist, out) for file in _releases(wish, workshop)]
        if wish.docs:
            docs = _documentation(workshop, sphinx, built)
            built.append(distfolder.placed(docs, dist, out, " [sphinx docs]"))
        return sorted(built)


@dataclass(frozen=True)
class _Workshop:
    """Where and with what one project is built."""

    source: Path
    python: str
    work: Path
    environ: Mapping[str, str]
    log: Log
    isolated: bool

    def make(self, kind: str, source: Path | None = None) -> Path:
        """`sdist` or `wheel`. Raises Failure."""
        target = self.work / "built"
        with _backend_words(self.log), self._builder(kind, source or self.source) as builder:
            return Path(builder.build("sdist" if kind == "sdist" else "wheel", target))

    def metadata(self) -> tuple[str, str]:
        """Name and version that the project's wheel would have. Raises Failure."""
        with _backend_words(self.log), self._builder("wheel", self.source) as builder:
            folder = Path(builder.metadata_path(self.work / "metadata"))
        raw = parse_email((folder / "METADATA").read_bytes())[0]
        return raw.get("name", ""), raw.get("version", "")

    def run(self, cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
        """Run a command to its end, as `build` wants it. Raises CalledProcessError."""
        environ = {**self.environ, **(extra_environ or {})}
        status = self.log.run(Child(cmd, Path(cwd) if cwd else Path.cwd(), environ))
        if status:
            raise subprocess.CalledProcessError(status, list(cmd))

    @contextlib.contextmanager
    def _builder(self, kind: str, source: Path) -> Iterator[build.ProjectBuilder]:
        distribution: build.DistributionType = "sdist" if kind == "sdist" else "wheel"
        self.log.step(f"building {kind} with {self.python}")
        if not self.isolated:
            yield build.ProjectBuilder(source, self.python, self.run)
            return
        env = Isolated(self.work / "env", self.python, self.environ, self.run)
        builder = build.ProjectBuilder.from_isolated_env(env, source, self.run)
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
    with _backend_words(workshop.log):
        workshop.run([sphinx, "-E", source, str(pages)], str(workshop.source))
    target = workshop.work / f"{name}-{version}.doc.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(pages.rglob("*")):
            if path.is_file() and ".doctrees" not in path.relative_to(pages).parts:
                archive.write(path, path.relative_to(pages))
    return target


@contextlib.contextmanager
def _workdir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="devpi-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@contextlib.contextmanager
def _backend_words(log: Log) -> Iterator[None]:
    """Raises Failure, with the last of what was printed, for all that can go wrong in a backend."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        what = f"{Path(str(error.cmd[0])).name} failed with status {error.returncode}"
        raise log.failure(f"building failed: {what}") from error
    except (build.BuildException, build.BuildBackendException, build.FailedProcessError) as error:
        # A backend that cannot even be imported has nothing printed.
        words = getattr(getattr(error, "exception", None), "traceback", None) or ""
        log.keep(words.encode())
        raise log.failure(f"building failed: {error}") from error
    except pyproject_hooks.HookMissing as error:
        raise log.failure(f"building failed: the backend has no {error}") from error
