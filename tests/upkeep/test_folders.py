"""`devpi-import --index`: release files out of folders of other programs, as if each were uploaded."""

import json
import os
from pathlib import Path

import pytest

from stilton.domain.publishing import Kind
from stilton.serverdir import ServerDir
from tests.support.builders import Dist, a_wheel, an_sdist, metadata_of
from tests.support.server import a_server
from tests.upkeep.dumps import (
    DEV,
    WHEEL,
    ADump,
    Done,
    a_stage,
    blob,
    do_import,
    files_in,
    keys_in,
    releases_in,
)

MTIME = 1_600_000_000


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """User ann with the index ann/dev; root/pypi."""
    assert do_import(tmp_path / "server", ADump(indexes={DEV: a_stage()}).write(tmp_path / "first")).status == 0
    return tmp_path / "server"


def put(folder: Path, *dists: Dist) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for dist in dists:
        (folder / dist.filename).write_bytes(dist.content)
        os.utime(folder / dist.filename, (MTIME, MTIME))
    return folder


def add(server: Path, folder: Path, *arguments: str, index: str = DEV) -> Done:
    return do_import(server, folder, "--index", index, *arguments)


def names(server: Path) -> set[str]:
    return {file.filename for file in files_in(server) if file.gone_at is None}


def test_a_plain_folder_is_put_on_an_index_with_what_the_archives_say(tmp_path: Path, server: Path) -> None:
    wheel = a_wheel("pkg", "1.0", metadata=metadata_of("pkg", "1.0", ("dep",), ">=3.8"))
    folder = put(tmp_path / "files", wheel, an_sdist("some-thing", "2.0"))
    (folder / "README.txt").write_text("not looked at")

    done = add(server, folder)

    assert done.status == 0, done.err
    assert done.lines == [
        "plain: 2 release files for ann/dev",
        "2 files added to ann/dev, 0 were there already, 0 left out",
    ]
    assert "1 other files are not looked at" in done.err
    found = {file.filename: file for file in files_in(server)}[wheel.filename]
    assert (found.project, found.version, found.kind, found.path) == ("pkg", "1.0", Kind.RELEASE, wheel.path)
    assert (found.requires_python, found.metadata_digest) == (">=3.8", wheel.metadata_sha256)
    assert found.uploaded_at == MTIME
    assert found.log == [{"what": "upload", "who": "<import>", "when": [2020, 9, 13, 12, 26, 40], "dst": DEV}]
    assert blob(server, wheel.sha256) == wheel.content
    assert releases_in(server)["pkg"]["1.0"]["requires_dist"] == ["dep"]
    assert set(releases_in(server)) == {"pkg", "some-thing"}


def test_the_server_offers_what_was_added(tmp_path: Path, server: Path) -> None:
    add(server, put(tmp_path / "files", WHEEL))

    with a_server(server) as running:
        page = running.get("/ann/dev/+simple/pkg/")[2].decode()
        metadata = running.get(f"/ann/dev/{WHEEL.path}.metadata")[2]

    assert WHEEL.filename in page
    assert metadata == WHEEL.metadata


def test_nested_folders_are_pypiservers_and_hidden_ones_are_not_looked_at(tmp_path: Path, server: Path) -> None:
    put(tmp_path / "files", an_sdist("flat", "1.0"))
    put(tmp_path / "files" / "team" / "deep", WHEEL)
    put(tmp_path / "files" / ".trash", an_sdist("hidden", "1.0"))
    (tmp_path / "files" / f"{WHEEL.filename}.asc").write_text("a signature")

    done = add(server, tmp_path / "files")

    assert done.lines[0] == "pypiserver: 2 release files for ann/dev"
    assert names(server) == {"flat-1.0.tar.gz", WHEEL.filename}


def test_the_layout_can_be_said(tmp_path: Path, server: Path) -> None:
    put(tmp_path / "files", an_sdist("flat", "1.0"))
    put(tmp_path / "files" / "deep", WHEEL)

    add(server, tmp_path / "files", "--layout", "plain")

    assert names(server) == {"flat-1.0.tar.gz"}


def test_what_is_there_already_is_skipped_when_it_is_run_again(tmp_path: Path, server: Path) -> None:
    folder = put(tmp_path / "files", WHEEL)
    put(tmp_path / "files" / "copy", WHEEL)
    add(server, folder)
    put(folder, an_sdist("pkg", "1.0"))
    before = files_in(server)

    done = add(server, folder)

    assert done.lines[-1] == "1 files added to ann/dev, 2 were there already, 0 left out"
    assert all(file in files_in(server) for file in before)
    assert names(server) == {WHEEL.filename, "pkg-1.0.tar.gz"}


def test_another_content_under_a_name_that_is_there_is_left_out_also_on_a_volatile_index(
    tmp_path: Path, server: Path
) -> None:
    add(server, put(tmp_path / "files", WHEEL))

    done = add(server, put(tmp_path / "other", a_wheel("pkg", "1.0", payload=b"other")))

    assert done.status == 1
    assert f"{WHEEL.filename} is on ann/dev already with other content" in done.err
    assert [file.digest for file in files_in(server)] == [WHEEL.sha256]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("pkg-1.0-py3-none-any.whl", b"", "is empty"),
        ("pkg-1.0.tar.gz", b"no archive", "pkg-1.0.tar.gz"),
        ("nodash.tar.gz", an_sdist("nodash", "1.0").content, "nodash.tar.gz"),
        ("pkg-2.0.tar.gz", an_sdist("pkg", "1.0").content, "does not contain version '1.0'"),
        ("pkg-nonsense.tar.gz", an_sdist("pkg", "nonsense").content, "is no valid version"),
    ],
    ids=["empty", "no-archive", "no-version", "other-version", "no-pep-440"],
)
def test_what_an_upload_would_not_take_is_listed_and_all_else_is_added(
    tmp_path: Path, server: Path, name: str, content: bytes, why: str
) -> None:
    folder = put(tmp_path / "files", an_sdist("good", "1.0"))
    (folder / name).write_bytes(content)

    done = add(server, folder)

    assert done.status == 1
    assert "fatal: 1 could not be imported, everything else was:" in done.err
    assert why in done.err
    assert str(folder / name) in done.err
    assert "Traceback" not in done.err
    assert names(server) == {"good-1.0.tar.gz"}


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("ann/none", "There is no index ann/none: say --create to make it. Indexes are: ann/dev"),
        ("root/pypi", "root/pypi is a mirror: files can only be added to a private index."),
        ("ann", "--index is 'ann': say USER/NAME."),
        ("a/b/c", "--index is 'a/b/c': say USER/NAME."),
    ],
)
def test_an_index_that_takes_no_files_is_refused_and_nothing_changes(
    tmp_path: Path, server: Path, index: str, said: str
) -> None:
    done = add(server, put(tmp_path / "files", WHEEL), index=index)

    assert done.status == 1
    assert done.err == f"fatal: {said}\n"
    assert files_in(server) == []
    assert not ServerDir(server).blobs.has(WHEEL.sha256)


def test_an_index_is_made_when_it_is_wanted(tmp_path: Path, server: Path) -> None:
    done = add(server, put(tmp_path / "files", WHEEL), "--create", index="ann/new")

    assert done.status == 0, done.err
    assert (keys_in(server, "ann/new") or {})["acl_upload"] == ["ann"]
    assert [file.filename for file in files_in(server, "ann/new")] == [WHEEL.filename]


@pytest.mark.parametrize(
    ("index", "said"),
    [("bob/new", "There is no user 'bob'"), ("ann/n:w", "contains characters that aren't allowed")],
)
def test_an_index_that_cannot_be_made_is_refused(tmp_path: Path, server: Path, index: str, said: str) -> None:
    done = add(server, put(tmp_path / "files", WHEEL), "--create", index=index)

    assert done.status == 1
    assert said in done.err
    assert keys_in(server, index) is None


@pytest.mark.parametrize("option", [["--create"], ["--layout", "plain"]], ids=str)
def test_options_for_folders_are_refused_for_dumps(tmp_path: Path, option: list[str]) -> None:
    done = do_import(tmp_path / "server", tmp_path, *option)

    assert done.status == 1
    assert "go with --index USER/NAME" in done.err
    assert not (tmp_path / "server").exists()


def test_a_running_server_is_not_written_to(tmp_path: Path, server: Path) -> None:
    place = ServerDir(server)
    place.lock()
    try:
        done = add(server, put(tmp_path / "files", WHEEL))
    finally:
        place.unlock()

    assert done.status == 1
    assert "is in use by process" in done.err
    assert files_in(server) == []


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, server: Path) -> None:
    done = add(server, tmp_path / "none")

    assert done.status == 1
    assert done.err == f"fatal: There is no folder {tmp_path / 'none'}.\n"


# bandersnatch


def a_mirror(folder: Path, *, absolute: bool = False, as_json: bool = False, hash_index: bool = False) -> Path:
    """What bandersnatch makes: web/packages and web/simple. Returns the folder above `web`."""
    for project, dist, yanked in (("pkg", WHEEL, "broken"), ("a-b", an_sdist("a-b", "1.0"), None)):
        below = f"packages/aa/bb/{dist.sha256[:60]}"
        put(folder / "web" / below, dist)
        simple = folder / "web" / "simple" / (f"{project[0]}/{project}" if hash_index else project)
        simple.mkdir(parents=True)
        up = "http://127.0.0.1:9/" if absolute else "../../../" if hash_index else "../../"
        url = f"{up}{below}/{dist.filename}"
        if as_json:
            file = {"filename": dist.filename, "url": url, "hashes": {"sha256": dist.sha256}, "yanked": yanked or False}
            file["upload-time"] = "2020-09-13T12:26:40.000000Z"
            document = {"meta": {"api-version": "1.0"}, "name": project, "files": [file]}
            (simple / "index.v1_json").write_text(json.dumps(document))
        attribute = f' data-yanked="{yanked}"' if yanked else ""
        (simple / "index.html").write_text(f'<a href="{url}#sha256={dist.sha256}"{attribute}>{dist.filename}</a>')
    return folder


@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
@pytest.mark.parametrize("as_json", [False, True], ids=["html", "json"])
@pytest.mark.parametrize("above", [False, True], ids=["web", "above"])
def test_a_bandersnatch_mirror_is_read_by_its_pages(
    tmp_path: Path, server: Path, absolute: bool, as_json: bool, above: bool
) -> None:
    folder = a_mirror(tmp_path / "mirror", absolute=absolute, as_json=as_json)

    done = add(server, folder if above else folder / "web")

    assert done.status == 0, done.err
    assert done.lines[0] == "bandersnatch: 2 release files for ann/dev"
    found = {file.filename: file for file in files_in(server)}
    assert {name: (file.project, file.yanked, file.uploaded_at) for name, file in found.items()} == {
        WHEEL.filename: ("pkg", "broken", MTIME),
        "a-b-1.0.tar.gz": ("a-b", None, MTIME),
    }


def test_a_bandersnatch_mirror_with_hashed_folders_is_read_too(tmp_path: Path, server: Path) -> None:
    done = add(server, a_mirror(tmp_path / "mirror", hash_index=True))

    assert done.status == 0, done.err
    assert names(server) == {WHEEL.filename, "a-b-1.0.tar.gz"}


def test_a_file_that_is_not_what_its_page_says_is_listed(tmp_path: Path, server: Path) -> None:
    folder = a_mirror(tmp_path / "mirror")
    wheel = next(folder.rglob("*.whl"))
    wheel.write_bytes(a_wheel("pkg", "1.0", payload=b"other").content)

    done = add(server, folder)

    assert done.status == 1
    assert f"{wheel}: sha256 mismatch" in done.err
    assert names(server) == {"a-b-1.0.tar.gz"}


def test_a_file_that_a_page_lists_and_the_disk_lacks_is_listed(tmp_path: Path, server: Path) -> None:
    folder = a_mirror(tmp_path / "mirror")
    wheel = next(folder.rglob("*.whl"))
    wheel.unlink()

    done = add(server, folder)

    assert done.status == 1
    assert f"The file at {wheel} is missing." in done.err
    assert names(server) == {"a-b-1.0.tar.gz"}


def test_an_archive_that_uploads_may_not_be_is_taken_when_its_page_vouches_for_it(tmp_path: Path, server: Path) -> None:
    folder = a_mirror(tmp_path / "mirror")
    old = Dist("pkg-0.1.tar.gz", b"made by hand, long ago", b"")
    put(folder / "web" / "packages" / "old", old)
    page = folder / "web" / "simple" / "pkg" / "index.html"
    page.write_text(f'<a href="../../packages/old/{old.filename}#sha256={old.sha256}">{old.filename}</a>')

    done = add(server, folder)

    assert done.status == 0, done.err
    assert {(file.filename, file.version) for file in files_in(server) if file.project == "pkg"} == {
        (old.filename, "0.1")
    }


@pytest.mark.parametrize("place", ["/packages/../../secret/", "/elsewhere/"])
def test_a_page_leads_to_no_file_outside_the_mirror(tmp_path: Path, server: Path, place: str) -> None:
    folder = a_mirror(tmp_path / "mirror")
    put(tmp_path / "mirror" / "secret", WHEEL)
    page = folder / "web" / "simple" / "pkg" / "index.html"
    page.write_text(f'<a href="http://127.0.0.1:9{place}{WHEEL.filename}">{WHEEL.filename}</a>')

    done = add(server, folder)

    assert done.status == 1
    assert f"{WHEEL.filename} is not below packages/" in done.err or "is missing" in done.err
    assert names(server) == {"a-b-1.0.tar.gz"}
