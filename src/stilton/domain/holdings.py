"""What of a project is held here, and what an index may say because of it.

A page is upstream's document, corrected by what this server found out: the
size and the metadata hash of files it has, and whether metadata can be made.
"""

import msgspec

from stilton.domain.files import File, Project, path_of
from stilton.domain.names import is_wheel, same_versions, version_of


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one file.

    `digest`: sha256 of its bytes, None when only its metadata is here.
    `metadata_digest`: sha256 of its metadata file; "" when it has none; None when not known.
    """

    digest: str | None = None
    size: int | None = None
    metadata_digest: str | None = None


def shown(project: Project, held: dict[str, Held], *, held_only: bool) -> Project:
    """`project` as a page shows it. `held`: by path. `held_only`: upstream cannot be reached.

    A quarantined project shows no files (PEP 792).
    """
    if project.is_quarantined:
        return msgspec.structs.replace(project, files=())
    files: list[File] = []
    for file in project.files:
        here = held.get(path_of(file))
        if held_only and (here is None or here.digest is None):
            continue
        files.append(_corrected(file, here, held_only=held_only))
    versions = project.versions
    if held_only:
        found = (version_of(file.filename, project.name) for file in files)
        versions = tuple(same_versions(versions, (version for version in found if version))[0])
    return msgspec.structs.replace(project, files=tuple(files), versions=versions)


def _corrected(file: File, here: Held | None, *, held_only: bool) -> File:
    metadata = _metadata(file, here, held_only=held_only)
    size = file.size if here is None or here.size is None else here.size
    if metadata == file.core_metadata and size == file.size:
        return file
    return msgspec.structs.replace(file, core_metadata=metadata, size=size)


def _metadata(file: File, here: Held | None, *, held_only: bool) -> bool | dict[str, str] | None:
    if here is not None and here.metadata_digest is not None:
        return {"sha256": here.metadata_digest} if here.metadata_digest else False
    if is_wheel(file.filename):
        # Made on demand from the wheel, which is held or can be had.
        return file.core_metadata or True
    return False if held_only else file.core_metadata
