"""What a file is, by its name and by the metadata in it; and the form that is made of it."""

import bz2
import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from stilton_client import archives, forms
from stilton_client.archives import Damaged, Docs, Incomplete
from stilton_client.errors import Failure
from tests.support.builders import a_wheel, an_sdist, metadata_of

FULL = """\
Metadata-Version: 2.4
Name: My.Pkg
Version: 1.0
Summary: Does it.
Keywords: one,two
Home-page: http://home.example/
Author: Ä. Uthor
License-Expression: MIT
License-File: LICENSE
License-File: NOTICE
Classifier: Topic :: Games
Classifier: Topic :: Office
Requires-Dist: dep>=1
Requires-Dist: other; extra == "more"
Provides-Extra: more
Requires-Python: >=3.9
Project-URL: Docs, http://docs.example/
Project-URL: Code, http://code.example/
Description-Content-Type: text/markdown
Dynamic: summary

# My.Pkg
"""


def a_tar(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def a_zip(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def kept(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


PKG_INFO = metadata_of("pkg", "1.0")
SDIST = (("pkg-1.0/a.py", b"a"), ("pkg-1.0/PKG-INFO", PKG_INFO), ("pkg-1.0/pkg.egg-info/PKG-INFO", b"Name: no\n"))


@pytest.mark.parametrize(
    ("name", "content", "filetype", "pyversion"),
    [
        ("pkg-1.0-py3-none-any.whl", a_wheel().content, "bdist_wheel", "py3"),
        ("pkg-1.0-1-cp311-abi3-linux_x86_64.whl", a_wheel().content, "bdist_wheel", "cp311"),
        ("pkg-1.0.tar.gz", an_sdist().content, "sdist", "source"),
        ("pkg-1.0.tgz", gzip.compress(a_tar(*SDIST)), "sdist", "source"),
        ("pkg-1.0.tar.bz2", bz2.compress(a_tar(*SDIST)), "sdist", "source"),
        ("pkg-1.0.tar", a_tar(*SDIST), "sdist", "source"),
        ("pkg-1.0.zip", a_zip(*SDIST), "sdist", "source"),
        ("pkg-1.0-py3.11.egg", a_zip(("EGG-INFO/PKG-INFO", PKG_INFO)), "bdist_egg", "3.11"),
    ],
    ids=lambda value: value if isinstance(value, str) and "-1.0" in value else "",
)
def test_the_metadata_of_a_release_is_read(
    tmp_path: Path, name: str, content: bytes, filetype: str, pyversion: str
) -> None:
    release = archives.release(kept(tmp_path, name, content))

    assert release is not None
    assert (release.name, release.version) == ("pkg", "1.0")
    assert (release.filetype, release.pyversion) == (filetype, pyversion)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.txt", b"Name: pkg\nVersion: 1.0\n"),
        ("photos.zip", a_zip(("summer.jpg", b"jpg"))),
        ("nested.tar", a_tar(("a/b/PKG-INFO", PKG_INFO))),
        ("top.tar", a_tar(("PKG-INFO", PKG_INFO))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_metadata_is_no_release(tmp_path: Path, name: str, content: bytes) -> None:
    assert archives.release(kept(tmp_path, name, content)) is None


@pytest.mark.parametrize(
    ("name", "content", "lack"),
    [
        ("sdist-1.0.whl", a_zip(*SDIST), "a wheel without METADATA"),
        ("pkg-1.0-py3.11.egg", a_zip(("a.py", b"")), "an egg without PKG-INFO"),
        ("bare-1.0.tar.gz", gzip.compress(a_tar(("bare-1.0/a.py", b"a"))), "a source distribution without PKG-INFO"),
        ("bare-1.0.zip", a_zip(("bare-1.0/a.py", b"a")), "a source distribution without PKG-INFO"),
        ("pkg-1.1.zip", a_zip(("pkg-1.1/PKG-INFO", b"Version: 1.0\n")), "its PKG-INFO has no Name"),
        ("pkg-1.2.whl", a_zip(("pkg-1.2.dist-info/METADATA", b"Name: pkg\n")), "its METADATA has no Version"),
        ("pkg-1.3.whl", a_zip(("pkg-1.3.dist-info/METADATA", b"")), "its METADATA has no Name and no Version"),
        ("pkg-1.4.whl", a_zip(("pkg-1.4.dist-info/METADATA", b"\xff\xfe\x80")), "its METADATA is not text"),
        ("pkg-1.5.whl", a_zip(("pkg-1.5.dist-info/METADATA", bytes(9))), "its METADATA is not text"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_release_that_does_not_say_what_it_is_is_named_with_what_it_lacks(
    tmp_path: Path, name: str, content: bytes, lack: str
) -> None:
    with pytest.raises(Incomplete) as failure:
        archives.release(kept(tmp_path, name, content))

    assert failure.value.why == lack
    assert failure.value.what.endswith(f"{name}: {lack}")


def a_long_header() -> bytes:
    info = tarfile.TarInfo("pkg-1.0/PKG-INFO")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 40
    return info.tobuf() + bytes(4096)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pkg-1.0.zip", b"junk"),
        ("pkg-1.0.whl", a_wheel().content[:-30]),
        ("pkg-1.0.tar.gz", an_sdist().content[:60]),
        ("pkg-1.0.tar", a_long_header()),
        ("pkg-1.1.zip", a_zip(("pkg-1.1/PKG-INFO", PKG_INFO + bytes(archives.MAX_METADATA_BYTES)))),
        ("pkg-1.1.tar", a_tar(("pkg-1.1/PKG-INFO", PKG_INFO + bytes(archives.MAX_METADATA_BYTES)))),
    ],
    ids=["junk", "cut-zip", "cut-gzip", "long-header", "long-metadata-in-zip", "long-metadata-in-tar"],
)
def test_an_archive_that_cannot_be_read_within_bounds_is_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(Damaged, match="cannot be read as an archive") as failure:
        archives.release(kept(tmp_path, name, content))

    assert name in failure.value.what


@pytest.mark.parametrize(
    ("filename", "name", "version"),
    [
        ("pkg-1.0.doc.zip", "pkg", "1.0"),
        ("my-pkg-1.0.docs.zip", "my-pkg", "1.0"),
        ("my-pkg-1.0-1.doc.zip", "my-pkg", "1.0-1"),
        ("pkg-1.0.doc.tar.gz", "pkg", "1.0"),
        ("pkg.doc.tgz", "pkg", ""),
        ("py-3to4.doc.zip", "py-3to4", ""),
    ],
)
def test_documentation_is_known_by_its_name(filename: str, name: str, version: str) -> None:
    assert archives.docs(Path(filename)) == Docs(Path(filename), name, version)


@pytest.mark.parametrize("filename", ["pkg-1.0.zip", "pkg-1.0.tar.gz", "pkg-1.0.doc.tar", "doc.zip"])
def test_other_names_are_no_documentation(filename: str) -> None:
    assert archives.docs(Path(filename)) is None


def test_documentation_in_a_tar_becomes_the_same_zip_each_time(tmp_path: Path) -> None:
    pages = a_tar(("index.html", b"<h1>Hello</h1>"), ("sub/page.html", b"page"))
    given = archives.docs(kept(tmp_path, "pkg-1.0.doc.tgz", gzip.compress(pages)))
    assert given is not None

    first = archives.zipped_docs(given, tmp_path)
    content = first.path.read_bytes()
    again = archives.zipped_docs(given, tmp_path)

    assert (first.path.name, first.name, first.version) == ("pkg-1.0.doc.zip", "pkg", "1.0")
    assert again.path.read_bytes() == content
    with zipfile.ZipFile(first.path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "index.html": b"<h1>Hello</h1>",
            "sub/page.html": b"page",
        }
    assert archives.zipped_docs(first, tmp_path) is first


@pytest.mark.parametrize("member", ["/etc/passwd", "../outside", "a/../../outside"])
def test_documentation_that_points_outside_is_refused(tmp_path: Path, member: str) -> None:
    path = kept(tmp_path, "pkg-1.0.doc.tgz", gzip.compress(a_tar((member, b"x"))))

    with pytest.raises(Damaged, match="outside"):
        archives.zipped_docs(Docs(path, "pkg", "1.0"), tmp_path)


def test_a_form_says_all_that_the_metadata_says(tmp_path: Path) -> None:
    path = kept(tmp_path, "my_pkg-1.0-py3-none-any.whl", a_wheel("my_pkg", metadata=FULL.encode()).content)
    release = archives.release(path)
    assert release is not None
    digests = forms.digests(path)

    fields = forms.release_fields(release, digests)

    several: dict[str, list[str]] = {}
    for name, text in fields:
        several.setdefault(name, []).append(text)
    assert several == {
        ":action": ["file_upload"],
        "protocol_version": ["1"],
        "name": ["My.Pkg"],
        "version": ["1.0"],
        "filetype": ["bdist_wheel"],
        "pyversion": ["py3"],
        "sha256_digest": [digests.sha256],
        "blake2_256_digest": [digests.blake2_256],
        "metadata_version": ["2.4"],
        "summary": ["Does it."],
        "description": ["# My.Pkg\n"],
        "description_content_type": ["text/markdown"],
        "home_page": ["http://home.example/"],
        "author": ["Ä. Uthor"],
        "license_expression": ["MIT"],
        "license_file": ["LICENSE", "NOTICE"],
        "classifiers": ["Topic :: Games", "Topic :: Office"],
        "requires_python": [">=3.9"],
        "requires_dist": ["dep>=1", 'other; extra == "more"'],
        "provides_extra": ["more"],
        "provides_extras": ["more"],
        "dynamic": ["summary"],
        "project_urls": ["Docs, http://docs.example/", "Code, http://code.example/"],
        "keywords": ["one,two"],
    }


@pytest.mark.parametrize("document", [{"version": 1}, [{"version": 1}]], ids=["object", "list"])
def test_attestations_beside_a_file_are_sent_as_a_list(tmp_path: Path, document: object) -> None:
    path = kept(tmp_path, a_wheel().filename, a_wheel().content)
    kept(tmp_path, path.name + ".publish.attestation", json.dumps(document).encode())
    release = archives.release(path)
    assert release is not None

    fields = dict(forms.release_fields(release, forms.digests(path)))

    assert json.loads(fields["attestations"]) == [{"version": 1}]


def test_attestations_that_are_none_are_not_sent(tmp_path: Path) -> None:
    kept(tmp_path, "pkg.whl.publish.attestation", b"not JSON")

    with pytest.raises(Failure, match="is no attestation"):
        forms.attestations(tmp_path / "pkg.whl")


def test_a_body_is_as_long_as_it_says_and_tells_what_has_left(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    path = kept(tmp_path, 'a"b\n.whl', content)
    told: list[float] = []

    body = forms.Body([("name", "Ä")], path, len(content), told.append)
    pieces = list(body)

    raw = b"".join(pieces)
    boundary = body.content_type.partition("boundary=")[2]
    assert body.length == len(raw) == sum(told)
    assert max(map(len, pieces)) <= forms.PIECE_BYTES
    assert raw.count(boundary.encode()) == 3
    assert 'name="name"\r\n\r\nÄ\r\n'.encode() in raw
    assert b'name="content"; filename="a%22b%0A.whl"\r\n' in raw
    assert raw.endswith(content + f"\r\n--{boundary}--\r\n".encode())
    assert b"".join(body) == raw


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_a_file_that_changes_while_it_is_sent_is_noticed(tmp_path: Path, change: int) -> None:
    path = kept(tmp_path, "pkg.whl", b"0123456789")
    body = forms.Body([], path, 10 - change, lambda _: None)

    with pytest.raises(Failure, match="changed while it was sent"):
        list(body)


def test_a_file_that_is_gone_has_no_digests(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        forms.digests(tmp_path / "gone.whl")
