"""Users, and the indexes they own, as everybody may see them."""

from typing import Any

from stilton.db import accounts
from stilton.db.database import Database
from stilton.domain.errors import IndexNotFound, UserNotFound
from stilton.domain.indexes import Index


class Users:
    """Reads users and indexes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self) -> list[tuple[dict[str, Any], list[Index]]]:
        """Every user's keys and indexes."""
        users = await self._db.read(accounts.all_users)
        indexes = await self._db.read(accounts.all_indexes)
        return [(keys, [i for i in indexes if i.user == keys["username"]]) for keys in users]

    async def one(self, user: str) -> tuple[dict[str, Any], list[Index]]:
        """A user's keys and indexes. Raises UserNotFound."""
        keys = await self._db.read(accounts.user_keys, user)
        if keys is None:
            raise UserNotFound(user)
        indexes = await self._db.read(accounts.all_indexes)
        return keys, [index for index in indexes if index.user == user]

    async def index(self, user: str, name: str) -> Index:
        """One index. Raises IndexNotFound."""
        index = await self._db.read(accounts.index, user, name)
        if index is None:
            raise IndexNotFound(f"{user}/{name}")
        return index
