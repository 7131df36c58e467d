"""What tox wrote about a test run (`tox --result-json`), as the lines that `devpi list -t` shows. Pure.

The document: {"host", "platform", "testenvs": {name: {"python": {"version"}, "setup": [command], "test": [command]}}},
a command: {"command": [word], "output": text, "retcode": number, or a number as text}.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """One command that tox ran."""

    words: str
    output: str
    failed: bool


@dataclass(frozen=True)
class Environment:
    """One environment of one run. `python` is its version, if tox told it."""

    host: str
    platform: str
    name: str
    python: str
    setup: Sequence[Command]
    test: Sequence[Command]

    @property
    def key(self) -> tuple[str, str, str]:
        """A later run of the same key replaces an earlier one."""
        return (self.host, self.platform, self.name)

    @property
    def verdicts(self) -> Iterator[tuple[str, bool, Sequence[Command]]]:
        """Lines to show: text, whether it is good, and the commands that led to it."""
        prefix = f"{self.host:<10} {self.platform:<7} {self.name:<10}"
        if not self.setup:
            yield f"{prefix} no setup was performed", False, ()
        elif _failed(self.setup):
            yield f"{prefix} setup failed", False, self.setup
        prefix = f"{prefix} {self.python}" if self.python else prefix
        if not self.test:
            yield f"{prefix} no tests were run", False, ()
        elif _failed(self.test):
            yield f"{prefix} tests failed", False, self.test
        else:
            yield f"{prefix} tests passed", True, self.test

    @property
    def passed(self) -> bool:
        """Whether it was set up and its tests ran without a failure."""
        return bool(self.test) and not _failed(self.test) and not _failed(self.setup)


def environments(document: object) -> list[Environment]:
    """The environments of one result, by name. Raises ValueError for what is no result of tox."""
    try:
        return [_environment(document, name) for name in sorted(document["testenvs"])]  # type: ignore[index] # checked
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"no result of tox: {error!r}") from error


def _environment(document: Any, name: str) -> Environment:  # noqa: ANN401 - somebody's JSON
    found: Mapping[str, Any] = document["testenvs"][name]
    version = str((found.get("python") or {}).get("version") or "")
    return Environment(
        host=str(document["host"]),
        platform=str(document["platform"]),
        name=name,
        python=version.split(None, 1)[0] if version.strip() else "",
        setup=[_command(entry) for entry in found.get("setup") or ()],
        test=[_command(entry) for entry in found.get("test") or ()],
    )


def _command(entry: Mapping[str, Any]) -> Command:
    words = entry.get("command") or ()
    shown = words if isinstance(words, str) else " ".join(map(str, words))
    code = entry["retcode"]
    return Command(shown, str(entry.get("output") or ""), failed=str(code) not in ("0", "None", ""))


def _failed(commands: Sequence[Command]) -> bool:
    return any(command.failed for command in commands)
