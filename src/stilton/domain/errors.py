"""Everything that can go wrong, as one tree. Doors turn it into words (`web.errors`, `cli.main`).

StiltonError
├── NotFound
│   ├── UserNotFound            no such user
│   ├── IndexNotFound           no such index
│   ├── ProjectNotFound         no such project on this index
│   ├── VersionNotFound         no such version of the project
│   ├── FileNotFound            no such file on this index
│   ├── Missing                 what was to be changed is not there
│   └── Gone                    there was such a file; its owner removed it
├── Invalid                     a request whose content cannot be taken
│   └── TooLarge                more bytes than are taken
├── Conflict                    what is here already stands against it
├── Denied                      the actor may not do this; it may help to log in
├── TooManyTries                wrong passwords, too many of them
├── Busy                        no capacity at this moment
├── BadName                     a name that no project can have
├── BadArchive                  an uploaded file that is not what its name says, or not safe
├── NotAcceptable               none of the media types asked for can be given
├── NotAllowed                  this URL does not know the method
├── Quarantined                 its owner, or upstream, forbids to offer this project's files
├── NotHeld                     offline, and the thing asked for is not held here
├── UpstreamTrouble
│   ├── UpstreamUnavailable     no answer, a 5xx, or its circuit is open
│   │   └── OfflineMode         no network, by the operator's choice
│   ├── UpstreamRefused         an answer that says no (401, 403, 404, 429 …)
│   └── UpstreamWrong           an answer that must not be believed
├── StorageTrouble              the disk did not take what was to be kept
│   └── StorageFull             no space left
├── Damaged                     what was kept cannot be read any more
└── SetupError                  the server cannot start as told; the message says what to do
"""

OFFLINE = "offline mode"


class StiltonError(Exception):
    """Root of the tree; `str()` of any of them is a sentence for people."""


class NotFound(StiltonError):
    """The thing asked for is not here."""


class UserNotFound(NotFound):
    """No user of that name."""

    def __init__(self, user: str) -> None:
        super().__init__(f"no user {user!r}")
        self.user = user


class IndexNotFound(NotFound):
    """No index of that name."""

    def __init__(self, index: str, why: str = "") -> None:
        super().__init__(f"{why} {index}" if why else f"The stage {index} could not be found.")
        self.index = index


class ProjectNotFound(NotFound):
    """Neither held here nor known upstream."""

    def __init__(self, project: str, index: str, why: str = "") -> None:
        super().__init__(f"The project {project} does not exist on {index}.{why and ' '}{why}")
        self.project = project
        self.index = index


class VersionNotFound(NotFound):
    """The project is known, this version of it is not."""

    def __init__(self, project: str, version: str) -> None:
        super().__init__(f"The version {version} of project {project} does not exist.")
        self.project = project
        self.version = version


class FileNotFound(NotFound):
    """No file at this path, as far as this index and its upstream know."""

    def __init__(self, path: str, why: str = "no such file") -> None:
        super().__init__(f"{why}: {path}")
        self.path = path


class Missing(NotFound):
    """What was to be changed or removed is not there; nothing changed."""


class Gone(NotFound):
    """A file that was here and was removed or overwritten."""

    def __init__(self, path: str) -> None:
        super().__init__(f"file {path!r} existed, deleted in later serial")
        self.path = path


class Invalid(StiltonError):
    """The request cannot be carried out as it was put; the message says what to change."""


class TooLarge(Invalid):
    """A body, or a part of it, beyond its bound."""


class Conflict(StiltonError):
    """What is here already stands against the request; nothing changed."""


class Denied(StiltonError):
    """The actor lacks the right. `login`: nobody was logged in, so credentials may help."""

    def __init__(self, message: str, *, login: bool = False) -> None:
        super().__init__(message)
        self.login = login


class TooManyTries(StiltonError):
    """Wrong passwords for one user from one place. `retry_after_s`: seconds."""

    def __init__(self, user: str, retry_after_s: float) -> None:
        super().__init__(f"too many wrong passwords for user {user!r}; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class Busy(StiltonError):
    """The server has no capacity for this right now. `retry_after_s`: seconds."""

    def __init__(self, what: str, retry_after_s: float = 1.0) -> None:
        super().__init__(f"{what}: try again in a moment")
        self.retry_after_s = retry_after_s


class BadName(StiltonError):
    """Not a name that a project can have (PEP 508)."""

    def __init__(self, name: str) -> None:
        shown = name if len(name) <= 80 else name[:77] + "..."
        super().__init__(f"{shown!r} is not a project name: letters and digits, with . - _ between them")
        self.name = name


class BadArchive(StiltonError):
    """An uploaded file that is not what its name says, or that is not safe to open."""

    def __init__(self, filename: str, why: str) -> None:
        super().__init__(f"{filename}: {why}")
        self.filename = filename
        self.why = why


class NotAcceptable(StiltonError):
    """RFC 9110 §15.5.7."""

    def __init__(self, asked: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"none of {asked[:200]!r} can be given; ask for one of {', '.join(offered)}")
        self.asked = asked


class NotAllowed(StiltonError):
    """RFC 9110 §15.5.6. `allowed`: the methods that are."""

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method[:20]} is not for this URL; it knows {', '.join(allowed)}")
        self.allowed = allowed


class Quarantined(StiltonError):
    """PEP 792: a quarantined project's files must not be offered."""

    def __init__(self, project: str) -> None:
        super().__init__(f"{project} is quarantined, its files are not offered")
        self.project = project


class NotHeld(StiltonError):
    """Upstream is not asked (offline mode) or does not answer, and this was never fetched.

    `is_page`: no file of the project can be had, so it does not exist for an installer.
    """

    def __init__(self, what: str, index: str, *, why: str = OFFLINE, is_page: bool = False) -> None:
        hint = "; start the server without --offline-mode once to fetch it" if why == OFFLINE else ""
        super().__init__(f"{why}: {what} is not held on {index}{hint}")
        self.what = what
        self.is_page = is_page


class UpstreamTrouble(StiltonError):
    """An upstream index did not give what it should."""


class UpstreamUnavailable(UpstreamTrouble):
    """No usable answer; a later try may succeed.

    `retry_after_s`: seconds after which asking again makes sense, when known.
    """

    def __init__(self, upstream: str, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"upstream {upstream} is unavailable: {why}")
        self.upstream = upstream
        self.why = why
        self.retry_after_s = retry_after_s


class OfflineMode(UpstreamUnavailable):
    """The server was told not to ask anybody."""


class UpstreamRefused(UpstreamTrouble):
    """Upstream answered, and the answer is a refusal. `status` is its HTTP status."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"error {status} getting {url}")
        self.url = url
        self.status = status


class UpstreamWrong(UpstreamTrouble):
    """Bytes or a page that contradict what upstream promised; nothing of it is kept."""


class StorageTrouble(StiltonError):
    """This server could not store something; what was there before is as it was."""

    def __init__(self, what: str, why: str = "no space left") -> None:
        super().__init__(f"the server's disk did not take {what}: {why}")
        self.what = what
        self.why = why


class StorageFull(StorageTrouble):
    """ENOSPC or EDQUOT."""


class Damaged(StiltonError):
    """What is kept here is missing on the disk, or not what it was. Nobody but a backup can mend it."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} is damaged ({why}): restore it from a backup")
        self.what = what
        self.why = why


class SetupError(StiltonError):
    """A wrong option, folder or file; raised before anything is served."""
