"""What an index shows of a project, because of what it holds."""

import pytest

from stilton.domain import holdings
from stilton.domain.files import File, Project, Status, path_of
from stilton.domain.holdings import Held
from stilton.domain.names import ProjectName

SHA = "a" * 64
META = "b" * 64
WHEEL = File(filename="pkg-2.0-py3-none-any.whl", url="http://u.example/w", hashes={"sha256": SHA})
SDIST = File(filename="pkg-1.0.tar.gz", url="http://u.example/s", hashes={"sha256": "c" * 64}, core_metadata=True)
PROJECT = Project(name=ProjectName("pkg"), files=(SDIST, WHEEL), versions=("1.0", "2.0", "3.0"))


def test_a_page_lists_all_files_while_upstream_can_be_reached() -> None:
    page = holdings.shown(PROJECT, {}, held_only=False)

    assert [file.filename for file in page.files] == [SDIST.filename, WHEEL.filename]
    assert page.versions == PROJECT.versions


def test_a_page_lists_only_what_is_held_when_upstream_cannot_be_reached() -> None:
    held = {path_of(WHEEL): Held(digest=SHA, size=10), path_of(SDIST): Held(metadata_digest=META)}

    page = holdings.shown(PROJECT, held, held_only=True)

    assert [file.filename for file in page.files] == [WHEEL.filename]
    assert page.versions == ("2.0",)


def test_nothing_held_is_an_empty_page_without_versions() -> None:
    page = holdings.shown(PROJECT, {}, held_only=True)

    assert page.files == ()
    assert page.versions == ()


@pytest.mark.parametrize("held_only", [False, True])
def test_a_quarantined_project_shows_no_files_even_when_they_are_held(held_only: bool) -> None:
    project = Project(name=PROJECT.name, files=PROJECT.files, status=Status("quarantined", "malware"))

    page = holdings.shown(project, {path_of(WHEEL): Held(digest=SHA, size=10)}, held_only=held_only)

    assert page.files == ()
    assert page.status == Status("quarantined", "malware")


@pytest.mark.parametrize(
    ("file", "here", "held_only", "core_metadata"),
    [
        (WHEEL, None, False, True),
        (WHEEL, Held(digest=SHA, size=1), False, True),
        (WHEEL, Held(digest=SHA, size=1), True, True),
        (WHEEL, Held(digest=SHA, size=1, metadata_digest=META), False, {"sha256": META}),
        (WHEEL, Held(digest=SHA, size=1, metadata_digest=""), False, False),
        (SDIST, None, False, True),
        (SDIST, Held(digest=SHA, size=1), True, False),
        (SDIST, Held(digest=SHA, size=1, metadata_digest=META), True, {"sha256": META}),
    ],
)
def test_metadata_is_advertised_as_it_can_be_had(
    file: File, here: Held | None, held_only: bool, core_metadata: bool | dict[str, str]
) -> None:
    project = Project(name=PROJECT.name, files=(file,))

    page = holdings.shown(project, {path_of(file): here} if here else {}, held_only=held_only)

    assert page.files[0].core_metadata == core_metadata


def test_metadata_hashes_of_upstream_stay_while_nothing_better_is_known() -> None:
    file = File(filename=WHEEL.filename, url=WHEEL.url, hashes=WHEEL.hashes, core_metadata={"sha256": META})

    page = holdings.shown(Project(name=PROJECT.name, files=(file,)), {}, held_only=False)

    assert page.files[0] is file


def test_the_size_of_a_held_file_replaces_what_upstream_said() -> None:
    file = File(filename=SDIST.filename, url=SDIST.url, hashes=SDIST.hashes, size=999, core_metadata=False)

    page = holdings.shown(
        Project(name=PROJECT.name, files=(file,)), {path_of(file): Held(digest=SHA, size=10)}, held_only=False
    )

    assert page.files[0].size == 10


def test_a_size_that_is_not_known_here_stays_upstreams() -> None:
    file = File(filename=SDIST.filename, url=SDIST.url, hashes=SDIST.hashes, size=999, core_metadata=True)

    page = holdings.shown(
        Project(name=PROJECT.name, files=(file,)), {path_of(file): Held(metadata_digest=META)}, held_only=False
    )

    assert page.files[0].size == 999
    assert page.files[0].core_metadata == {"sha256": META}
