"""How long work tells a person what it does. `cli.progress` writes it to a terminal or a log."""

from typing import Protocol


class Telling(Protocol):
    """Who listens. Called from one thread."""

    def line(self, text: str) -> None:
        """What was done; scripts read these lines."""

    def notice(self, text: str) -> None:
        """Worth knowing, and nothing is wrong."""

    def begin(self, what: str, total: int) -> None:
        """From here on there are `total` steps, of which some hundred a second are possible."""

    def step(self, count: int = 1) -> None:
        """So many of them are done."""

    def end(self) -> None:
        """No more steps, whether all were done or not."""
