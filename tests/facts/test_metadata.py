"""Core metadata: the few fields that decide something."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import metadata


def stated(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: other\n".encode()


def requiring(*lines: str) -> bytes:
    head = "".join(f"Requires-Dist: {line}\n" for line in lines)
    return f"Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n{head}\nA text.\n".encode()


@pytest.mark.parametrize(
    ("filename", "name", "version"),
    [
        ("pkg-1.0-py3-none-any.whl", "pkg", "1.0"),
        ("pkg-1.0-py3-none-any.whl", "PKG", " 1.0 "),
        ("my_pkg-1.0-py3-none-any.whl", "my.pkg", "1.0"),
        ("pkg-1.0-py3-none-any.whl", "pkg", "1.0.0"),
        ("pkg-1.0+local-py3-none-any.whl", "pkg", "1.0+local"),
        ("pkg-1.0_local-py3-none-any.whl", "pkg", "1.0+local"),
        ("pkg-1.0_local_2-py3-none-any.whl", "pkg", "1.0+local.2"),
        ("pkg-1.0_odd-py3-none-any.whl", "pkg", "1.0-odd"),
        ("pkg-1.0rc1-py3-none-any.whl", "pkg", "1.0-rc.1"),
        ("pkg-1.0.tar.gz", "pkg", "whatever it says"),
    ],
)
def test_metadata_of_the_same_project_and_version_fits(filename: str, name: str, version: str) -> None:
    assert metadata.fits(stated(name, version), filename)


@pytest.mark.parametrize(
    ("body", "filename"),
    [
        (stated("other", "1.0"), "pkg-1.0-py3-none-any.whl"),
        (stated("pkg", "2.0"), "pkg-1.0-py3-none-any.whl"),
        (stated("pkg", "not a version"), "pkg-1.0-py3-none-any.whl"),
        (stated("pkg", "1.0"), "pkg-1.0.whl"),
        (stated("not a name", "1.0"), "pkg-1.0-py3-none-any.whl"),
        (stated("", "1.0"), "pkg-1.0-py3-none-any.whl"),
        (stated("pkg", ""), "pkg-1.0-py3-none-any.whl"),
        (b"", "pkg-1.0-py3-none-any.whl"),
        (b"<html><title>Log in</title>\nName: pkg\nVersion: 1.0\n", "pkg-1.0-py3-none-any.whl"),
        (b"\xff\xfe\x00", "pkg-1.0-py3-none-any.whl"),
        (stated("other", "1.0"), "pkg-1.0.tar.gz"),
    ],
)
def test_metadata_of_something_else_does_not_fit(body: bytes, filename: str) -> None:
    assert not metadata.fits(body, filename)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_metadata(body: bytes) -> None:
    assert metadata.fits(body, "pkg-1.0-py3-none-any.whl") in (True, False)
    assert isinstance(metadata.requirements(body), list)


def test_requirements_are_named_once_and_in_order() -> None:
    body = requiring("Zope.Interface>=1", "b[extra]~=2.0", "zope-interface", "c ; python_version >= '3'")

    assert metadata.requirements(body) == ["zope-interface", "b", "c"]


def test_what_only_an_extra_or_another_platform_wants_is_left_out() -> None:
    body = requiring("a; extra == 'test'", "b; python_version < '3'", "c @ https://u.example/c.whl", "d")

    assert metadata.requirements(body) == ["d"]


@pytest.mark.parametrize(
    "line",
    [
        "!!!",
        "",
        "a-; extra == 'x'",
        "a; os_name ~= 'posix'",
        "a; python_version ~= 'abc'",
        "a; 'x' in 'y'",
        "a; nosuch == 'x'",
        "a; 'x' in extras",
        "a; " + "(" * 5000 + "os_name == 'x'",
        "x" * 300,
    ],
)
def test_a_requirement_that_cannot_be_read_does_not_hide_the_others(line: str) -> None:
    assert metadata.requirements(requiring(line, "good")) == ["good"]


def test_metadata_without_requirements_wants_nothing() -> None:
    assert metadata.requirements(stated("pkg", "1.0")) == []


def test_a_document_keeps_every_field_in_devpis_spelling() -> None:
    text = (
        b"Metadata-Version: 2.4\nName: Pkg\nVersion: 1.0\nClassifier: A\nClassifier: B\nLicense-Expression: MIT\n"
        b"Project-URL: Home, http://x.example\nProvides-Extra: x\nSummary: UNKNOWN\nNew-Field: kept\n\nBody\n"
    )

    assert metadata.document(text) == {
        "metadata_version": "2.4",
        "name": "Pkg",
        "version": "1.0",
        "classifiers": ["A", "B"],
        "license_expression": "MIT",
        "project_urls": ["Home, http://x.example"],
        "provides_extras": ["x"],
        "summary": "",
        "new_field": "kept",
        "description": "Body\n",
    }


def test_a_forms_metadata_is_told_from_its_other_fields() -> None:
    fields = {
        ":action": ["file_upload"], "content": ["x"], "md5_digest": ["x"], "name": ["pkg"], "version": ["1", "2"],
        "provides_extra": ["x"], "classifiers": ["A", "", "UNKNOWN"], "license": ["UNKNOWN"], "summary": [],
    }  # fmt: skip

    assert metadata.form(fields) == {
        "name": "pkg", "version": "2", "provides_extras": ["x"], "classifiers": ["A"], "license": "",
    }  # fmt: skip


@given(st.binary(max_size=400))
def test_any_bytes_make_a_document(data: bytes) -> None:
    for value in metadata.document(data).values():
        assert isinstance(value, str | list)
