"""The one place where a file becomes part of a private index, or stops being one.

Synchronous functions for `Database.record`: they decide and note in one transaction, so
two clients with one file name have exactly one winner. Bytes are blobs already, and looked for
once more: this is what keeps the sweep (`upkeep.sweep`) from taking them in between, whatever clocks say.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.db import accounts, stages
from stilton.db.database import Transaction
from stilton.db.stages import HostedProject
from stilton.domain import publishing
from stilton.domain.errors import Busy, IndexNotFound, VersionNotFound
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.publishing import Kind, Release, StageFile, Verdict


def register(
    tx: Transaction,
    stage: IndexName,
    project: ProjectName,
    version: str,
    keys: Mapping[str, Any],
    *,
    replace: bool,
    now: float,
) -> str:
    """Make sure that the release is there, with these metadata keys; its version as it is spelled there.

    `replace`: keys that are not given go; else they stay. Raises Conflict when the project is closed.
    """
    _index(tx, stage)
    entry = stages.project(tx.sql, stage, project)
    publishing.check_open(project, entry.status if entry else None)
    old = stages.release(tx.sql, stage, project, version)
    spelled = old.version if old else version
    if entry is None or entry.gone:
        stages.put_project(tx, stage, HostedProject(project, entry.status if entry else None, gone=False), now=now)
    kept = {} if old is None or replace else old.keys
    release = Release(spelled, {**kept, **keys, "version": spelled}, old.yanked if old else None)
    if release != old:
        stages.put_release(tx, stage, project, release)
    return spelled


def put(
    tx: Transaction, stage: IndexName, file: StageFile, keys: Mapping[str, Any], *, blobs: LocalBlobs, now: float
) -> Verdict:
    """Put a file on an index, and its release's metadata. Raises Conflict; Busy when its bytes went meanwhile.

    The same bytes under the same name change nothing. On a volatile index other bytes take the
    place of the old ones, whose URL is gone from then on.
    """
    index = _index(tx, stage)
    named = stages.namesakes(tx.sql, stage, file.project, file.version, file.filename)
    verdict = publishing.judge(file.filename, file.digest, named, volatile=index.is_volatile)
    if verdict is Verdict.SAME:
        return verdict
    check_there(blobs, file)
    version = register(tx, stage, file.project, file.version, keys, replace=False, now=now)
    log = list(file.log)
    if verdict is Verdict.REPLACE:
        old = [one for one in named if one.gone_at is None]
        _retire(tx, stage, old, now=now)
        count = next((line.get("count", 0) for line in old[0].log if line.get("what") == "overwrite"), 0)
        log.insert(0, publishing.entry("overwrite", None, now, count=count + 1, dst=stage))
    stages.put_file(tx, stage, msgspec.structs.replace(file, version=version, log=log, gone_at=None))
    return verdict


def check_there(blobs: LocalBlobs, file: StageFile) -> None:
    """Whether the bytes of a file that is about to be noted are here, as they were a moment ago. Raises Busy."""
    if not all(map(blobs.has, file.digests)):
        raise Busy(f"the bytes of {file.filename} were removed before they were noted")


def yank(tx: Transaction, stage: IndexName, project: ProjectName, version: str, yanked: str | None) -> None:
    """Yank a release, or take that back (None). Raises VersionNotFound."""
    release = stages.release(tx.sql, stage, project, version)
    if release is None:
        raise VersionNotFound(project, version)
    stages.put_release(tx, stage, project, msgspec.structs.replace(release, yanked=yanked))


def take_file(tx: Transaction, stage: IndexName, file: StageFile, *, now: float) -> None:
    """Remove one file and its test results; with the last file its release goes, with that its project."""
    _retire(tx, stage, [file], now=now)
    left = stages.project_files(tx.sql, stage, file.project)
    if not any(one.version == file.version and one.kind is not Kind.TOXRESULT for one in left):
        take_release(tx, stage, file.project, file.version, now=now)


def take_release(tx: Transaction, stage: IndexName, project: ProjectName, version: str, *, now: float) -> None:
    """Remove a release with its files; with the last release its project goes."""
    files = stages.project_files(tx.sql, stage, project)
    _retire(tx, stage, [file for file in files if file.version == version], now=now)
    stages.drop_release(tx, stage, project, version)
    if not stages.versions(tx.sql, stage, project):
        _leave_name(tx, stage, project, now=now)


def take_project(tx: Transaction, stage: IndexName, project: ProjectName, *, now: float) -> None:
    """Remove a project with everything. Its name stays private: see `stages.forget_project`."""
    _retire(tx, stage, stages.project_files(tx.sql, stage, project), now=now)
    for version in stages.versions(tx.sql, stage, project):
        stages.drop_release(tx, stage, project, version)
    _leave_name(tx, stage, project, now=now)


def _index(tx: Transaction, stage: IndexName) -> Index:
    """The index as it is in this transaction. Raises IndexNotFound when it was removed meanwhile."""
    user, _, name = stage.partition("/")
    index = accounts.index(tx.sql, user, name)
    if index is None:
        raise IndexNotFound(stage)
    return index


def _retire(tx: Transaction, stage: IndexName, files: Iterable[StageFile], *, now: float) -> None:
    """Take files and the test results that belong to them from their place."""
    for file in files:
        stages.put_file(tx, stage, msgspec.structs.replace(file, gone_at=now))
        for result in stages.results_for(tx.sql, stage, file):
            stages.put_file(tx, stage, msgspec.structs.replace(result, gone_at=now))


def _leave_name(tx: Transaction, stage: IndexName, project: ProjectName, *, now: float) -> None:
    stages.put_project(tx, stage, HostedProject(project, None, gone=True), now=now)
