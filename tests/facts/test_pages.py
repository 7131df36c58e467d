"""Upstream's pages read into facts: lenient in what is taken, strict in what is given."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain.errors import UpstreamWrong
from stilton.domain.files import File, Project, Status
from stilton.domain.names import ProjectName
from stilton.upstream import pages

PKG = ProjectName("pkg")
URL = "https://u.example/simple/pkg/"
SHA = "0123456789abcdef" * 4
META = "fedcba9876543210" * 4


def of_json(page: object) -> Project:
    return pages.parse_json(json.dumps(page).encode(), URL, PKG)


def file_of_json(**keys: Any) -> File:
    """The one file of a page whose only entry has these keys besides the usual."""
    entry = {"filename": "pkg-1.0.tar.gz", "url": "pkg-1.0.tar.gz", "hashes": {}, **keys}
    project = of_json({"meta": {"api-version": "1.0"}, "name": "pkg", "files": [entry]})
    assert len(project.files) == 1
    return project.files[0]


def of_html(body: str) -> Project:
    return pages.parse_html(body.encode(), URL, PKG)


def file_of_html(attributes: str = "", href: str = "pkg-1.0.tar.gz") -> File:
    """The one file of a page whose only anchor has these attributes."""
    project = of_html(f'<!DOCTYPE html><html><body><a href="{href}" {attributes}>x</a></body></html>')
    assert len(project.files) == 1
    return project.files[0]


def test_a_json_page_with_everything_is_read_without_loss() -> None:
    page = {
        "meta": {"api-version": "1.4", "_last-serial": 42, "tracks": ["https://t.example/"]},
        "name": "pkg",
        "project-status": {"status": "archived", "reason": "moved"},
        "versions": ["1.0", "2.0"],
        "alternate-locations": [],
        "files": [
            {
                "filename": "pkg-1.0-py3-none-any.whl",
                "url": "../../files/pkg-1.0-py3-none-any.whl#sha256=ignored",
                "hashes": {"sha256": SHA, "MD5": "AB" * 16},
                "requires-python": ">=3.8,<4",
                "size": 1000,
                "upload-time": "2024-01-02T03:04:05.678901Z",
                "yanked": "broken",
                "core-metadata": {"sha256": META},
                "dist-info-metadata": {"sha256": "0" * 64},
                "provenance": "https://u.example/p",
                "gpg-sig": False,
                "new-thing": {"a": [1, None]},
            }
        ],
    }

    project = of_json(page)

    assert project == Project(
        name=PKG,
        serial=42,
        status=Status("archived", "moved"),
        versions=("1.0", "2.0"),
        meta={"api-version": "1.4", "tracks": ["https://t.example/"]},
        more={"alternate-locations": []},
        files=(
            File(
                filename="pkg-1.0-py3-none-any.whl",
                url="https://u.example/files/pkg-1.0-py3-none-any.whl",
                hashes={"sha256": SHA, "md5": "ab" * 16},
                requires_python=">=3.8,<4",
                size=1000,
                upload_time="2024-01-02T03:04:05.678901Z",
                yanked="broken",
                core_metadata={"sha256": META},
                provenance="https://u.example/p",
                gpg_sig=False,
                more={"new-thing": {"a": [1, None]}},
            ),
        ),
    )


def test_an_html_page_with_everything_is_read_without_loss() -> None:
    project = of_html(f"""<!DOCTYPE html><html><head>
        <meta name="pypi:repository-version" content="1.4">
        <meta name="pypi:project-status" content="deprecated">
        <meta name="pypi:project-status-reason" content="use &quot;other&quot;">
        </head><body>
        <a href="/files/pkg-1.0-py3-none-any.whl#sha256={SHA}" data-requires-python="&gt;=3.8" data-yanked="a &amp; b"
           data-core-metadata="sha256={META}" data-dist-info-metadata="sha256={SHA}"
           data-provenance="https://u.example/p" data-gpg-sig="true">pkg-1.0-py3-none-any.whl</a><br>
        </body></html>""")

    assert project == Project(
        name=PKG,
        status=Status("deprecated", 'use "other"'),
        files=(
            File(
                filename="pkg-1.0-py3-none-any.whl",
                url="https://u.example/files/pkg-1.0-py3-none-any.whl",
                hashes={"sha256": SHA},
                requires_python=">=3.8",
                yanked="a & b",
                core_metadata={"sha256": META},
                provenance="https://u.example/p",
                gpg_sig=True,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("value", "yanked"),
    [(True, True), (False, False), ("", False), ("  ", False), ("why", "why"), (None, False), (1, False), ({}, False)],
)
def test_in_json_an_empty_reason_is_not_yanked(value: object, yanked: bool | str) -> None:
    assert file_of_json(yanked=value).yanked == yanked


@pytest.mark.parametrize(
    ("attribute", "yanked"),
    [
        ("data-yanked", True),
        ('data-yanked=""', True),
        ('data-yanked=" "', True),
        ('data-yanked="why"', "why"),
        ("", False),
    ],
)
def test_in_html_an_empty_reason_is_yanked(attribute: str, yanked: bool | str) -> None:
    assert file_of_html(attribute).yanked == yanked


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.1Z"),
        ("2024-01-02T05:04:05+02:00", "2024-01-02T03:04:05Z"),
        ("2024-01-02 03:04:05.5+00:00", "2024-01-02T03:04:05.500000Z"),
        ("20240102T030405Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05", None),
        ("2024-13-02T03:04:05Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1704164645, None),
    ],
)
def test_an_upload_time_is_given_in_the_one_form_that_clients_read(said: object, time: str | None) -> None:
    assert file_of_json(**{"upload-time": said}).upload_time == time


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (0, 0),
        (1000, 1000),
        (pages.MAX_SIZE_BYTES + 1, None),
        (-1, None),
        (1.5, None),
        ("1", None),
        (None, None),
        (True, None),
    ],
)
def test_a_size_is_a_number_of_bytes_or_not_known(said: object, size: int | None) -> None:
    assert file_of_json(size=said).size == size


@pytest.mark.parametrize(
    ("hashes", "kept"),
    [
        ({"sha256": SHA.upper()}, {"sha256": SHA}),
        ({"sha256": "xyz"}, {}),
        ({"sha256": "../../etc"}, {}),
        ({"sha256": None, "md5": "ab" * 16}, {"md5": "ab" * 16}),
        ({"crc32": "0badf00d"}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_only_hashes_that_can_be_checked_are_kept(hashes: object, kept: dict[str, str]) -> None:
    assert file_of_json(hashes=hashes).hashes == kept


@pytest.mark.parametrize(
    ("keys", "core_metadata"),
    [
        ({"core-metadata": True}, True),
        ({"core-metadata": False}, False),
        ({"core-metadata": {"sha256": META}}, {"sha256": META}),
        ({"core-metadata": {"md5": "ab" * 16}}, True),
        ({"core-metadata": {}}, True),
        ({"core-metadata": "true"}, None),
        ({"core-metadata": None, "dist-info-metadata": True}, True),
        ({"dist-info-metadata": {"sha256": META}}, {"sha256": META}),
        ({"data-dist-info-metadata": {"sha256": META}}, {"sha256": META}),
        ({}, None),
    ],
)
def test_core_metadata_is_read_under_all_its_names(keys: dict[str, Any], core_metadata: object) -> None:
    assert file_of_json(**keys).core_metadata == core_metadata


@pytest.mark.parametrize(
    ("attribute", "core_metadata"),
    [
        (f'data-core-metadata="sha256={META}"', {"sha256": META}),
        ('data-core-metadata="true"', True),
        ('data-core-metadata="md5=abababab"', True),
        ("data-core-metadata", None),
        (f'data-dist-info-metadata="sha256={META}"', {"sha256": META}),
        (f'data-core-metadata="true" data-dist-info-metadata="sha256={META}"', True),
        ("", None),
    ],
)
def test_core_metadata_attributes_are_read_under_both_names(attribute: str, core_metadata: object) -> None:
    assert file_of_html(attribute).core_metadata == core_metadata


@pytest.mark.parametrize(
    ("fragment", "hashes"),
    [
        (f"#sha256={SHA}", {"sha256": SHA}),
        (f"#sha256={SHA.upper()}", {"sha256": SHA}),
        (f"#egg=pkg&amp;sha256={SHA}", {"sha256": SHA}),
        (f"#md5={'ab' * 16}&amp;sha256={SHA}", {"md5": "ab" * 16, "sha256": SHA}),
        ("#egg=pkg", {}),
        ("#sha256=", {}),
        ("", {}),
    ],
)
def test_a_hash_is_read_from_the_fragment(fragment: str, hashes: dict[str, str]) -> None:
    file = file_of_html(href="pkg-1.0.tar.gz" + fragment)

    assert file.hashes == hashes
    assert file.url == URL + "pkg-1.0.tar.gz"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("https://u.example/p", "https://u.example/p"),
        ("http://u.example/p", None),
        ("/p", None),
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_provenance_must_be_a_full_secure_url(said: object, kept: str | None) -> None:
    assert file_of_json(provenance=said).provenance == kept


@pytest.mark.parametrize(("said", "kept"), [(True, True), (False, False), (None, None), ("true", None)])
def test_a_signature_is_told_only_when_it_is_said(said: object, kept: bool | None) -> None:
    assert file_of_json(**{"gpg-sig": said}).gpg_sig is kept


@pytest.mark.parametrize(("said", "kept"), [("true", True), ("false", False), ("", None), ("yes", None)])
def test_a_signature_attribute_is_told_only_when_it_is_said(said: str, kept: bool | None) -> None:
    assert file_of_html(f'data-gpg-sig="{said}"').gpg_sig is kept


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (">=3.8", ">=3.8"),
        ("", None),
        (" >=3 ", ">=3"),
        (None, None),
        (3, None),
        (">=3\r\nX: y", ">=3  X: y"),
        ("x" * 9999, "x" * 4096),
    ],
)
def test_a_python_requirement_is_one_line_of_text(said: object, kept: str | None) -> None:
    assert file_of_json(**{"requires-python": said}).requires_python == kept


@pytest.mark.parametrize(
    "entry",
    [
        "pkg-1.0.tar.gz",
        None,
        {},
        {"filename": "pkg-1.0.tar.gz"},
        {"filename": "pkg-1.0.tar.gz", "url": None},
        {"filename": 3, "url": "x"},
        {"filename": "other-1.0.tar.gz", "url": "x"},
        {"filename": "../pkg-1.0.tar.gz", "url": "x"},
        {"filename": "pkg-1.0\n.tar.gz", "url": "x"},
        {"filename": "", "url": "x"},
        {"filename": "pkg-1.0.tar.gz", "url": "ftp://u.example/x"},
        {"filename": "pkg-1.0.tar.gz", "url": "file:///etc/passwd"},
        {"filename": "pkg-1.0.tar.gz", "url": "javascript:alert(1)"},
        {"filename": "pkg-1.0.tar.gz", "url": "http://[x"},
        {"filename": "pkg-1.0.tar.gz", "url": "http:///x"},
        {"filename": "pkg-1.0.tar.gz", "url": "http://u.example:99999/x"},
        {"filename": "pkg-1.0.tar.gz", "url": "http://u.example/\x7f"},
    ],
)
def test_an_entry_that_cannot_be_a_file_is_passed_over(entry: object) -> None:
    good = {"filename": "pkg-2.0.tar.gz", "url": "pkg-2.0.tar.gz"}

    project = of_json({"files": [entry, good]})

    assert [file.filename for file in project.files] == ["pkg-2.0.tar.gz"]


@pytest.mark.parametrize(
    "href",
    [
        "", "#", "../", "readme.html", "other-1.0.tar.gz", "pkg-1.0.tar.gz.asc", "mailto:a@b", "ftp://u.example/pkg-1.0.tar.gz",
        "http://[x/pkg-1.0.tar.gz", "http:///pkg-1.0.tar.gz", "a%2F..%2Fpkg-1.0.tar.gz", "pkg-1.0%0A.tar.gz",
    ],
)  # fmt: skip
def test_an_anchor_that_cannot_be_a_file_is_passed_over(href: str) -> None:
    project = of_html(f'<a href="{href}">pkg-1.0.tar.gz</a><a>none</a><a href="pkg-2.0.tar.gz">good</a>')

    assert [file.filename for file in project.files] == ["pkg-2.0.tar.gz"]


def test_the_first_of_two_files_of_one_name_counts() -> None:
    entries = [{"filename": "pkg-1.0.tar.gz", "url": url} for url in ("first", "second")]

    assert [file.url for file in of_json({"files": entries}).files] == [URL + "first"]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://other.example/x/", "https://other.example/x/pkg-1.0.tar.gz"),
        ("/x/", "https://u.example/x/pkg-1.0.tar.gz"),
        ("", "https://u.example/simple/pkg/pkg-1.0.tar.gz"),
        ("http://[x", "https://u.example/simple/pkg/pkg-1.0.tar.gz"),
    ],
)
def test_links_are_relative_to_the_base_that_the_page_names(base: str, url: str) -> None:
    project = of_html(f'<html><head><base href="{base}"></head><body><a href="pkg-1.0.tar.gz">x</a></body></html>')

    assert [file.url for file in project.files] == [url]


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@u.example/x", "https://u.example/x"),
        ("https://u.example:8443/x?sig=a%2Bb#frag", "https://u.example:8443/x?sig=a%2Bb"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("HTTP://U.Example/X", "http://u.example/X"),
        ("https://@/x", None),
        ("//u.example/x", None),
        ("http://u.example:x/", None),
        ("http://[::1/", None),
        ("", None),
    ],
)
def test_a_url_is_cleaned_of_what_must_not_travel(url: str, clean: str | None) -> None:
    assert pages.clean_url(url) == clean


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        ({"status": "active"}, Status("active")),
        ({"status": "quarantined", "reason": "malware"}, Status("quarantined", "malware")),
        ({"status": "archived", "reason": ""}, Status("archived")),
        ({"status": "archived", "reason": 3}, Status("archived")),
        ({"status": "unheard-of"}, None),
        ({"status": ["active"]}, None),
        ({"status": {}}, None),
        ({}, None),
        ("archived", None),
        (None, None),
    ],
)
def test_a_project_status_is_one_of_four(status: object, kept: Status | None) -> None:
    assert of_json({"files": [], "project-status": status}).status == kept


def test_a_project_status_in_meta_counts_where_some_put_it() -> None:
    page = {"meta": {"project-status": {"status": "quarantined"}}, "files": []}

    assert of_json(page).is_quarantined


@pytest.mark.parametrize(
    ("said", "serial"),
    [(7, 7), (0, 0), (-1, None), (True, None), ("7", None), (1.0, None), (10**30, None), (None, None)],
)
def test_a_serial_is_a_number_that_databases_take(said: object, serial: int | None) -> None:
    assert of_json({"meta": {"_last-serial": said}, "files": []}).serial == serial


def test_versions_are_texts() -> None:
    assert of_json({"files": [], "versions": ["1.0", 2, None, "3.0"]}).versions == ("1.0", "3.0")
    assert of_json({"files": [], "versions": "1.0"}).versions == ()


def test_a_meta_that_is_no_object_is_as_none() -> None:
    assert of_json({"meta": [], "files": []}).meta == {}


def test_unknown_keys_that_cannot_be_stored_are_dropped_and_the_file_stays() -> None:
    page = {
        "meta": {"huge": 10**30, "small": 1},
        "huge": [10**30],
        "files": [{"filename": "pkg-1.0.tar.gz", "url": "x", "huge": {"a": 10**30}, "small": 2}],
    }

    project = of_json(page)

    assert project.meta == {"small": 1}
    assert project.more == {}
    assert project.files[0].more == {"small": 2}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"files": {}}', b'{"files": null}', b"<html></html>", b"[" * 100_000,
     b'{"files": ["\xff"]}', b'{"files": [1e999]}', b'{"files": [NaN]}'],
)  # fmt: skip
def test_what_is_no_json_page_is_refused_with_its_url(body: bytes) -> None:
    with pytest.raises(UpstreamWrong) as refusal:
        pages.parse_json(body, URL, PKG)

    assert URL in str(refusal.value)


@pytest.mark.parametrize("version", ["2.0", "2", "10.1", "0.9", "x" * 1000, ""])
def test_a_page_of_another_major_version_is_not_guessed_at(version: str) -> None:
    with pytest.raises(UpstreamWrong, match=r"this program reads 1\.x") as refusal:
        of_json({"meta": {"api-version": version}, "files": []})

    assert len(str(refusal.value)) < 200


def test_an_html_page_of_another_major_version_is_not_guessed_at() -> None:
    with pytest.raises(UpstreamWrong, match=r"this program reads 1\.x"):
        of_html('<meta name="pypi:repository-version" content="2.0"><a href="pkg-1.0.tar.gz">x</a>')


@pytest.mark.parametrize("version", ["1.0", "1.4", "1.99", 1, 1.5])
def test_a_page_of_any_minor_version_is_read(version: object) -> None:
    assert of_json({"meta": {"api-version": version}, "files": []}).files == ()


def test_names_of_a_json_list_are_normalised_sorted_and_once() -> None:
    body = json.dumps({"projects": [{"name": "Zope.X"}, {"name": "a_b"}, {"name": "A-B"}, {"name": "-"}, {}, 3]})

    assert pages.names_json(body.encode(), URL) == ["a-b", "zope-x"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"projects": {}}', b"{}"])
def test_what_is_no_json_list_is_refused_with_its_url(body: bytes) -> None:
    with pytest.raises(UpstreamWrong, match="simple/pkg/"):
        pages.names_json(body, URL)


def test_names_of_an_html_list_are_the_anchors_texts() -> None:
    body = b'<a href="/simple/a-b/"> A_b </a><br/><a href="x">zope.x</a><a>no link</a><a href="y">not a name</a>'

    assert pages.names_html(body) == ["a-b", "zope-x"]


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=4,
)
file_keys = st.sampled_from(
    ["url", "hashes", "requires-python", "size", "upload-time", "yanked", "core-metadata", "provenance", "gpg-sig", "x"]
)
odd_entries = st.dictionaries(file_keys, json_values, max_size=6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(json_values, odd_entries), max_size=4), json_values, json_values)
def test_no_json_page_breaks_the_reading_of_it(entries: list[Any], meta: object, status: object) -> None:
    named = [{"filename": f"pkg-{n}.tar.gz", **e} if isinstance(e, dict) else e for n, e in enumerate(entries)]

    try:
        project = of_json({"meta": meta, "project-status": status, "files": named, "versions": meta})
    except UpstreamWrong:
        return

    for file in project.files:
        assert file.url.startswith(("http://", "https://"))
        assert file.yanked != ""
        assert file.size is None or file.size >= 0


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=60), st.text(max_size=30))
def test_no_html_page_breaks_the_reading_of_it(body: bytes, href: str) -> None:
    page = body + b'<a data-yanked href="' + href.encode("utf-8", "replace") + b'">x</a><base href="' + body + b'">'

    try:
        project = pages.parse_html(page, URL, PKG)
    except UpstreamWrong:
        return

    assert all(file.url.startswith(("http://", "https://")) for file in project.files)
