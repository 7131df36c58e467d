"""The simple pages: what they say, and that a mirror of this mirror learns the same."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain.files import (
    HASH_CHARS,
    STATUSES,
    File,
    Project,
    Status,
    best_hash,
    offers_metadata,
    path_of,
    quoted,
)
from stilton.domain.names import ProjectName, project_name
from stilton.render import simple
from stilton.upstream import pages

PKG = ProjectName("pkg")
URL = "https://u.example/root/pypi/+simple/pkg/"
SHA = "0123456789abcdef" * 4
META = "fedcba9876543210" * 4
PREFIX = "../../"
PLAIN = File(filename="pkg-1.0.tar.gz", url="https://u.example/pkg-1.0.tar.gz", hashes={"sha256": SHA}, size=10)


def with_(file: File = PLAIN, **changes: Any) -> Project:
    keys = {name: getattr(file, name) for name in file.__struct_fields__}
    return Project(name=PKG, files=(File(**{**keys, **changes}),))


def entry(project: Project) -> dict[str, Any]:
    """The one file in its JSON page."""
    (found,) = json.loads(simple.page_json(project, PREFIX))["files"]
    assert isinstance(found, dict)
    return found


def html(project: Project) -> str:
    return simple.page_html(project, PREFIX, "root/pypi").decode()


def test_a_plain_file_says_only_what_is_known() -> None:
    assert entry(with_()) == {
        "filename": "pkg-1.0.tar.gz",
        "url": "../../+f/012/3456789abcdef/pkg-1.0.tar.gz",
        "hashes": {"sha256": SHA},
        "size": 10,
        "yanked": False,
        "core-metadata": False,
        "dist-info-metadata": False,
    }


def test_values_that_are_not_known_are_never_null_or_empty() -> None:
    text = simple.page_json(with_(size=None, hashes={}, url="https://u.example/x/pkg-1.0.tar.gz"), PREFIX).decode()

    assert "null" not in text
    assert '""' not in text
    assert json.loads(text)["files"][0]["hashes"] == {}


@pytest.mark.parametrize("size", [0, 10])
def test_a_page_whose_sizes_are_all_known_has_the_newest_version(size: int) -> None:
    page = json.loads(simple.page_json(with_(size=size), PREFIX))

    assert page["meta"]["api-version"] == "1.4"
    assert page["versions"] == ["1.0"]


def test_a_page_with_one_unknown_size_is_downgraded_and_claims_no_more() -> None:
    project = Project(
        name=PKG,
        files=(PLAIN, File(filename="pkg-2.0.tar.gz")),
        versions=("1.0", "2.0"),
        status=Status("archived"),
    )

    page = json.loads(simple.page_json(project, PREFIX))

    assert page["meta"]["api-version"] == "1.0"
    assert "versions" not in page
    assert "project-status" not in page


def test_html_says_version_1_4_whatever_is_known() -> None:
    for size in (None, 10):
        assert '<meta name="pypi:repository-version" content="1.4">' in html(with_(size=size))


def test_versions_are_upstreams_else_what_the_files_show() -> None:
    stated = Project(name=PKG, files=(PLAIN,), versions=("0.9", "1.0", "0.9"))
    not_stated = Project(name=PKG, files=(PLAIN, File(filename="pkg.tar.gz", size=1)))

    assert json.loads(simple.page_json(stated, PREFIX))["versions"] == ["0.9", "1.0"]
    assert json.loads(simple.page_json(not_stated, PREFIX))["versions"] == ["1.0"]


def test_upstreams_keys_are_passed_on_and_ours_are_said_anew() -> None:
    project = Project(
        name=PKG,
        serial=7,
        meta={"api-version": "1.9", "_last-serial": 3, "tracks": ["x"]},
        more={"alternate-locations": ["y"], "name": "not this"},
        files=(File(filename=PLAIN.filename, size=1, hashes=PLAIN.hashes, more={"new": 1, "url": "not this"}),),
    )

    page = json.loads(simple.page_json(project, PREFIX))

    assert page["meta"] == {"tracks": ["x"], "api-version": "1.4", "_last-serial": 7}
    assert page["alternate-locations"] == ["y"]
    assert page["name"] == "pkg"
    assert page["files"][0]["new"] == 1
    assert page["files"][0]["url"].startswith("../../+f/")


@pytest.mark.parametrize(
    ("yanked", "attribute"),
    [(False, ""), (True, 'data-yanked=""'), ('a "b" & <c>', 'data-yanked="a &quot;b&quot; &amp; &lt;c&gt;"')],
)
def test_yanked_is_said_as_each_form_wants_it(yanked: bool | str, attribute: str) -> None:
    project = with_(yanked=yanked)

    assert entry(project)["yanked"] == yanked
    assert ("data-yanked" in html(project)) is (yanked is not False)
    assert attribute in html(project)


@pytest.mark.parametrize(
    ("core_metadata", "json_value", "html_value"),
    [
        (None, True, "true"),
        (True, True, "true"),
        ({"sha256": META}, {"sha256": META}, f"sha256={META}"),
        ({}, {}, "true"),
        (False, False, None),
    ],
)
def test_metadata_of_a_wheel_is_said_under_both_names(
    core_metadata: Any, json_value: Any, html_value: str | None
) -> None:
    project = with_(filename="pkg-1.0-py3-none-any.whl", core_metadata=core_metadata)

    assert entry(project)["core-metadata"] == entry(project)["dist-info-metadata"] == json_value
    for name in ("data-core-metadata", "data-dist-info-metadata"):
        assert (f'{name}="{html_value}"' in html(project)) is (html_value is not None)
        assert (name in html(project)) is (html_value is not None)


@pytest.mark.parametrize(
    ("hashes", "fragment"),
    [
        ({}, ""),
        ({"md5": "ab"}, "#md5=ab"),
        ({"md5": "ab", "sha256": SHA}, f"#sha256={SHA}"),
        ({"blake2b": "c", "md5": "d"}, "#blake2b=c"),
    ],
)
def test_an_anchor_carries_the_strongest_hash_there_is(hashes: dict[str, str], fragment: str) -> None:
    assert f'pkg-1.0.tar.gz{fragment}"' in html(with_(hashes=hashes))


def test_names_and_texts_are_escaped_and_urls_quoted() -> None:
    project = Project(
        name=PKG,
        status=Status("archived", '"><script>'),
        files=(
            File(
                filename="pkg-1.0 \"<&>'#?%.tar.gz",
                hashes={"sha256": SHA},
                requires_python=">=3,<4",
                provenance='https://p/"',
            ),
        ),
    )

    text = simple.page_html(project, PREFIX, "<root>/pypi").decode()

    assert "<script>" not in text
    assert "&lt;root&gt;/pypi: links for pkg" in text
    assert 'data-requires-python="&gt;=3,&lt;4"' in text
    assert 'data-provenance="https://p/&quot;"' in text
    assert "pkg-1.0%20%22%3C%26%3E&#x27;%23%3F%25.tar.gz#sha256=" in text


@pytest.mark.parametrize("reason", [None, "moved"])
def test_a_status_stands_at_the_top_of_either_page(reason: str | None) -> None:
    project = Project(name=PKG, status=Status("archived", reason))

    page = json.loads(simple.page_json(project, PREFIX))

    assert page["project-status"] == {"status": "archived", **({"reason": reason} if reason else {})}
    assert "project-status" not in page["meta"]
    assert ("pypi:project-status-reason" in html(project)) is (reason is not None)


@pytest.mark.parametrize("gpg_sig", [True, False])
def test_a_signature_is_said_when_it_is_known(gpg_sig: bool) -> None:
    assert entry(with_(gpg_sig=gpg_sig))["gpg-sig"] is gpg_sig
    assert f'data-gpg-sig="{str(gpg_sig).lower()}"' in html(with_(gpg_sig=gpg_sig))


@pytest.mark.parametrize("serial", [None, 7])
@pytest.mark.parametrize("count", [0, 1, 10_000, 10_001])
def test_a_list_of_names_is_whole_however_many_pieces_it_comes_in(count: int, serial: int | None) -> None:
    names = [ProjectName(f"p{number}") for number in range(count)]

    as_json = json.loads(b"".join(simple.list_json(names, serial)))
    as_html = b"".join(simple.list_html(names, "root/pypi"))

    assert as_json["meta"] == {"api-version": "1.4", **({"_last-serial": 7} if serial else {})}
    assert [entry["name"] for entry in as_json["projects"]] == names
    assert pages.names_json(b"".join(simple.list_json(names)), URL) == sorted(names)
    assert pages.names_html(as_html) == sorted(names)


# What `upstream.pages` gives: texts of one line, without space at the ends.
texts = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20).map(str.strip).filter(bool)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
hashes = st.fixed_dictionaries(
    {},
    optional={
        name: st.text("0123456789abcdef", min_size=HASH_CHARS[name], max_size=HASH_CHARS[name])
        for name in ("sha256", "sha512", "md5", "blake2b")
    },
)
times = st.sampled_from(["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.678901Z", "1999-12-31T23:59:59.1Z"])
yanks = st.one_of(st.booleans(), texts)
metadatas: st.SearchStrategy[bool | dict[str, str] | None] = st.one_of(
    st.none(), st.booleans(), digests.map(lambda digest: {"sha256": digest})
)
locals_ = st.sampled_from(["", "+local", "+cu118.1"])
odd = st.text(st.sampled_from("abé%#?&'\"<> ~!@$()[]{}^`|=;:,."), max_size=6)


@st.composite
def files(draw: st.DrawFn) -> File:
    version = f"{draw(st.integers(0, 99))}.{draw(st.integers(0, 99))}{draw(locals_)}"
    filename = f"pkg-{version}-py3-none-any.whl" if draw(st.booleans()) else f"pkg-{version}{draw(odd)}.tar.gz"
    return File(
        filename=filename,
        url=f"https://files.example/{draw(st.integers(0, 9))}/x",
        hashes=draw(hashes),
        requires_python=draw(st.one_of(st.none(), texts)),
        size=draw(st.one_of(st.none(), st.integers(0, 1 << 40))),
        upload_time=draw(st.one_of(st.none(), times)),
        yanked=draw(yanks),
        core_metadata=draw(metadatas),
        provenance=draw(st.one_of(st.none(), texts.map(lambda text: "https://p.example/" + text))),
        gpg_sig=draw(st.one_of(st.none(), st.booleans())),
        more=draw(st.dictionaries(st.sampled_from(["x-new", "y"]), st.one_of(st.integers(0, 9), texts), max_size=2)),
    )


statuses = st.one_of(st.none(), st.builds(Status, st.sampled_from(sorted(STATUSES)), st.one_of(st.none(), texts)))
projects = st.builds(
    Project,
    name=st.just(PKG),
    files=st.lists(files(), max_size=4, unique_by=lambda file: file.filename).map(tuple),
    status=statuses,
    serial=st.one_of(st.none(), st.integers(0, 1 << 40)),
)


def offered(file: File) -> bool | dict[str, str]:
    """`core_metadata` as a page says it."""
    return (True if file.core_metadata is None else file.core_metadata) if offers_metadata(file) else False


@settings(deadline=None, max_examples=40)
@given(projects)
def test_a_json_page_read_again_gives_the_same_facts(project: Project) -> None:
    again = pages.parse_json(simple.page_json(project, PREFIX), URL, PKG)

    complete = all(file.size is not None for file in project.files)
    assert again.serial == project.serial
    assert again.status == (project.status if complete else None)
    for before, after in zip(project.files, again.files, strict=True):
        assert after.core_metadata == offered(before)
        assert after.url == "https://u.example/root/pypi/" + quoted(path_of(before))
        for name in File.__struct_fields__:
            if name not in ("core_metadata", "url"):
                assert getattr(after, name) == getattr(before, name), name


@settings(deadline=None, max_examples=40)
@given(projects)
def test_an_html_page_read_again_gives_the_same_facts(project: Project) -> None:
    again = pages.parse_html(simple.page_html(project, PREFIX, "root/pypi"), URL, PKG)

    assert again.status == project.status
    for before, after in zip(project.files, again.files, strict=True):
        # HTML has no way to say "no metadata", nor more than one hash.
        assert (after.core_metadata or False) == offered(before)
        assert after.hashes == dict([best] if (best := best_hash(before.hashes)) else [])
        for name in ("filename", "requires_python", "yanked", "provenance", "gpg_sig"):
            assert getattr(after, name) == getattr(before, name), name


@settings(deadline=None, max_examples=20)
@given(projects)
def test_both_forms_offer_the_same_files_at_the_same_urls(project: Project) -> None:
    from_json = pages.parse_json(simple.page_json(project, PREFIX), URL, PKG)
    from_html = pages.parse_html(simple.page_html(project, PREFIX, "root/pypi"), URL, PKG)

    assert [(file.filename, file.url, file.yanked) for file in from_json.files] == [
        (file.filename, file.url, file.yanked) for file in from_html.files
    ]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True), max_size=5))
def test_both_lists_name_the_same_projects(raw: list[str]) -> None:
    names = sorted({project_name(name) for name in raw})

    assert pages.names_json(b"".join(simple.list_json(names)), URL) == names
    assert pages.names_html(b"".join(simple.list_html(names, "root/pypi"))) == names
