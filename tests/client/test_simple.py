"""Project pages, as servers of several ages send them."""

import json

import pytest
from packaging.version import Version

from stilton_client import simple
from stilton_client.simple import JSON, File

BASE = "http://h/u/i/+simple/pkg/"


def test_a_page_of_json_with_all_that_it_may_say() -> None:
    page = {
        "files": [
            {
                "filename": "pkg-1.0-py3-none-any.whl",
                "url": "../../+f/abc/pkg-1.0-py3-none-any.whl#sha256=aa",
                "hashes": {"sha256": "aa"},
                "size": 7,
                "requires-python": ">=3.8",
                "yanked": "broken",
                "core-metadata": {"sha256": "bb"},
            }
        ]
    }

    assert simple.read(JSON, json.dumps(page), BASE) == (
        File("pkg-1.0-py3-none-any.whl", "http://h/u/i/+f/abc/pkg-1.0-py3-none-any.whl", {"sha256": "aa"}, 7, ">=3.8",
             is_yanked=True, metadata={"sha256": "bb"}),
    )  # fmt: skip


def test_a_page_of_json_that_says_little() -> None:
    files = [
        {"filename": "pkg-1.0.zip", "url": "http://h/1", "hashes": {}, "requires-python": "", "yanked": False},
        {"filename": "pkg-2.0-py3-none-any.whl", "url": "http://h/2", "dist-info-metadata": True},
        {"filename": "pkg-3.0-py3-none-any.whl", "url": "http://h/3", "core-metadata": False},
    ]

    assert simple.read(JSON, json.dumps({"files": files}), BASE) == (
        File("pkg-1.0.zip", "http://h/1"),
        File("pkg-2.0-py3-none-any.whl", "http://h/2", metadata={}),
        File("pkg-3.0-py3-none-any.whl", "http://h/3"),
    )


def test_a_page_of_html() -> None:
    page = """<!DOCTYPE html><html><body><h1>Links</h1>
        <a name="top">no link</a>
        <a href="../../+f/a/pkg-1.0-py3-none-any.whl#sha256=aa" data-requires-python="&gt;=3.8" data-yanked=""
           data-core-metadata="sha256=bb">pkg-1.0-py3-none-any.whl</a>
        <a href="http://o/pkg-2.0-py3-none-any.whl#egg" data-dist-info-metadata="true">x</a>
        <a href="pkg-1.0%2Blocal.tar.gz" data-core-metadata="false">x</a>"""

    assert simple.read("text/html", page, BASE) == (
        File("pkg-1.0-py3-none-any.whl", "http://h/u/i/+f/a/pkg-1.0-py3-none-any.whl", {"sha256": "aa"}, None, ">=3.8",
             is_yanked=True, metadata={"sha256": "bb"}),
        File("pkg-2.0-py3-none-any.whl", "http://o/pkg-2.0-py3-none-any.whl", metadata={}),
        File("pkg-1.0+local.tar.gz", f"{BASE}pkg-1.0%2Blocal.tar.gz"),
    )  # fmt: skip


def test_a_page_of_html_may_say_where_its_links_begin() -> None:
    (file,) = simple.read("text/html", '<base href="/files/"><a href="pkg-1.0.tar.gz">x</a>', BASE)

    assert file.url == "http://h/files/pkg-1.0.tar.gz"


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("pkg-1.0-py3-none-any.whl", "1.0"),
        ("pkg-1.0-2-py3-none-any.whl", "1.0"),
        ("zope.interface-5.0.tar.gz", "5.0"),
        ("my-long-name-1!2.0rc1.zip", "1!2.0rc1"),
        ("pkg-1.0.tar.bz2", "1.0"),
    ],
)
def test_the_version_is_read_from_the_name(filename: str, version: str) -> None:
    assert File(filename, "").version == Version(version)


@pytest.mark.parametrize("filename", ["pkg-1.0.exe", "pkg-1.0.egg", "pkg-x.tar.gz", "pkg.whl", "pkg-1.0.tar.gz.asc"])
def test_what_no_installer_takes_is_left_out(filename: str) -> None:
    page = {"files": [{"filename": filename, "url": "x"}]}

    assert simple.read(JSON, json.dumps(page), BASE) == ()


def test_tags_and_build_numbers_are_those_of_wheels() -> None:
    wheel, sdist = File("pkg-1.0-2b-py3-none-any.whl", ""), File("pkg-1.0.tar.gz", "")

    assert (wheel.build, [str(tag) for tag in wheel.tags]) == ((2, "b"), ["py3-none-any"])
    assert (sdist.build, sdist.tags) == ((), frozenset())
