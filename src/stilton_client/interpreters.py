"""Which Python builds a project, and environments that are made for one build."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from stilton_client.errors import Failure


def interpreter(wanted: str | None, environ: Mapping[str, str]) -> str:
    """The one that was asked for, that of the active environment, ours. Raises Failure."""
    if wanted is not None:
        found = shutil.which(str(Path(wanted).expanduser()), path=environ.get("PATH"))
        if found is None:
            raise Failure(f"{wanted} is no Python interpreter", "--python takes a path or the name of a command.")
        return str(Path(found).absolute())
    active = Path(environ.get("VIRTUAL_ENV") or "", "bin", "python")
    return str(active) if environ.get("VIRTUAL_ENV") and active.exists() else sys.executable


def sphinx(python: str, environ: Mapping[str, str]) -> str:
    """Sphinx beside an interpreter, or on PATH. Raises Failure."""
    path = os.pathsep.join([str(Path(python).parent), environ.get("PATH", os.defpath)])
    found = shutil.which("sphinx-build", path=path)
    if found is None:
        raise Failure("sphinx-build is not installed", f"Install it: {python} -m pip install sphinx")
    return found


class Isolated:
    """An environment for one build, made with the interpreter `base`; `run` runs a command to its end.

    It is what `build` calls an IsolatedEnv (`build.env`); `install` says what goes into it.
    """

    def __init__(
        self, folder: Path, base: str, environ: Mapping[str, str], run: Callable[[Sequence[str]], object]
    ) -> None:
        self._folder = folder
        self._base = base
        self._environ = environ
        self._run = run
        self.python_executable = str(folder / "bin" / "python")
        run([base, "-m", "venv", "--clear", "--without-pip", str(folder)])

    def make_extra_environ(self) -> dict[str, str]:
        """What backends find in their environment beside ours."""
        path = self._environ.get("PATH", os.defpath)
        return {"PATH": os.pathsep.join([str(self._folder / "bin"), path])}

    def install(self, requirements: Iterable[str]) -> None:
        """Put these into it, with our pip if its interpreter is ours."""
        wanted = sorted(set(requirements))
        if not wanted:
            return
        pip = [self.python_executable, "-m", "pip"]
        if self._base == sys.executable and importlib.util.find_spec("pip"):
            pip = [sys.executable, "-m", "pip", "--python", self.python_executable]
        else:
            self._run([self.python_executable, "-m", "ensurepip", "--default-pip"])
        self._run(
            [*pip, "install", "--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--", *wanted]
        )
