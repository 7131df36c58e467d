"""Test results of distributions, as `devpi test` sends them (JSON made by tox)."""

import asyncio
import time

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.catalog.indexes import Indexes
from stilton.db import audit, stages
from stilton.db.database import Database, Transaction
from stilton.domain import publishing
from stilton.domain.audit import Event
from stilton.domain.errors import Denied, Invalid, Missing
from stilton.domain.files import File, path_of
from stilton.domain.names import IndexName
from stilton.domain.permission import Actor, Policy, Right
from stilton.domain.publishing import Kind, StageFile
from stilton.publish import shelf

MAX_RESULT_BYTES = 32 << 20


class TestResults:
    """Stores test results."""

    __test__ = False  # pytest looks for classes of this name

    def __init__(self, db: Database, blobs: LocalBlobs, indexes: Indexes, policy: Policy) -> None:
        self._db = db
        self._blobs = blobs
        self._indexes = indexes
        self._policy = policy

    async def begin(self, actor: Actor, user: str, name: str, path: str) -> None:
        """Whether `actor` may add a result to the file at `path`; asked before the body is read.

        Raises IndexNotFound, Denied, Missing.
        """
        index = await self._indexes.readable(actor, user, name)
        if not self._policy.may(actor, Right.UPLOAD_TOXRESULT, index):
            raise Denied(
                "No permission to upload tox results. You can use the devpi test --no-upload option to skip the upload."
            )
        entry = self._db.glance(stages.file, index.full_name, path)
        if entry is None or entry.gone_at is not None or entry.kind is not Kind.RELEASE:
            raise Missing(f"no release file found at {index.full_name}/{path}")

    async def add(self, actor: Actor, user: str, name: str, path: str, body: bytes) -> str:
        """Keep a result as it came; its path below `/`. Raises Invalid, StorageTrouble, else as `begin`."""
        await self.begin(actor, user, name, path)
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise Invalid("could not decode json: a tox result is a JSON document") from None
        digest = await asyncio.to_thread(lambda: self._blobs.put(body, lasting=True))
        stage = IndexName(f"{user}/{name}")
        stored = await self._db.record(_store, self._blobs, stage, path, digest, len(body), actor.name)
        return f"{stage}/{stored}"


def _store(
    tx: Transaction, blobs: LocalBlobs, stage: IndexName, path: str, digest: str, size: int, who: str | None
) -> str:
    of = stages.file(tx.sql, stage, path)
    if of is None or of.gone_at is not None:
        raise Missing(f"no release file found at {stage}/{path}")
    count = len(stages.results_for(tx.sql, stage, of))
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(tx.at))
    filename = f"{of.filename}.toxresult-{stamp}-{count}"
    entry = StageFile(
        # Beside its distribution, as devpi does: several results may have the same bytes.
        path=f"{path_of(File(filename=of.filename, hashes={'sha256': of.digest})).rpartition('/')[0]}/{filename}",
        project=of.project,
        version=of.version,
        kind=Kind.TOXRESULT,
        filename=filename,
        digest=digest,
        size=size,
        uploaded_at=tx.at,
        for_path=path,
        log=[publishing.entry("upload", who, tx.at, dst=stage)],
    )
    shelf.check_there(blobs, entry)
    stages.put_file(tx, stage, entry)
    target = f"{stage}/{of.project}/{of.version}/{filename}"
    audit.note(tx, Event("result.upload", target, {"sha256": digest, "size": size}))
    return entry.path
