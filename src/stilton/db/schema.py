"""Tables as of now. How older databases get here: `migrations/`.

Times are seconds on the Unix clock; `serial` counts commits that changed something
a reader can see. Mirrored pages are one document per project, not a row per file.
"""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text, func
from sqlalchemy.dialects.sqlite import Insert, insert

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("pwhash", String, nullable=False),
    Column("keys", Text, nullable=False),  # JSON: created, modified, email, title …
)

indexes = Table(
    "indexes",
    metadata,
    Column("user", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("keys", Text, nullable=False),  # JSON, spelled as in devpi's API
)

# What an upstream last said of a project.
mirrored = Table(
    "mirrored",
    metadata,
    Column("mirror", String, primary_key=True),
    Column("project", String, primary_key=True),
    Column("document", LargeBinary, nullable=False),  # `db.mirrors` knows the format
    Column("etag", String),
    Column("serial", Integer),  # upstream's
    Column("status", String),  # PEP 792; NULL is active
    Column("checked_at", Float, nullable=False),
)

# What of a mirrored file is kept here.
held = Table(
    "held",
    metadata,
    Column("mirror", String, primary_key=True),
    Column("path", String, primary_key=True),  # below the index: +f/abc/0123456789def/NAME
    Column("project", String, nullable=False),
    Column("digest", String),  # sha256 of the blob; NULL: only the metadata is here
    Column("size", Integer),  # bytes
    Column("metadata_digest", String),  # "" when the file has none
    Column("last_modified", String),  # HTTP date, upstream's
    Column("fetched_at", Float, nullable=False),
    Column("used_at", Float),  # the last time somebody asked for it, to the hour; NULL: not since it was fetched
    Column("uses", Integer, nullable=False, server_default="0"),  # how often
    Index("ix_held_project", "mirror", "project"),
    Index("ix_held_digest", "digest"),
)

# Names of all projects upstream, for listings and search; never on an install's path.
project_lists = Table(
    "project_lists",
    metadata,
    Column("mirror", String, primary_key=True),
    Column("names", LargeBinary, nullable=False),  # zstd, one name a line
    Column("etag", String),
    Column("serial", Integer),
    Column("checked_at", Float, nullable=False),
)

# A private index's projects. One that is gone keeps its name private.
projects = Table(
    "projects",
    metadata,
    Column("stage", String, primary_key=True),  # user/index
    Column("project", String, primary_key=True),  # normalised
    Column("status", String),  # PEP 792; NULL is active
    Column("status_reason", String),
    Column("gone_at", Float),  # its last release was removed
    Index("ix_projects_project", "project"),
)

releases = Table(
    "releases",
    metadata,
    Column("stage", String, primary_key=True),
    Column("project", String, primary_key=True),
    Column("version", String, primary_key=True),  # as its first upload spelled it
    Column("canonical", String, nullable=False),  # the same for equal versions (PEP 440)
    Column("keys", Text, nullable=False),  # JSON: metadata, spelled as in devpi's API
    Column("yanked", String),  # PEP 592: the reason, may be empty; NULL: it is not
    Index("ix_releases_canonical", "stage", "project", "canonical"),
)

# A private index's files: distributions, documentation, test results. Those that are gone
# are remembered, so that their URLs can say so.
files = Table(
    "files",
    metadata,
    Column("stage", String, primary_key=True),
    Column("path", String, primary_key=True),  # below the index: +f/abc/0123456789def/NAME
    Column("project", String, nullable=False),
    Column("version", String, nullable=False),
    Column("kind", String, nullable=False),  # releasefile, doczip, toxresult
    Column("filename", String, nullable=False),
    Column("digest", String, nullable=False),  # sha256 of the blob
    Column("size", Integer, nullable=False),  # bytes
    Column("uploaded_at", Float, nullable=False),  # on the index where it was first uploaded
    Column("metadata_digest", String),  # sha256 of its core metadata; NULL: it has none
    Column("provenance_digest", String),  # sha256 of its provenance (PEP 740)
    Column("requires_python", String),
    Column("yanked", String),  # as of releases
    Column("for_path", String),  # a test result's distribution
    Column("log", Text, nullable=False),  # JSON: devpi's list of what was done when by whom
    Column("gone_at", Float),
    Index("ix_files_project", "stage", "project"),
    Index("ix_files_digest", "digest"),
)

# Held files that no eviction may take: what private releases' lock files or `devpi prime` asked for.
pins = Table(
    "pins",
    metadata,
    Column("mirror", String, primary_key=True),
    Column("path", String, primary_key=True),  # as in `held`
    Column("reason", String, nullable=False),
    Column("at", Float, nullable=False),
)

# Who changed what, when, from where. Only added to.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("actor", String),  # NULL: nobody in particular
    Column("address", String),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("detail", Text, nullable=False),  # JSON, never a secret
    Column("request", String),  # id of the request, as in the logs
)

# Which entity changed last when; one row an entity, so it does not grow for ever.
changes = Table(
    "changes",
    metadata,
    Column("entity", String, primary_key=True),
    Column("serial", Integer, nullable=False, unique=True),
    Column("at", Float, nullable=False),
)


def upsert(table: Table, *, keep: frozenset[str] = frozenset()) -> Insert:
    """Insert a row, or replace the one with its primary key. Put together once per statement.

    `keep`: columns in which NULL means "not known now" and leaves what is there.
    """
    new = insert(table)
    keys = [column.name for column in table.primary_key]
    columns = [column.name for column in table.columns if column.name not in keys]
    values = {
        name: func.coalesce(new.excluded[name], table.c[name]) if name in keep else new.excluded[name]
        for name in columns
    }
    return new.on_conflict_do_update(index_elements=keys, set_=values)
