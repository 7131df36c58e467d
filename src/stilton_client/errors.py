"""What ends a command: one sentence that says what happened, and what to do about it."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Failure(Exception):
    """A command cannot go on.

    `advice` is what the person can do now; `code` is the exit code.
    """

    def __init__(self, what: str, advice: str = "", *, code: int = EXIT_FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.code = code


class Unreachable(Failure):
    """No answer came: no connection, no such host, a certificate that is not trusted, a time-out."""


class Refused(Failure):
    """The server answered with an error. `status` is HTTP's."""

    def __init__(self, status: int, what: str, advice: str = "") -> None:
        super().__init__(what, advice)
        self.status = status
