"""Names of what a commit changed."""

from stilton.domain import changes
from stilton.domain.names import IndexName, ProjectName


def test_an_entity_says_its_kind_and_its_full_name() -> None:
    index = IndexName("root/pypi")

    assert changes.of_project(index, ProjectName("a-b")) == "project:root/pypi/a-b"
    assert changes.of_index(index) == "index:root/pypi"
    assert changes.of_user("root") == "user:root"
