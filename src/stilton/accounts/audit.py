"""The audit log, for those who run this server."""

from stilton.db import audit
from stilton.db.database import Database
from stilton.domain.audit import Entry, Wanted
from stilton.domain.errors import Denied
from stilton.domain.permission import Actor, Policy


class AuditLog:
    """Reads what changes noted of themselves (`db.audit`)."""

    def __init__(self, db: Database, policy: Policy) -> None:
        self._db = db
        self._policy = policy

    def check(self, actor: Actor) -> None:
        """Raises Denied unless `actor` may read it."""
        if actor.name is None or not self._policy.is_admin(actor.name):
            raise Denied("the audit log is for those who run this server", login=actor.name is None)

    async def entries(self, actor: Actor, wanted: Wanted) -> list[Entry]:
        """The newest that are wanted, the newest first. Raises Denied."""
        self.check(actor)
        return await self._db.read(audit.entries, wanted)
