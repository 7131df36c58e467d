"""What long work says: lines on stdout, which scripts read; on stderr notices and a bar, or a line now and then."""

import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_S = 10.0


class Teller:
    """`upkeep.telling.Telling` for a terminal, or for a log that gets a line each `line_every_s`."""

    def __init__(self, *, line_every_s: float = LINE_EVERY_S) -> None:
        self._line_every_s = line_every_s
        self._what = ""
        self._done = self._total = 0
        self._said_at = 0.0
        self._bar: tuple[Progress, TaskID] | None = None

    def line(self, text: str) -> None:
        """What was done."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar[0].console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(text)

    def notice(self, text: str) -> None:
        """Worth knowing."""
        if self._bar is not None:
            self._bar[0].console.print(f"notice: {text}", markup=False, highlight=False, soft_wrap=True)
        else:
            click.echo(f"notice: {text}", err=True)

    def begin(self, what: str, total: int) -> None:
        """From here on there are so many steps."""
        self._what, self._done, self._total, self._said_at = what, 0, total, time.monotonic()
        if total and sys.stderr.isatty():
            self._bar = _bar(what, total)

    def step(self, count: int = 1) -> None:
        """So many of them are done."""
        self._done += count
        if self._bar is not None:
            self._bar[0].advance(self._bar[1], count)
        elif time.monotonic() - self._said_at >= self._line_every_s:
            self._said_at = time.monotonic()
            click.echo(f"{self._what}: {self._done} of {self._total}", err=True)

    def end(self) -> None:
        """No more steps."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None


class Words:
    """`upkeep.telling.Telling` on stderr and without a bar: stdout is for a report."""

    def line(self, text: str) -> None:
        """What was done."""
        click.echo(text, err=True)

    def notice(self, text: str) -> None:
        """Worth knowing."""
        click.echo(text, err=True)

    def begin(self, what: str, total: int) -> None:
        """Not shown."""
        del what, total

    def step(self, count: int = 1) -> None:
        """Not shown."""
        del count

    def end(self) -> None:
        """Not shown."""


def _bar(what: str, total: int) -> "tuple[Progress, TaskID]":
    from rich import progress  # noqa: PLC0415 - costs 60 ms
    from rich.console import Console  # noqa: PLC0415

    shown = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    shown.start()
    return shown, shown.add_task(what, total=total)
