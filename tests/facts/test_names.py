"""Names of projects, indexes and files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import names
from stilton.domain.errors import BadName
from stilton.domain.names import ProjectName

raw_names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}(a1|rc2|\.post3|\.dev4)?(\+[a-z0-9]{1,5})?", fullmatch=True)


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("requests", "requests"),
        ("Django", "django"),
        ("zope.interface", "zope-interface"),
        ("a_b", "a-b"),
        ("A-._-b", "a-b"),
        ("7zip", "7zip"),
        ("x", "x"),
        ("a" * names.MAX_NAME_CHARS, "a" * names.MAX_NAME_CHARS),
    ],
)
def test_a_name_is_normalised(raw: str, normal: str) -> None:
    assert names.project_name(raw) == normal


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "-a",
        "a-",
        "_",
        ".",
        "..",
        "a b",
        "a/b",
        "a\n",
        "ä",
        "\ufb00",
        "\u212a",
        "a\x00b",
        "a" * (names.MAX_NAME_CHARS + 1),
    ],
)
def test_what_no_project_can_be_called_is_refused_in_words(raw: str) -> None:
    with pytest.raises(BadName, match="not a project name") as refusal:
        names.project_name(raw)

    assert refusal.value.name == raw
    assert len(str(refusal.value)) < 500


@settings(deadline=None, max_examples=60)
@given(raw_names)
def test_normalising_twice_is_normalising_once(raw: str) -> None:
    once = names.project_name(raw)

    assert names.project_name(once) == once
    assert once == once.lower()
    assert not set("_.") & set(once)
    assert "--" not in once


@settings(deadline=None, max_examples=60)
@given(raw_names, versions)
def test_an_sdist_belongs_to_its_project_and_tells_its_version(raw: str, version: str) -> None:
    project = names.project_name(raw)

    filename = f"{raw}-{version}.tar.gz"

    assert project in names.projects_of(filename)
    assert names.version_of(filename, project) == version


@settings(deadline=None, max_examples=60)
@given(raw_names, versions)
def test_a_wheel_belongs_to_one_project_and_tells_its_version(raw: str, version: str) -> None:
    project = names.project_name(raw)

    filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"

    assert names.projects_of(filename) == [project]
    assert names.version_of(filename, project) == version


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=40), raw_names)
def test_no_file_name_breaks_the_reading_of_it(filename: str, raw: str) -> None:
    for project in names.projects_of(filename):
        assert names.project_name(project) == project
    found = names.version_of(filename, names.project_name(raw))
    assert found is None or found in filename


@pytest.mark.parametrize(
    ("filename", "projects"),
    [
        ("a-b-1.0.tar.gz", ["a-b", "a"]),
        ("a_b-1.0.zip", ["a-b"]),
        ("a_b-1.0-py3-none-any.whl", ["a-b"]),
        ("requests.tar.gz", ["requests"]),
        ("pkg-1.0-1.tar.gz", ["pkg-1-0", "pkg"]),
        ("-1.0.tar.gz", []),
        ("ä-1.0.tar.gz", []),
        ("a--1.0.tar.gz", ["a"]),
        ("a" * 201 + "-1.0.tar.gz", []),
        (".whl", []),
    ],
)
def test_the_likeliest_project_comes_first(filename: str, projects: list[str]) -> None:
    assert names.projects_of(filename) == projects


@pytest.mark.parametrize(
    ("filename", "project", "version"),
    [
        ("pkg-1.0.tar.gz", "pkg", "1.0"),
        ("Pkg.Name-1.0.zip", "pkg-name", "1.0"),
        ("a-b-1.0.tar.gz", "a-b", "1.0"),
        ("a-b-1.0.tar.gz", "a", "b-1.0"),
        ("a-b-1.0.tar.gz", "other", None),
        ("pkg.tar.gz", "pkg", None),
        ("pkg-.tar.gz", "pkg", None),
        ("pkg-1.0+local.1.tar.gz", "pkg", "1.0+local.1"),
        ("pkg-1.0", "pkg", "1.0"),
        ("pkg-1.0-py3-none-any.whl", "pkg", "1.0"),
        ("pkg-1.0-1-py3-none-any.whl", "pkg", "1.0"),
        ("pkg-1.0-py3-none-any.whl", "other", None),
        ("pkg-1.0.whl", "pkg", None),
    ],
)
def test_a_file_name_tells_its_version_as_written(filename: str, project: str, version: str | None) -> None:
    assert names.version_of(filename, ProjectName(project)) == version


@pytest.mark.parametrize(
    "filename", ["pkg-1.0.tar.gz", "pkg-1.0+local-py3-none-any.whl", "p k g", "ü.zip", "a%2Fb", "x" * 255]
)
def test_a_printable_segment_is_a_safe_file_name(filename: str) -> None:
    assert names.is_safe_filename(filename)


@pytest.mark.parametrize(
    "filename",
    [
        "", ".", "..", "a/b", "../a", "a\\b", "a\x00", "a\nb", "\x7f", "\x85", "a\u2028b", "a\u2029b",
        "\u202e", "\ud800", "x" * 256, "ü" * 128,
    ],
)  # fmt: skip
def test_what_disks_or_lines_do_not_take_is_no_safe_file_name(filename: str) -> None:
    assert not names.is_safe_filename(filename)


@pytest.mark.parametrize(
    ("filename", "archive", "wheel", "stem"),
    [
        ("a-1-py3-none-any.whl", True, True, "a-1-py3-none-any"),
        ("a-1.tar.gz", True, False, "a-1"),
        ("A-1.TAR.GZ", True, False, "A-1"),
        ("a-1.tar.bz2", True, False, "a-1"),
        ("a-1.bz2", True, False, "a-1"),
        ("a-1.zip", True, False, "a-1"),
        ("a-1.egg", True, False, "a-1"),
        ("a-1-variants.json", False, False, "a-1-variants.json"),
        ("a-1.tar.gz.asc", False, False, "a-1.tar.gz.asc"),
        ("a-1.whl.metadata", False, False, "a-1.whl.metadata"),
        ("", False, False, ""),
    ],
)
def test_a_suffix_tells_what_a_file_is(filename: str, archive: bool, wheel: bool, stem: str) -> None:
    assert names.is_archive(filename) is archive
    assert names.is_wheel(filename) is wheel
    assert names.stem(filename) == stem
