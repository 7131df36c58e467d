"""What whoever runs this server should know of its users: root has no password, an administrator does not exist."""

import logging
from collections.abc import Iterable

from stilton.accounts.login import Login
from stilton.accounts.users import Users
from stilton.domain.errors import Busy
from stilton.domain.permission import ROOT

log = logging.getLogger(__name__)

_BEYOND = ", and this server is reached from other machines: everybody who reaches it is its administrator"
_SET_ONE = "Set one: devpi login root --password ''; devpi user -m root password=…"
_MAKE_HIM = "Only those named there may make him; if none of them is here, name root, too."


class Concerns:
    """`administrators`: users and groups of `--restrict-modify`. `is_reached`: whether other machines reach the server.

    `texts`: what to show, as of the last look.
    """

    def __init__(self, login: Login, users: Users, administrators: Iterable[str], *, is_reached: bool) -> None:
        self._login = login
        self._users = users
        self._administrators = [name for name in administrators if not name.startswith(":")]
        self._is_reached = is_reached
        self.is_due = True
        self.texts: list[str] = []

    def noticed(self, entity: str) -> None:
        """Something was committed (`domain.changes`)."""
        self.is_due = self.is_due or entity.startswith("user:")

    async def look(self) -> None:
        """Look again; what is new is logged. Raises Damaged."""
        self.is_due = False
        try:
            found = await self._found()
        except Busy:
            self.is_due = True  # later
            return
        for text, cure in found.items():
            if text not in self.texts:
                log.warning("%s %s", text, cure)
        self.texts = list(found)

    async def _found(self) -> dict[str, str]:
        """Sentence → what can be done. Raises Busy, Damaged."""
        found = {
            f"--restrict-modify names {name!r}, who is no user here.": _MAKE_HIM
            for name in self._administrators
            if not self._users.exists(name)
        }
        if await self._login.has_empty_password(ROOT):
            found[f"User root has an empty password{_BEYOND if self._is_reached else ''}."] = _SET_ONE
        return found
