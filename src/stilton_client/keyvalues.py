"""`key=value` words of a command line. Pure."""

from collections.abc import Sequence

from stilton_client.errors import EXIT_USAGE, Failure


def pairs(words: Sequence[str]) -> dict[str, str]:
    """`key=value` words as a table, the last of a key wins. Raises Failure."""
    check(words)
    return dict(word.split("=", 1) for word in words)


def check(words: Sequence[str]) -> None:
    """Raises Failure for a word without an equal sign or without a key."""
    for word in words:
        if not word.partition("=")[1] or not word.partition("=")[0].strip("+-"):
            raise Failure(
                f"arguments must be format NAME=VALUE: {list(words)!r}",
                f"{word!r} is not. Put quotes around values with spaces: title='A title'.",
                code=EXIT_USAGE,
            )


def shown(value: object) -> str:
    """A configuration value as devpi prints it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
