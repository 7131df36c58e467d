"""Files of a project: their paths, hashes, and what can be asked for."""

import pytest

from stilton.domain import files
from stilton.domain.files import File, Project, Status
from stilton.domain.names import ProjectName

SHA = "0123456789abcdef" * 4


def test_a_file_with_a_hash_is_offered_by_it() -> None:
    file = File(filename="pkg-1.0.tar.gz", url="http://u.example/x/pkg-1.0.tar.gz", hashes={"sha256": SHA})

    assert files.path_of(file) == "+f/012/3456789abcdef/pkg-1.0.tar.gz"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://u.example/a/b/pkg-1.0.tar.gz", "+e/http_u.example_a_b/pkg-1.0.tar.gz"),
        ("http://u.example:8080/pkg-1.0.tar.gz", "+e/http_u.example_8080/pkg-1.0.tar.gz"),
        ("http://u.example/a%20b/c..d/pkg-1.0.tar.gz?x=1", "+e/http_u.example_a_20b_c..d/pkg-1.0.tar.gz"),
        ("https://[::1]/x/pkg-1.0.tar.gz", "+e/https____1__x/pkg-1.0.tar.gz"),
        ("", "+e/_/pkg-1.0.tar.gz"),
    ],
)
def test_a_file_without_a_hash_is_offered_by_its_host_and_folder(url: str, path: str) -> None:
    assert files.path_of(File(filename="pkg-1.0.tar.gz", url=url)) == path


@pytest.mark.parametrize(
    ("hashes", "best"),
    [
        ({}, None),
        ({"md5": "aa"}, ("md5", "aa")),
        ({"md5": "aa", "sha256": "bb", "sha512": "cc"}, ("sha256", "bb")),
        ({"md5": "aa", "blake2b": "dd"}, ("blake2b", "dd")),
        ({"sha256": "", "md5": "aa"}, ("md5", "aa")),
        ({"crc32": "aa"}, None),
    ],
)
def test_the_strongest_hash_counts(hashes: dict[str, str], best: tuple[str, str] | None) -> None:
    assert files.best_hash(hashes) == best


@pytest.mark.parametrize(
    ("path", "reference"),
    [
        ("+f/abc/def/pkg-1.0+local.tar.gz", "+f/abc/def/pkg-1.0+local.tar.gz"),
        ("a b", "a%20b"),
        ("50%", "50%25"),
        ("a#b?c", "a%23b%3Fc"),
        ("ü", "%C3%BC"),
        ('"<&>', "%22%3C&%3E".replace("&", "%26")),
    ],
)
def test_a_path_is_quoted_as_a_url_reference(path: str, reference: str) -> None:
    assert files.quoted(path) == reference


@pytest.mark.parametrize(
    ("filename", "core_metadata", "offered"),
    [
        ("pkg-1.0-py3-none-any.whl", None, True),
        ("pkg-1.0-py3-none-any.whl", True, True),
        ("pkg-1.0-py3-none-any.whl", {"sha256": SHA}, True),
        ("pkg-1.0-py3-none-any.whl", False, False),
        ("pkg-1.0.tar.gz", None, False),
        ("pkg-1.0.tar.gz", True, True),
        ("pkg-1.0.tar.gz", {}, True),
        ("pkg-1.0.tar.gz", False, False),
    ],
)
def test_metadata_is_offered_for_wheels_and_for_what_upstream_says(
    filename: str, core_metadata: bool | dict[str, str] | None, offered: bool
) -> None:
    assert files.offers_metadata(File(filename=filename, core_metadata=core_metadata)) is offered


@pytest.mark.parametrize(
    ("status", "quarantined"),
    [(None, False), (Status("active"), False), (Status("archived"), False), (Status("quarantined", "malware"), True)],
)
def test_only_a_quarantined_project_is_quarantined(status: Status | None, quarantined: bool) -> None:
    assert Project(name=ProjectName("pkg"), status=status).is_quarantined is quarantined
