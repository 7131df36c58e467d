"""What people and scripts see: lines, tables, bars, questions, JSON.

Results go to standard output; warnings, errors, questions and bars to standard error: a pipe carries results only.
Without a terminal (or with NO_COLOR, TERM=dumb) everything is plain text. With `--json` only `data` is printed.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import click

from stilton_client.errors import Failure

KILOBYTE = 1e3
MEGABYTE = 1e6
GIGABYTE = 1e9
# C0 without tab and line feed, DEL, C1; and what turns the direction of text around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Bar(Protocol):
    """Progress of one piece of work."""

    def advance(self, amount: float) -> None:
        """`amount` more of the total is done."""

    def expect(self, total: float | None) -> None:
        """The total is known now, or known to be unknown."""


class Terminal:
    """Where a command speaks and asks."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        verbose: int = 0,
        debug: bool = False,
        yes: bool = False,
        as_json: bool = False,
    ) -> None:
        self.verbose = verbose
        self.debugging = debug
        self.as_json = as_json
        self._yes = yes
        self._colour = _wants_colour(environ)

    def line(self, text: str = "") -> None:
        """A line of the result."""
        self._say(text)

    def info(self, text: str) -> None:
        """A line of the result that matters."""
        self._say(text, bold=True)

    def flag(self, text: str) -> None:
        """A line of the result about what is hidden by something else, or went wrong: red."""
        self._say(text, fg="red")

    def note(self, text: str) -> None:
        """What is going on, for people only: never in a pipe's way."""
        if not self.as_json:
            click.secho(printable(text), err=True, color=self._colour)

    def warn(self, text: str) -> None:
        """Something that may surprise."""
        click.secho(f"warning: {printable(text)}", err=True, fg="yellow", color=self._colour)

    def error(self, text: str) -> None:
        """Something that did not work."""
        click.secho(printable(text), err=True, fg="red", color=self._colour)

    def debug(self, text: str) -> None:
        """What only somebody who looks for a fault wants to know. Never a secret."""
        if self.debugging:
            click.secho(f"[debug] {printable(text)}", err=True, color=self._colour)

    def data(self, value: object) -> None:
        """The result itself, for programs: printed with `--json` only."""
        if self.as_json:
            print_json(value)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under headers: drawn on a terminal, aligned by spaces in a pipe."""
        if self.as_json:
            return
        if sys.stdout.isatty() and self._colour is not False:
            _draw(headers, rows)
            return
        widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
        for row in (headers, *rows):
            self._say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    @contextlib.contextmanager
    def progress(self, label: str, total: float | None, *, in_bytes: bool = False) -> Iterator[Bar]:
        """A bar on a terminal, nothing elsewhere. `total` in bytes or pieces, None if nobody knows."""
        if self.as_json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield _NoBar()
            return
        with _bar(label, total, in_bytes=in_bytes) as bar:
            yield bar

    def confirm(self, question: str) -> bool:
        """Ask until the answer is yes or no. Raises Failure when nobody is there to answer."""
        asked = f"{question} (yes/no)? "
        if self._yes:
            self.note(f"{asked}yes (autoset from -y option)")
            return True
        while True:
            answer = self.ask(asked)
            if answer in ("yes", "no"):
                return answer == "yes"
            self.error(f"not a valid choice {answer!r}")

    def ask(self, question: str) -> str:
        """One line of answer. Raises Failure when nobody is there to answer."""
        # What is typed on a terminal ends the line, what comes through a pipe does not show.
        click.echo(question, nl=not sys.stdin.isatty(), err=True)
        return self.ask_line().strip()

    @staticmethod
    def ask_line(advice: str = "Run it with -y to say yes to every question.") -> str:
        """The next line of standard input. Raises Failure, with this advice, at its end."""
        answer = sys.stdin.readline()
        if not answer:
            raise Failure("nobody is there to answer", advice)
        return answer.rstrip("\r\n")

    def ask_secret(self, question: str) -> str:
        """A password, not shown while it is typed; the first line of standard input where that is no terminal."""
        if not sys.stdin.isatty():
            click.echo(question, err=True)
            return self.ask_line("A password is typed on a terminal, a line of standard input, or in the keyring.")
        import getpass  # noqa: PLC0415 - most commands ask for nothing

        return getpass.getpass(question)

    def _say(self, text: str, **style: Any) -> None:  # noqa: ANN401 - click's
        if not self.as_json:
            click.secho(printable(text), color=self._colour, **style)


def printable(text: str) -> str:
    """Text of a server or a file as it may go to a terminal: without what would drive it."""
    return _CONTROL.sub("\ufffd", text)


def bytes_text(count: object) -> str:
    """A number of bytes for people; `?` for what is none."""
    if not isinstance(count, int | float):
        return "?"
    unit, name = next(
        ((unit, name) for unit, name in ((GIGABYTE, "GB"), (MEGABYTE, "MB")) if count >= unit), (KILOBYTE, "kB")
    )
    return f"{count / unit:.1f} {name}"


def print_json(value: object) -> None:
    """Sorted and indented by four, as devpi prints it."""
    click.echo(json.dumps(value, sort_keys=True, indent=4))


def _wants_colour(environ: Mapping[str, str]) -> bool | None:
    """True or False where the environment says so, None: only on a terminal."""
    if environ.get("PY_COLORS") in ("0", "1"):
        return environ["PY_COLORS"] == "1"
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return None


def _draw(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - costs 60 ms
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # what servers send is text, never markup
    Console().print(table)


class _NoBar:
    def advance(self, amount: float) -> None:
        pass

    def expect(self, total: float | None) -> None:
        pass


@contextlib.contextmanager
def _bar(label: str, total: float | None, *, in_bytes: bool) -> Iterator[Bar]:
    from rich import progress  # noqa: PLC0415 - costs 60 ms
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415

    numbers: list[progress.ProgressColumn] = (
        [progress.DownloadColumn(), progress.TransferSpeedColumn()] if in_bytes else [progress.MofNCompleteColumn()]
    )
    columns = [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        *numbers,
        progress.TimeRemainingColumn(),
    ]
    with progress.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(escape(label), total=total)
        yield _RichBar(shown, task)


class _RichBar:
    def __init__(self, shown: Any, task: Any) -> None:  # noqa: ANN401 - rich is imported when a bar is drawn
        self._shown = shown
        self._task = task

    def advance(self, amount: float) -> None:
        self._shown.advance(self._task, amount)

    def expect(self, total: float | None) -> None:
        self._shown.update(self._task, total=total)
