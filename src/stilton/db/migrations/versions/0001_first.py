"""The first schema: users, indexes, mirrors and what they hold, the log of changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pwhash", sa.String(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "indexes",
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user", "name", name="pk_indexes"),
    )
    op.create_table(
        "mirrored",
        sa.Column("mirror", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("etag", sa.String()),
        sa.Column("serial", sa.Integer()),
        sa.Column("status", sa.String()),
        sa.Column("checked_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mirror", "project", name="pk_mirrored"),
    )
    op.create_table(
        "held",
        sa.Column("mirror", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("digest", sa.String()),
        sa.Column("size", sa.Integer()),
        sa.Column("metadata_digest", sa.String()),
        sa.Column("last_modified", sa.String()),
        sa.Column("fetched_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mirror", "path", name="pk_held"),
    )
    op.create_index("ix_held_project", "held", ["mirror", "project"])
    op.create_index("ix_held_digest", "held", ["digest"])
    op.create_table(
        "project_lists",
        sa.Column("mirror", sa.String(), nullable=False),
        sa.Column("names", sa.LargeBinary(), nullable=False),
        sa.Column("etag", sa.String()),
        sa.Column("serial", sa.Integer()),
        sa.Column("checked_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mirror", name="pk_project_lists"),
    )
    op.create_table(
        "changes",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("entity", name="pk_changes"),
        sa.UniqueConstraint("serial", name="uq_changes_serial"),
    )
