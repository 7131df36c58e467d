"""`devpi-import`: parts of a dump that have not the shape they must have are named, and cost nothing but themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stilton.serverdir import ServerDir
from tests.support.builders import a_wheel
from tests.upkeep.dumps import (
    DEV,
    WHEEL,
    ADump,
    a_file,
    a_project,
    a_stage,
    do_import,
    files_in,
    keys_in,
    releases_in,
    user_in,
)

GOOD = a_wheel("good", "1.0")
GONE = ...
"""In place of a value: the key is missing."""
FILE = ("indexes", DEV, "files", 0)
NAMED = 'indexes["ann/dev"].files[0]'


def a_dump() -> ADump:
    """Two files on ann/dev, nothing wrong."""
    files = [a_file(), a_file(GOOD, "good")]
    return ADump(
        indexes={DEV: a_stage({**a_project(), **a_project("good")}, files), "ann/other": a_stage()},
        content={files[0]["relpath"]: WHEEL.content, files[1]["relpath"]: GOOD.content},
    )


def spoiled(*path: Any) -> ADump:
    """The same with another value, the last of `path`, at a place."""
    dump = a_dump()
    *places, last, value = path
    part: Any = {"users": dump.users, "indexes": dump.indexes}
    for place in places:
        part = part[place]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return dump


BAD_FILES = {
    "hashes-a-list": (("entrymapping", "hashes", ["a"]), f"{NAMED}.entrymapping.hashes: expected"),
    "a-hash-a-number": (("entrymapping", "hashes", {"sha256": 1}), f"{NAMED}.entrymapping.hashes[...]: expected"),
    "entrymapping-a-text": (("entrymapping", "x"), f"{NAMED}.entrymapping: expected"),
    "date-a-number": (("entrymapping", "last_modified", 1), f"{NAMED}.entrymapping.last_modified: expected"),
    "no-projectname": (("projectname", GONE), f"{NAMED}: object missing required field `projectname`"),
    "version-a-number": (("version", 1.0), f"{NAMED}.version: expected"),
    "type-a-list": (("type", []), f"{NAMED}.type: expected"),
    "log-of-texts": (("log", ["a"]), f"{NAMED}.log[0]: expected"),
    "ours-a-list": (("stilton-1", []), f"{NAMED}.stilton-1: expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_file_s_entry_of_a_wrong_shape_is_left_out_and_named_with_its_place(name: str, tmp_path: Path) -> None:
    change, said = BAD_FILES[name]
    folder = spoiled(*FILE, *change).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder, "--keep-going")

    assert done.status == 1
    assert f"1 could not be imported, everything else was:\n  {said}" in done.err
    assert f"; {a_file()['relpath']} is left out" in done.err
    assert [file.filename for file in files_in(tmp_path / "server")] == [GOOD.filename]


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_without_keep_going_it_stops_the_import_before_anything_is_written(name: str, tmp_path: Path) -> None:
    change, said = BAD_FILES[name]
    folder = spoiled(*FILE, *change).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder)

    assert done.status == 1
    assert said in done.err
    assert "Nothing was imported. With --keep-going" in done.err
    assert not (tmp_path / "server").exists()


@pytest.mark.parametrize("entry", [None, "x", 7], ids=repr)
def test_an_entry_that_names_no_file_is_known_by_its_number(entry: object, tmp_path: Path) -> None:
    folder = spoiled(*FILE, entry).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder, "--keep-going")

    assert f"{NAMED}: expected `object`" in done.err
    assert "a file is left out" in done.err
    assert len(files_in(tmp_path / "server")) == 1


def _has_both(server: Path) -> bool:
    return len(files_in(server)) == 2


def _has_no_dev(server: Path) -> bool:
    return keys_in(server) is None and keys_in(server, "ann/other") is not None


def _has_no_files(server: Path) -> bool:
    return files_in(server) == [] and set(releases_in(server)) == {"good", "pkg"}


BAD_PARTS: dict[str, tuple[tuple[Any, ...], str, Callable[[Path], bool]]] = {
    "an-index-null": (("indexes", DEV, None), 'indexes["ann/dev"]: expected', _has_no_dev),
    "no-indexconfig": (("indexes", DEV, "indexconfig", GONE), 'indexes["ann/dev"]: object missing', _has_no_dev),
    "indexconfig-a-list": (("indexes", DEV, "indexconfig", []), 'indexes["ann/dev"].indexconfig: exp', _has_no_dev),
    "files-an-object": (("indexes", DEV, "files", {"a": 1}), 'indexes["ann/dev"].files: expected', _has_no_files),
    "versions-a-list": (
        ("indexes", DEV, "projects", "pkg", ["1.0"]), 'indexes["ann/dev"].projects["pkg"]: expected', _has_both,
    ),
    "a-release-a-list": (
        ("indexes", DEV, "projects", "pkg", "1.0", [1]), 'indexes["ann/dev"].projects["pkg"]["1.0"]: exp', _has_both,
    ),
    "a-user-null": (("users", "ann", None), 'users["ann"]: expected', _has_both),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BAD_PARTS))
def test_a_part_of_a_wrong_shape_is_left_out_and_the_rest_is_there(name: str, tmp_path: Path) -> None:
    change, said, rest_is_there = BAD_PARTS[name]
    folder = spoiled(*change).write(tmp_path / "dump")

    refused = do_import(tmp_path / "refused", folder)
    done = do_import(tmp_path / "server", folder, "--keep-going")

    assert said in refused.err
    assert not ServerDir(tmp_path / "refused").has_data()
    assert (done.status, said in done.err) == (1, True)
    assert rest_is_there(tmp_path / "server")


def test_projects_of_a_wrong_shape_are_named_and_so_are_their_files(tmp_path: Path) -> None:
    folder = spoiled("indexes", DEV, "projects", "x").write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder, "--keep-going")

    assert "3 could not be imported" in done.err
    assert 'indexes["ann/dev"].projects: expected `object`, got `str`' in done.err
    assert keys_in(tmp_path / "server") is not None


@pytest.mark.parametrize("key", ["projects", "files"])
def test_null_is_nothing(key: str, tmp_path: Path) -> None:
    dump = ADump(indexes={DEV: {**a_stage(), key: None}})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert (done.status, done.err) == (0, "")


def test_a_user_who_cannot_be_read_is_there_and_cannot_log_in(tmp_path: Path) -> None:
    folder = spoiled("users", "ann", []).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder, "--keep-going")

    assert "set a password with devpi-passwd ann" in done.err
    assert user_in(tmp_path / "server", "ann")[0] == ""


def test_root_who_cannot_be_read_gets_the_password_that_was_given(tmp_path: Path) -> None:
    folder = spoiled("users", "root", []).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder, "--keep-going", "--root-passwd", "given")

    assert 'users["root"]: expected `object`, got `array`; his password is that of --root-passwd' in done.err
    assert user_in(tmp_path / "server", "root")[0] not in ("", None)


OURS = {
    "a-list": ([], ""),
    "its-projects-a-list": ({"projects": []}, ".projects"),
    "a-project-s-status-a-number": ({"projects": {"pkg": {"status": 1}}}, '.projects["pkg"].status'),
    "gone-an-object": ({"gone": {}}, ".gone"),
    "a-gone-file-without-a-name": ({"gone": [{"path": 1}]}, ".gone[0].path"),
}


@pytest.mark.parametrize("name", sorted(OURS))
def test_of_what_only_we_say_a_wrong_shape_is_told(name: str, tmp_path: Path) -> None:
    value, inside = OURS[name]
    folder = spoiled("indexes", DEV, "stilton-1", value).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder)

    assert done.status == 0
    assert f'notice: indexes["ann/dev"]["stilton-1"]{inside}: expected' in done.err
    assert _has_both(tmp_path / "server")


def test_what_is_said_of_the_audit_log_in_a_wrong_shape_leaves_it_out(tmp_path: Path) -> None:
    dump = a_dump()
    dump.more["stilton-1"] = {"audit_sha256": 1}

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"), "--keep-going")

    assert '["stilton-1"].audit_sha256: expected `str | null`, got `int`; the audit log is left out' in done.err
    assert _has_both(tmp_path / "server")


def test_a_release_s_version_may_be_a_number(tmp_path: Path) -> None:
    folder = spoiled("indexes", DEV, "projects", "pkg", "1.0", "version", 1.0).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder)

    assert (done.status, done.err) == (0, "")
    assert set(releases_in(tmp_path / "server")["pkg"]) == {"1.0"}


def test_a_dump_s_own_file_is_no_dump(tmp_path: Path) -> None:
    folder = a_dump().write(tmp_path / "dump")

    done = do_import(tmp_path / "server", folder / "dataindex.json")

    assert done.status == 1
    assert "dataindex.json is a file: name the folder that dataindex.json is in." in done.err
