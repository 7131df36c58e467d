"""What an upload means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton.domain import publishing
from stilton.domain.errors import Conflict, Invalid
from stilton.domain.files import Status
from stilton.domain.names import ProjectName
from stilton.domain.publishing import Kind, StageFile, Verdict, judge

PKG = ProjectName("pkg")


def a_file(
    digest: str = "aa", *, gone: bool = False, kind: Kind = Kind.RELEASE, yanked: str | None = None
) -> StageFile:
    return StageFile(
        path=f"+f/{digest}/pkg-1.0.tar.gz", project=PKG, version="1.0", kind=kind, filename="pkg-1.0.tar.gz",
        digest=digest, size=3, uploaded_at=1_750_000_000.5, log=[], gone_at=1.0 if gone else None, yanked=yanked,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("known", "volatile", "verdict"),
    [
        ([], True, Verdict.NEW),
        ([], False, Verdict.NEW),
        ([a_file("aa")], True, Verdict.SAME),
        ([a_file("aa")], False, Verdict.SAME),
        ([a_file("bb")], True, Verdict.REPLACE),
        ([a_file("aa", gone=True)], False, Verdict.NEW),
        ([a_file("bb", gone=True)], True, Verdict.NEW),
        ([a_file("bb", gone=True), a_file("aa")], True, Verdict.SAME),
    ],
)
def test_the_verdict_on_a_file(known: list[StageFile], volatile: bool, verdict: Verdict) -> None:
    assert judge("pkg-1.0.tar.gz", "aa", known, volatile=volatile) is verdict


@pytest.mark.parametrize("gone", [True, False])
def test_a_non_volatile_name_never_gets_other_bytes(gone: bool) -> None:
    with pytest.raises(Conflict, match=r"already exist"):
        judge("pkg-1.0.tar.gz", "aa", [a_file("bb", gone=gone)], volatile=False)


@pytest.mark.parametrize("status", ["archived", "quarantined"])
def test_a_closed_project_takes_nothing(status: str) -> None:
    with pytest.raises(Conflict, match=status):
        publishing.check_open(PKG, Status(status))
    publishing.check_open(PKG, None)
    publishing.check_open(PKG, Status("deprecated"))


@pytest.mark.parametrize(
    ("filename", "name", "version"),
    [
        ("pkg-1.0.tar.gz", "pkg", "1.0"),
        ("pkg-1.0-py3-none-any.whl", "pkg", "1.0"),
        ("My_Pkg-1.0.zip", "my.pkg", "1.0"),
        ("my-pkg-1.0.tar.gz", "My_Pkg", "1"),
        ("pkg-1.0+local.1.tar.gz", "pkg", "1.0+local.1"),
        ("pkg-1.0_local.1-py3-none-any.whl", "pkg", "1.0+local.1"),
        ("pkg-1.0-1-py3-none-any.whl", "pkg", "1.0"),
        ("pkg-1.0-py3.11.egg", "pkg", "1.0"),
        ("pkg-1.0.win-amd64.exe", "pkg", "1.0"),
        ("pkg-1.0-1.noarch.rpm", "pkg", "1.0"),
    ],
)
def test_file_names_that_fit_their_release(filename: str, name: str, version: str) -> None:
    publishing.check_filename(filename, name, version)


@pytest.mark.parametrize(
    ("filename", "words"),
    [
        ("pkg-2.0.tar.gz", "does not contain version '1.0'"),
        ("pkg-2.0-py3-none-any.whl", "does not contain version '1.0'"),
        ("other-1.0.tar.gz", "does not match project name 'pkg'"),
        ("pkg.tar.gz", "does not match project name"),
        ("pkg-1.0.txt", "is not a valid archive name"),
        (".tar.gz", "is not a valid archive name"),
        ("a/pkg-1.0.tar.gz", "is not a valid file name"),
        ("..", "is not a valid file name"),
        ("pkg-1.0.tar.gz\n", "is not a valid file name"),
        ("pkg-1.0" + "x" * 300 + ".tar.gz", "is not a valid file name"),
    ],
)
def test_file_names_that_do_not_fit(filename: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        publishing.check_filename(filename, "pkg", "1.0")

    assert words in str(caught.value)


@given(st.text(max_size=30))
def test_any_file_name_is_taken_or_refused(filename: str) -> None:
    try:
        publishing.check_filename(filename, "pkg", "1.0")
    except Invalid:
        return
    assert "/" not in filename
    assert filename.isprintable()


@pytest.mark.parametrize("text", ["1.0", "1!2.0rc1.post2.dev3+local.4", "v1"])
def test_versions_are_those_of_pep_440(text: str) -> None:
    assert publishing.check_version(text) == text


@pytest.mark.parametrize("text", ["", "one", "1.0-SNAPSHOT", "1.0/2", "1" * 200 + "x"])
def test_other_versions_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="PEP 440"):
        publishing.check_version(text)


def test_the_newest_version_is_found_among_odd_ones() -> None:
    assert publishing.newest(["1.9", "1.10", "1.10rc1", "zzz"]) == "1.10"
    assert publishing.newest(["b", "a"]) == "b"
    assert publishing.newest([]) is None


def test_a_page_shows_distributions_and_what_is_yanked() -> None:
    versions = {"1.0": "broken", "2.0": None}
    files = [a_file("aa"), a_file("bb", yanked=""), a_file("cc", kind=Kind.DOCS)]

    page = publishing.page(PKG, None, versions, files)

    assert page.versions == ("1.0", "2.0")
    assert [(file.hashes["sha256"], file.yanked) for file in page.files] == [("aa", "broken"), ("bb", True)]
    assert page.files[0].upload_time == "2025-06-15T15:06:40.500000Z"
    assert page.files[0].core_metadata is False


def test_a_quarantined_project_shows_no_files() -> None:
    assert publishing.page(PKG, Status("quarantined"), {"1.0": None}, [a_file()]).files == ()


@given(st.floats(0, 4e9))
def test_an_instant_is_read_back_to_the_microsecond(at: float) -> None:
    again = publishing.moment(publishing.instant(at))

    assert again is not None
    assert abs(again - at) < 2e-6


def test_what_is_no_instant_is_none() -> None:
    assert publishing.moment("yesterday") is None
    assert publishing.moment(None) is None


def test_http_dates_are_in_english_and_utc() -> None:
    assert publishing.http_date(1_750_000_000.9) == "Sun, 15 Jun 2025 15:06:40 GMT"
