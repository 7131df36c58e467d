"""`devpi-import --index`: what cannot be read in a folder is listed, never gone past; what is no such folder is told."""

import subprocess
from pathlib import Path

import pytest

from tests.support.builders import a_wheel
from tests.support.privilege import as_anybody, needs_a_reader
from tests.support.server import run
from tests.upkeep.dumps import DEV, WHEEL, ADump, a_stage, do_import, files_in

OTHER = a_wheel("other", "1.0")


@pytest.fixture
def server(tmp_path: Path) -> Path:
    assert do_import(tmp_path / "server", ADump(indexes={DEV: a_stage()}).write(tmp_path / "first")).status == 0
    return tmp_path / "server"


@pytest.fixture
def loose(tmp_path: Path) -> Path:
    """A file, and another one in a folder below."""
    (tmp_path / "files" / "sub").mkdir(parents=True)
    (tmp_path / "files" / WHEEL.filename).write_bytes(WHEEL.content)
    (tmp_path / "files" / "sub" / OTHER.filename).write_bytes(OTHER.content)
    return tmp_path / "files"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """bandersnatch's, with a project for each of both."""
    web = tmp_path / "mirror" / "web"
    for dist, name in ((WHEEL, "pkg"), (OTHER, "other")):
        (web / "simple" / name).mkdir(parents=True)
        link = f"../../packages/{dist.filename}#sha256={dist.sha256}"
        (web / "simple" / name / "index.html").write_text(f'<a href="{link}">{dist.filename}</a>')
        (web / "packages").mkdir(exist_ok=True)
        (web / "packages" / dist.filename).write_bytes(dist.content)
    return tmp_path / "mirror"


def add_as_anybody(server: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return run(*as_anybody("devpi-import", "--serverdir", str(server), "--index", DEV, str(folder)))


def names(server: Path) -> set[str]:
    return {file.filename for file in files_in(server)}


@needs_a_reader
def test_a_folder_below_that_cannot_be_read_is_listed(server: Path, loose: Path) -> None:
    (loose / "sub").chmod(0)

    done = add_as_anybody(server, loose)

    (loose / "sub").chmod(0o755)
    assert done.returncode == 1
    assert f"1 could not be imported, everything else was:\n  {loose / 'sub'} cannot be read" in done.stderr
    assert names(server) == {WHEEL.filename}


@needs_a_reader
def test_a_project_s_folder_that_cannot_be_read_is_listed(server: Path, mirror: Path) -> None:
    place = mirror / "web" / "simple" / "other"
    place.chmod(0)

    done = add_as_anybody(server, mirror)

    place.chmod(0o755)
    assert done.returncode == 1
    assert f"{place} cannot be read" in done.stderr
    assert names(server) == {WHEEL.filename}


def test_a_page_that_cannot_be_read_is_listed_and_the_other_projects_are_added(server: Path, mirror: Path) -> None:
    page = mirror / "web" / "simple" / "other" / "index.html"
    page.unlink()
    page.symlink_to("nowhere")

    done = do_import(server, mirror, "--index", DEV)

    assert done.status == 1
    assert f"1 could not be imported, everything else was:\n  {page} cannot be read: No such file" in done.err
    assert names(server) == {WHEEL.filename}


def test_a_folder_that_is_no_mirror_is_not_taken_for_an_empty_one(server: Path, loose: Path) -> None:
    done = do_import(server, loose, "--index", DEV, "--layout", "bandersnatch")

    assert done.status == 1
    assert f"There is no folder {loose / 'simple'}: {loose} is no mirror that bandersnatch made." in done.err
    assert names(server) == set()


def test_a_file_is_no_folder(server: Path, loose: Path) -> None:
    done = do_import(server, loose / WHEEL.filename, "--index", DEV)

    assert done.status == 1
    assert f"{loose / WHEEL.filename} is a file: name the folder that it is in." in done.err
    assert names(server) == set()


def test_that_there_is_nothing_to_add_is_told(server: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    done = do_import(server, tmp_path / "empty", "--index", DEV)

    assert done.status == 0
    assert "notice: nothing to add: is it the right folder, and the right --layout?" in done.err


def test_two_files_of_one_name_and_other_content_are_told_apart_by_their_folders(server: Path, loose: Path) -> None:
    (loose / "sub" / WHEEL.filename).write_bytes(a_wheel("pkg", "1.0", payload=b"other").content)

    done = do_import(server, loose, "--index", DEV)

    assert f"{loose / 'sub' / WHEEL.filename}: {WHEEL.filename} is on ann/dev already with other content" in done.err
    assert names(server) == {WHEEL.filename, OTHER.filename}


def test_a_file_that_is_no_archive_is_named_once(server: Path, loose: Path) -> None:
    (loose / "bad-1.0.tar.gz").write_bytes(b"bad")

    done = do_import(server, loose, "--index", DEV)

    assert f"  {loose / 'bad-1.0.tar.gz'}: is not a gzip file" in done.err
