"""Child processes: how they are started, where what they print goes, how they end when we do.

    run       a person's tool: it has our terminal, an interrupt typed there reaches it too
    output    the same, for what it prints
    answer    a question to a tool: no terminal
    Log.run   a step of longer work: no terminal, what it prints is kept in a log

Those without our terminal live in sessions of their own, so that the whole tree of them can be ended. No secret is on
a command line: what is shown of one has no login in it.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stilton_client.errors import Failure
from stilton_client.terminal import Terminal

# How long a child may tidy up before it is told again, and then ended.
PATIENCE_S = 10.0
LAST_LINES = 20
_LOGIN = re.compile(r"(https?://)[^/\s]+@")


@dataclass(frozen=True)
class Child:
    """What is to be run: a program with its arguments, a folder, a whole environment."""

    command: Sequence[str]
    cwd: Path
    environ: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The command line as people may see it."""
        line = _LOGIN.sub(r"\1****@", shlex.join(self.command))
        return f"--> {self.cwd}$ {line}"


@dataclass(frozen=True)
class Answer:
    """How a child ended, what it printed, and what it complained of."""

    status: int
    printed: bytes
    complaint: bytes


class Overdue(Failure):
    """A child did not end in time; it was ended."""


def run(child: Child, out: Terminal) -> int:
    """Its exit status; what it says goes to the person, to standard error where `--json` has the other.

    Raises Failure when it cannot be started. Interrupted, it is given time to end first.
    """
    out.note(child.shown)
    with _started(child, stdout=sys.stderr.fileno() if out.as_json else None) as process:
        return process.wait()


def output(child: Child, out: Terminal) -> tuple[int, str]:
    """Its exit status and what it wrote to standard output. Raises Failure when it cannot be started."""
    out.note(child.shown)
    with _started(child, stdout=subprocess.PIPE) as process:
        text, _ = process.communicate()
        return process.returncode, text.decode(errors="replace")


def answer(child: Child, *, typed: str = "", within_s: float | None = None) -> Answer:
    """What it answers to what is `typed`. Raises Failure when it cannot be started, Overdue."""
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        with _started(child, apart=True, **piped) as process:
            printed, complaint = process.communicate(typed.encode(), within_s)
    except subprocess.TimeoutExpired as error:
        raise Overdue(f"{child.command[0]} gave no answer in {within_s:.0f} seconds") from error
    return Answer(process.returncode, printed, complaint)


def find(name: str, environ: Mapping[str, str], venv: Path | None = None) -> Path | None:
    """The program of that name in an environment, without one: on PATH."""
    folders = environ.get("PATH", os.defpath) if venv is None else os.pathsep.join((f"{venv}/bin", f"{venv}/Scripts"))
    found = shutil.which(name, path=folders)
    return Path(found) if found else None


class Log:
    """What children print that are run one after the other: kept in a file, shown with -v."""

    def __init__(self, path: Path, out: Terminal) -> None:
        self.failed = False
        self._path = path
        self._out = out

    def step(self, text: str) -> None:
        """Say what comes next."""
        self._out.note(text)
        self.keep(f"* {text}\n".encode())

    def keep(self, text: bytes) -> None:
        """Put it into the log."""
        with self._path.open("ab") as log:
            log.write(text)

    def run(self, child: Child) -> int:
        """Its exit status. Raises Failure when it cannot be started."""
        self._out.debug(f"running {child.command[0]}")
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with _started(child, apart=True, **piped) as process:
            for line in process.stdout or ():
                self.keep(line)
                if self._out.verbose:
                    self._out.note(line.decode(errors="replace").rstrip())
            return process.wait()

    def failure(self, what: str) -> Failure:
        """With the last lines of the log, which stays."""
        self.failed = True
        lines = self._path.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return Failure("\n".join([*lines, what]), f"All that was printed: {self._path}")


@contextlib.contextmanager
def logged(prefix: str, out: Terminal) -> Iterator[Log]:
    """A log for some children; its file stays only if one of them failed."""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=".log")  # mode 0600
    os.close(handle)
    log = Log(Path(name), out)
    try:
        yield log
    finally:
        if not log.failed:
            Path(name).unlink()


@contextlib.contextmanager
def _started(
    child: Child, *, apart: bool = False, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    try:
        process = subprocess.Popen(  # noqa: S603 - what the person asked for, without a shell
            list(child.command), cwd=child.cwd, env=dict(child.environ), stdin=stdin, stdout=stdout, stderr=stderr,
            start_new_session=apart,
        )  # fmt: skip
    except OSError as error:
        raise Failure(f"{child.command[0]} cannot be run ({error.strerror})") from error
    with process:
        try:
            yield process
        except BaseException as error:
            if apart:
                _end_tree(process)
            else:
                _end(process, error)
            raise


def _end(process: "subprocess.Popen[bytes]", error: BaseException) -> None:
    """Wait for a child that is interrupted as we are; a second interrupt ends it at once."""
    with contextlib.suppress(KeyboardInterrupt):
        # A terminal interrupts all of its processes; whatever else ends us, ends only us.
        if type(error) is not KeyboardInterrupt or not os.isatty(0):
            process.send_signal(signal.SIGINT)
        for tell in (process.terminate, process.kill):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
                return
            tell()
    process.kill()
    process.wait()


def _end_tree(process: "subprocess.Popen[bytes]") -> None:
    """A child and all that it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(PATIENCE_S)
        os.killpg(process.pid, signal.SIGKILL)
