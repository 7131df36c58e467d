"""What one commit changed, named so that readers know what to forget.

Entities are texts: `index:USER/INDEX`, `project:USER/INDEX/NAME`, `user:NAME`.
"""

from stilton.domain.names import IndexName, ProjectName


def of_project(index: IndexName, project: ProjectName) -> str:
    """A project's page, or what is held of it, is another now."""
    return f"project:{index}/{project}"


def of_index(index: IndexName) -> str:
    """An index was made, changed or removed."""
    return f"index:{index}"


def of_user(user: str) -> str:
    """A user was made, changed or removed."""
    return f"user:{user}"
