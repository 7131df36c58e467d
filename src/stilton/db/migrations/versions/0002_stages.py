"""Private indexes: projects, releases, files."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("status", sa.String()),
        sa.Column("status_reason", sa.String()),
        sa.Column("gone_at", sa.Float()),
        sa.PrimaryKeyConstraint("stage", "project", name="pk_projects"),
    )
    op.create_index("ix_projects_project", "projects", ["project"])
    op.create_table(
        "releases",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("yanked", sa.String()),
        sa.PrimaryKeyConstraint("stage", "project", "version", name="pk_releases"),
    )
    op.create_index("ix_releases_canonical", "releases", ["stage", "project", "canonical"])
    op.create_table(
        "files",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("project", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", sa.Float(), nullable=False),
        sa.Column("metadata_digest", sa.String()),
        sa.Column("provenance_digest", sa.String()),
        sa.Column("requires_python", sa.String()),
        sa.Column("yanked", sa.String()),
        sa.Column("for_path", sa.String()),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("gone_at", sa.Float()),
        sa.PrimaryKeyConstraint("stage", "path", name="pk_files"),
    )
    op.create_index("ix_files_project", "files", ["stage", "project"])
    op.create_index("ix_files_digest", "files", ["digest"])
