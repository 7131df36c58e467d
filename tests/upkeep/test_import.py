"""`devpi-import` of a dump: every rule of devpi's (protocol reference 4.2), and what must not go wrong."""

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stilton.db import mirrors, stages
from stilton.domain.files import Project
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.publishing import Kind
from stilton.serverdir import ServerDir
from tests.support.builders import a_wheel, an_sdist, metadata_of
from tests.support.deadline import until
from tests.support.mounts import mounted, read_only, small_disk
from tests.support.server import BIN, a_server, clean_env, run
from tests.upkeep.dumps import (
    DEV,
    LOG,
    MODIFIED_AT,
    WHEEL,
    ADump,
    a_file,
    a_project,
    a_stage,
    a_user,
    blob,
    do_import,
    files_in,
    keys_in,
    md5,
    reading,
    releases_in,
    user_in,
    with_wheel,
)

PYPI = IndexName("root/pypi")
ARGON = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"


def nothing_is_there(serverdir: Path) -> bool:
    """Not a server, not a half one, and no lock file that would look like one."""
    return not ServerDir(serverdir).has_data()


# What is said


def test_it_says_what_scripts_read(tmp_path: Path) -> None:
    dump = with_wheel().write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump)

    assert done.status == 0, done.err
    assert done.lines[:-1] == [
        f"reading json: {dump / 'dataindex.json'}",
        f"******** Importing packages from {dump} **********",
        "Number of users: 2",
        "Number of indexes: 1",
        "Index ann/dev has 1 projects and 1 files",
        "Total number of projects: 1",
        "Total number of files: 1",
        "********* import_all: importing finished ***********",
    ]
    assert done.lines[-1].startswith("wait_for_events: importing finished; latest_serial=")
    assert done.err == ""


def test_the_new_server_has_an_identity_of_its_own_and_nothing_of_the_making_is_left(tmp_path: Path) -> None:
    dump = ADump(more={"uuid": "theirs", "secret": "theirs"}).write(tmp_path / "dump")

    do_import(tmp_path / "server", dump)

    place = ServerDir(tmp_path / "server")
    assert place.has_data()
    assert place.uuid() != "theirs"
    assert {path.name for path in (tmp_path / "server").iterdir()} == {
        ".lock", ".nodeinfo", ".serverversion", "blobs", "incoming", "stilton.sqlite",
    }  # fmt: skip


# What is refused


@pytest.mark.parametrize("version", ["3", "1.5", None], ids=str)
def test_another_version_of_the_format_is_refused(tmp_path: Path, version: str | None) -> None:
    dump = ADump(more={"dumpversion": version}).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump)

    assert done.status == 1
    assert done.err == f"fatal: incompatible dumpversion: {version!r}\n"
    assert done.out == ""
    assert not (tmp_path / "server").exists()


def test_a_folder_without_a_dump_is_refused_with_what_could_be_meant(tmp_path: Path) -> None:
    done = do_import(tmp_path / "server", tmp_path)

    assert done.status == 1
    assert "is no dump, or its export did not finish" in done.err
    assert "--index USER/NAME" in done.err
    assert done.out == ""
    assert not (tmp_path / "server").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"dumpversion": "2"}', '{"dumpversion": "2", "users": 1}'])
def test_a_damaged_dump_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataindex.json").write_text(text)

    done = do_import(tmp_path / "server", tmp_path)

    assert done.status == 1
    assert "is no dump" in done.err or "incompatible dumpversion" in done.err
    assert not (tmp_path / "server").exists()


def test_a_dump_that_cannot_be_read_is_refused_before_anything_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "dataindex.json").mkdir()

    done = do_import(tmp_path / "server", tmp_path)

    assert (done.status, done.out) == (1, "")
    assert done.err == f"fatal: {tmp_path / 'dataindex.json'} cannot be read: Is a directory.\n"
    assert not (tmp_path / "server").exists()


def test_a_place_that_cannot_be_written_is_refused_before_anything_else_is_said(tmp_path: Path) -> None:
    dump = with_wheel().write(tmp_path / "dump")
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "disk").mkdir()
    disk = tmp_path / "disk"

    done = do_import(tmp_path / "file" / "server", dump)
    fixed = mounted(disk, read_only(disk), "devpi-import", "--serverdir", str(disk / "server"), str(dump))

    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"fatal: The folder {tmp_path / 'file' / 'server'} cannot be written: {tmp_path / 'file'} is no folder.\n"
    )
    assert (fixed.returncode, fixed.stdout) == (1, "")
    assert f"fatal: The folder {disk / 'server'} cannot be written" in fixed.stderr


def test_a_password_hash_that_is_none_is_refused_before_anything_else_is_said(tmp_path: Path) -> None:
    done = do_import(tmp_path / "server", with_wheel().write(tmp_path / "dump"), "--root-passwd-hash", "x")

    assert (done.status, done.out) == (1, "")
    assert not (tmp_path / "server").exists()


def test_a_disk_that_is_too_small_is_told_before_anything_is_copied(tmp_path: Path) -> None:
    big = a_wheel("pkg", "1.0", payload=bytes(3 << 20))
    file = a_file(big)
    dump = ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: big.content})
    folder = dump.write(tmp_path / "dump")
    (tmp_path / "disk").mkdir()
    server = tmp_path / "disk" / "server"

    done = mounted(tmp_path / "disk", small_disk("1m"), "devpi-import", "--serverdir", str(server), str(folder))

    assert done.returncode == 1
    assert f"fatal: The files take 3.1 MB, the disk of {server} has 1.0 MB free: make room" in done.stderr
    assert do_import(server, folder).status == 0


def test_a_server_that_is_there_is_refused_and_left_alone(tmp_path: Path) -> None:
    run("devpi-init", "--serverdir", str(tmp_path / "server"), "--no-root-pypi")
    before = (tmp_path / "server" / ".nodeinfo").read_bytes()

    done = do_import(tmp_path / "server", with_wheel().write(tmp_path / "dump"))

    assert done.status == 1
    assert done.err.startswith(f"fatal: The path '{tmp_path / 'server'}' already contains devpi-server data.")
    assert done.out == ""
    assert (tmp_path / "server" / ".nodeinfo").read_bytes() == before
    assert keys_in(tmp_path / "server") is None


def test_an_unknown_type_of_index_is_refused_with_the_way_out(tmp_path: Path) -> None:
    dump = ADump(indexes={"ann/dev": a_stage(type="bogus")}).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump)

    assert done.status == 1
    assert (
        "Unknown index type 'bogus'. Did you forget to install the necessary plugin? "
        "You can also skip these with '--skip-import-type bogus'."
    ) in done.err
    assert f"You could also try to edit {dump / 'dataindex.json'} manually to fix the above errors." in done.err
    assert not (tmp_path / "server").exists()


def test_a_skipped_type_is_left_out_whatever_its_name_is(tmp_path: Path) -> None:
    indexes = {"ann/+foo-dev": a_stage(type="bogus"), "ann/dev": a_stage(bases=["ann/+foo-dev"])}
    dump = ADump(indexes=indexes).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump, "--skip-import-type", "bogus")

    assert done.status == 0, done.err
    assert keys_in(tmp_path / "server", "ann/+foo-dev") is None
    assert (keys_in(tmp_path / "server") or {})["bases"] == ["ann/+foo-dev"]


@pytest.mark.parametrize(
    ("users", "index", "message"),
    [
        (["us!er"], "us!er/dev", "username 'us!er' contains characters that aren't allowed."),
        (["ann"], "ann/d*v", "indexname 'ann/d*v' contains characters that aren't allowed."),
        ([], "ann/dev", "index 'ann/dev' is of user 'ann', who is not among the users of the dump."),
    ],
    ids=["user", "index", "nobody"],
)
def test_names_that_cannot_be_are_all_told_before_anything_is_written(
    tmp_path: Path, users: list[str], index: str, message: str
) -> None:
    known = {name: a_user(name) for name in ["root", *users]}
    dump = ADump(users=known, indexes={index: a_stage(), "root/b:d": a_stage()}).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump)

    assert done.status == 1
    assert message in done.err
    assert "indexname 'root/b:d' contains" in done.err
    assert "manually to fix the above errors" in done.err
    assert not (tmp_path / "server").exists()


# Users


def test_users_keep_their_hash_dates_and_texts(tmp_path: Path) -> None:
    texts = {"email": "a@x", "title": "T", "description": "D", "custom_data": {"a": [1]}}
    users = {
        "root": a_user("root"),
        "ann": a_user("ann", pwhash=ARGON, modified="2021-01-01T00:00:00Z", strange="x", **texts),
    }

    done = do_import(tmp_path / "server", ADump(users=users).write(tmp_path / "dump"))

    assert done.err == "notice: keys of user 'ann' that mean nothing here are left out: strange\n"
    assert user_in(tmp_path / "server", "ann") == (
        ARGON,
        {"username": "ann", "created": "2020-01-02T03:04:05Z", "modified": "2021-01-01T00:00:00Z", **texts},
    )


def test_a_user_without_a_date_of_creation_gets_the_first_of_all_dates(tmp_path: Path) -> None:
    users = {"root": {"username": "root", "pwhash": ARGON}, "ann": {"username": "ann", "pwhash": ""}}

    do_import(tmp_path / "server", ADump(users=users).write(tmp_path / "dump"))

    root, ann = (user_in(tmp_path / "server", name) for name in ("root", "ann"))
    assert ann == ("", {"username": "ann", "created": "1970-01-01T00:00:00Z"})
    assert root[0] == ARGON
    assert (root[1] or {})["created"] > "2026"


def test_root_of_the_dump_counts_more_than_the_options(tmp_path: Path) -> None:
    users = {"root": a_user("root", pwhash=ARGON)}

    do_import(tmp_path / "server", ADump(users=users).write(tmp_path / "dump"), "--root-passwd", "other")

    assert user_in(tmp_path / "server", "root")[0] == ARGON


def test_without_root_in_the_dump_the_options_make_one(tmp_path: Path) -> None:
    hashed = "$argon2id$v=19$m=19456,t=2,p=1$t+81s51WJAizE71ppPkeag$Gcb+0mKZ0zrag8tyisJ7omxYGLgN9SZMU58BV6KSBdg"

    do_import(
        tmp_path / "server", ADump(users={"ann": a_user("ann")}).write(tmp_path / "dump"), "--root-passwd-hash", hashed
    )

    assert user_in(tmp_path / "server", "root")[0] == hashed


def test_a_password_of_before_devpi_4_is_told_and_its_user_is_there(tmp_path: Path) -> None:
    users = {"root": a_user("root"), "ann": a_user("ann", pwhash="0123", pwsalt="4567")}

    done = do_import(tmp_path / "server", ADump(users=users).write(tmp_path / "dump"))

    assert "set a new one with devpi-passwd ann" in done.err
    assert user_in(tmp_path / "server", "ann")[1] == {"username": "ann", "created": "2020-01-02T03:04:05Z"}


# Indexes


def test_an_indexs_configuration_is_kept_with_keys_that_nobody_knows(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "title": "T",
        "volatile": False,
        "bases": ["ann/base", "root/pypi"],
        "acl_upload": ["ann", ":team"],
        "acl_toxresult_upload": ["bob"],
        "acl_pkg_read": ["ann"],
        "mirror_whitelist": ["*"],
        "mirror_whitelist_inheritance": "union",
        "custom_data": {"a": 1},
        "strange_key": ["kept"],
    }

    do_import(
        tmp_path / "server",
        ADump(indexes={DEV: a_stage(**keys), "ann/base": a_stage()}).write(tmp_path / "dump"),
    )

    assert keys_in(tmp_path / "server") == {"type": "stage", **keys}


def test_keys_of_old_versions_get_todays_names(tmp_path: Path) -> None:
    old: dict[str, Any] = {"pypi_whitelist": ["a"], "uploadtrigger_jenkins": None}

    do_import(tmp_path / "server", ADump(indexes={DEV: a_stage(**old)}).write(tmp_path / "dump"))

    keys = keys_in(tmp_path / "server") or {}
    assert keys["mirror_whitelist"] == ["a"]
    assert keys["acl_toxresult_upload"] == [":ANONYMOUS:"]
    assert not {"pypi_whitelist", "uploadtrigger_jenkins"} & set(keys)


def test_a_trigger_that_is_set_is_kept(tmp_path: Path) -> None:
    old: dict[str, Any] = {
        "pypi_whitelist": ["a"],
        "mirror_whitelist": ["b"],
        "uploadtrigger_jenkins": "http://127.0.0.1/x",
    }

    do_import(tmp_path / "server", ADump(indexes={DEV: a_stage(**old)}).write(tmp_path / "dump"))

    keys = keys_in(tmp_path / "server") or {}
    assert keys["mirror_whitelist"] == ["b"]
    assert keys["uploadtrigger_jenkins"] == "http://127.0.0.1/x"


def test_missing_bases_are_kept_and_told(tmp_path: Path) -> None:
    indexes = {DEV: a_stage(bases=["gone/base", "root/pypi"]), "ann/other": a_stage(bases=["gone/also"])}

    done = do_import(tmp_path / "server", ADump(indexes=indexes).write(tmp_path / "dump"))

    assert done.status == 0
    assert "The following indexes are in bases, but don't exist in the import data: gone/also, gone/base\n" in done.err
    assert (keys_in(tmp_path / "server") or {})["bases"] == ["gone/base", "root/pypi"]


def test_indexes_may_be_bases_of_each_other_and_of_themselves(tmp_path: Path) -> None:
    indexes = {DEV: a_stage(bases=["ann/dev", "ann/b"]), "ann/b": a_stage(bases=["ann/dev"])}

    done = do_import(tmp_path / "server", ADump(indexes=indexes).write(tmp_path / "dump"))

    assert (done.status, done.err) == (0, "")
    assert (keys_in(tmp_path / "server") or {})["bases"] == ["ann/dev", "ann/b"]


def test_root_pypi_of_the_dump_takes_the_place_of_the_default_one(tmp_path: Path) -> None:
    keys = {"type": "mirror", "volatile": True, "mirror_url": "http://127.0.0.1:9/simple/", "title": "Ours"}
    dump = ADump(indexes={PYPI: {"indexconfig": keys, "projects": [], "files": []}}).write(tmp_path / "dump")

    do_import(tmp_path / "server", dump, "--no-events")

    found = keys_in(tmp_path / "server", PYPI) or {}
    assert {key: found[key] for key in keys} == keys
    assert found["mirror_web_url_fmt"].endswith("/{name}/")


@pytest.mark.parametrize("asked", [[], ["--no-root-pypi"]], ids=["default", "no-root-pypi"])
def test_root_pypi_that_is_not_in_the_dump_is_made_unless_it_is_not_wanted(tmp_path: Path, asked: list[str]) -> None:
    do_import(tmp_path / "server", ADump().write(tmp_path / "dump"), *asked)

    assert (keys_in(tmp_path / "server", PYPI) is None) == bool(asked)


# Projects and releases


def test_projects_under_two_spellings_are_one(tmp_path: Path) -> None:
    first, second = a_wheel("hello.pkg", "1.0"), an_sdist("hello-pkg", "1.1")
    files = [a_file(first, "hello.pkg"), a_file(second, "hello-pkg", "1.1")]
    stage = a_stage({**a_project("hello.pkg", "1.0"), **a_project("hello-pkg", "1.1")}, files)
    content = {files[0]["relpath"]: first.content, files[1]["relpath"]: second.content}

    done = do_import(tmp_path / "server", ADump(indexes={DEV: stage}, content=content).write(tmp_path / "dump"))

    assert done.status == 0, done.err
    assert releases_in(tmp_path / "server") == {
        "hello-pkg": {"1.0": {"name": "hello.pkg", "version": "1.0"}, "1.1": {"name": "hello-pkg", "version": "1.1"}}
    }
    assert {file.project for file in files_in(tmp_path / "server")} == {"hello-pkg"}


def test_metadata_without_a_version_gets_the_one_it_is_listed_by(tmp_path: Path) -> None:
    versions = {"1.0": {"name": "pkg", "summary": "S", ":action": "x", "+doczip": {}, "+elinks": []}, "2.0": None}

    done = do_import(tmp_path / "server", ADump(indexes={DEV: a_stage({"pkg": versions})}).write(tmp_path / "dump"))

    assert "pkg: version metadata has no explicit version, setting derived 1.0" in done.err
    assert releases_in(tmp_path / "server") == {
        "pkg": {
            "1.0": {"name": "pkg", "summary": "S", "version": "1.0"},
            "2.0": {"name": "pkg", "version": "2.0"},
        }
    }


def test_versions_that_are_none_are_kept(tmp_path: Path) -> None:
    odd = an_sdist("pkg", "not-a-version")
    file = a_file(odd, "pkg", "not-a-version")
    dump = ADump(
        indexes={DEV: a_stage(a_project("pkg", "not-a-version", "1.0"), [file])},
        content={file["relpath"]: odd.content},
    )

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    assert [(one.version, one.filename) for one in files_in(tmp_path / "server")] == [("not-a-version", odd.filename)]
    assert set(releases_in(tmp_path / "server")["pkg"]) == {"1.0", "not-a-version"}


def test_two_spellings_of_a_version_are_one_release_and_told(tmp_path: Path) -> None:
    first, second = an_sdist("pkg", "1.0"), an_sdist("pkg", "1.0.0")
    files = [a_file(first), a_file(second, version="1.0.0")]
    content = {files[0]["relpath"]: first.content, files[1]["relpath"]: second.content}
    dump = ADump(indexes={DEV: a_stage(a_project("pkg", "1.0", "1.0.0"), files)}, content=content)

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert "pkg 1.0.0 is the same release as 1.0 here (PEP 440)" in done.err
    assert list(releases_in(tmp_path / "server")["pkg"]) == ["1.0"]
    assert {(one.version, one.filename) for one in files_in(tmp_path / "server")} == {
        ("1.0", first.filename), ("1.0", second.filename),
    }  # fmt: skip


ENDLESS = "1" * 5_000
"""More digits than Python makes a number of."""


@pytest.mark.parametrize("version", [ENDLESS, "1.0\x00", "1.0\n"], ids=["endless", "nul", "lines"])
def test_a_version_that_no_release_can_have_is_listed_and_all_else_is_imported(tmp_path: Path, version: str) -> None:
    dump = with_wheel()
    dump.indexes[DEV]["projects"]["pkg"][version] = {"name": "pkg", "version": version}
    folder = dump.write(tmp_path / "dump")

    refused = do_import(tmp_path / "server", folder)
    nothing = not (tmp_path / "server").exists()
    done = do_import(tmp_path / "server", folder, "--keep-going")

    said = f"ann/dev: pkg: version {version[:20]!r} (of {len(version)} characters) is none that a release can have\n"
    assert (refused.status, nothing) == (1, True)
    assert said in refused.err
    assert (done.status, said in done.err) == (1, True)
    assert releases_in(tmp_path / "server").keys() == {"pkg"}
    assert set(releases_in(tmp_path / "server")["pkg"]) == {"1.0"}


@pytest.mark.parametrize("where", ["version", "entrymapping"])
def test_a_file_of_a_version_that_no_release_can_have_is_listed(tmp_path: Path, where: str) -> None:
    dump = with_wheel()
    (file,) = dump.indexes[DEV]["files"]
    file |= {"version": ENDLESS} if where == "version" else {"version": None, "entrymapping": {"version": ENDLESS}}

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"), "--keep-going")

    assert done.status == 1
    assert f"{WHEEL.filename}: version '11111111111111111111' (of 5000 characters)" in done.err
    assert files_in(tmp_path / "server") == []


def test_metadata_that_cannot_be_what_it_is_called_is_left_out_and_told(tmp_path: Path) -> None:
    keys = {
        "name": "other", "version": 1.0, "summary": 5, "classifiers": {"a": 1}, "requires_dist": ["ok", 5],
        "requires_python": [">=3"], "platform": "any", "license": None, "strange": {"kept": True},
    }  # fmt: skip
    sdist = an_sdist()
    file = a_file(sdist)
    dump = ADump(indexes={DEV: a_stage({"pkg": {"1.0": keys}}, [file])}, content={file["relpath"]: sdist.content})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    for key in ("name", "summary", "classifiers", "requires_dist", "requires_python"):
        assert f"notice: ann/dev: pkg 1.0: {key} cannot be {keys[key]!r}, it is left out\n" in done.err
    assert releases_in(tmp_path / "server")["pkg"]["1.0"] == {
        "name": "pkg", "version": "1.0", "platform": "any", "license": None, "strange": {"kept": True},
    }  # fmt: skip
    assert [one.requires_python for one in files_in(tmp_path / "server")] == [None]


# Files


def test_a_file_keeps_its_bytes_date_and_log(tmp_path: Path) -> None:
    done = do_import(tmp_path / "server", with_wheel().write(tmp_path / "dump"))

    (file,) = files_in(tmp_path / "server")
    assert done.status == 0
    assert (file.path, file.digest, file.size) == (WHEEL.path, WHEEL.sha256, len(WHEEL.content))
    assert (file.uploaded_at, file.log) == (MODIFIED_AT, LOG)
    assert blob(tmp_path / "server", WHEEL.sha256) == WHEEL.content


def test_a_wheels_metadata_is_read_so_that_installers_get_it_alone(tmp_path: Path) -> None:
    wheel = a_wheel("pkg", "1.0", metadata=metadata_of("pkg", "1.0", ("dep",), ">=3.8"))
    file = a_file(wheel)
    dump = ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: wheel.content})

    do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    (found,) = files_in(tmp_path / "server")
    assert found.requires_python == ">=3.8"
    assert found.metadata_digest == wheel.metadata_sha256
    assert blob(tmp_path / "server", wheel.metadata_sha256) == wheel.metadata


def test_a_wheel_that_cannot_be_read_is_imported_without_metadata_and_told(tmp_path: Path) -> None:
    broken = b"no zip at all"
    file = a_file()
    file["entrymapping"] = {"md5": md5(broken), "last_modified": "Fri, 12 Sep 2014 13:18:55 GMT"}
    dump = ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: broken})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    (found,) = files_in(tmp_path / "server")
    assert done.status == 0
    assert f"{file['relpath']} is no wheel that can be read: it has no metadata of its own" in done.err
    assert (found.metadata_digest, found.requires_python) == (None, None)
    assert blob(tmp_path / "server", found.digest) == broken


def test_requires_python_of_the_release_counts_where_the_file_says_nothing(tmp_path: Path) -> None:
    sdist = an_sdist()
    file = a_file(sdist)
    versions = {"1.0": {"name": "pkg", "version": "1.0", "requires_python": ">=3.9"}}
    dump = ADump(indexes={DEV: a_stage({"pkg": versions}, [file])}, content={file["relpath"]: sdist.content})

    do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert [one.requires_python for one in files_in(tmp_path / "server")] == [">=3.9"]


@pytest.mark.parametrize("date", [LOG, None, []], ids=["log", "no-log", "empty"])
def test_a_file_without_a_log_gets_one(tmp_path: Path, date: list[dict[str, Any]] | None) -> None:
    do_import(tmp_path / "server", with_wheel(log=date).write(tmp_path / "dump"))

    (file,) = files_in(tmp_path / "server")
    made = [{"what": "upload", "who": "<import>", "when": [2014, 9, 12, 13, 18, 55], "dst": DEV}]
    assert file.log == (made if date is None else date)


def test_documentation_and_test_results_come_along(tmp_path: Path) -> None:
    docs = {**a_file(), "type": "doczip", "relpath": "ann/dev/pkg-1.0.doc.zip", "entrymapping": {}}
    results = [
        {
            **a_file(),
            "type": "toxresult",
            "relpath": f"ann/dev/pkg/sha256=x/{WHEEL.filename}{suffix}",
            "for_entrypath": f"ann/dev/+f/another/hash/{WHEEL.filename}",
            "entrymapping": {},
        }
        for suffix in (".toxresult0", ".toxresult-20200101000000-1")
    ]
    # Results come before what they are of: the order in a dump means nothing.
    dump = with_wheel()
    dump.indexes[DEV]["files"] = [*results, docs, *dump.indexes[DEV]["files"]]
    dump.content |= {docs["relpath"]: b"docs", results[0]["relpath"]: b"{}", results[1]["relpath"]: b"{}"}

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    found = {file.filename: file for file in files_in(tmp_path / "server")}
    place = WHEEL.path.rpartition("/")[0]
    assert found["pkg-1.0.doc.zip"].kind is Kind.DOCS
    assert {(file.path, file.for_path) for file in found.values() if file.kind is Kind.TOXRESULT} == {
        (f"{place}/{WHEEL.filename}.toxresult0", WHEEL.path),
        (f"{place}/{WHEEL.filename}.toxresult-20200101000000-1", WHEEL.path),
    }


@pytest.mark.parametrize(
    ("filename", "known", "version"),
    [
        ("pkg-1.0.tar.gz", ["1.0"], "1.0"),
        ("pkg-1.0_dev1.tar.gz", ["1.0-dev1"], "1.0-dev1"),
        ("pkg-1.0-py3.11.egg", ["1.0", "1.0.1"], "1.0"),
        ("pkg-1.0.win32.exe", ["1.0"], "1.0"),
        ("pkg-1.0_local.1-py3-none-any.whl", ["1.0+local.1"], "1.0+local.1"),
        ("pkg-9.tar.gz", ["1.0"], "9"),
    ],
)
def test_version_1_says_the_version_by_the_files_name_only(
    tmp_path: Path, filename: str, known: list[str], version: str
) -> None:
    file = {**a_file(), "relpath": f"ann/dev/pkg/{filename}", "entrymapping": {"md5": md5(b"x")}}
    del file["version"]
    dump = ADump(
        indexes={DEV: a_stage(a_project("pkg", *known), [file])},
        content={file["relpath"]: b"x"},
        more={"dumpversion": "1"},
    )

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    assert [one.version for one in files_in(tmp_path / "server")] == [version]
    assert version in releases_in(tmp_path / "server")["pkg"]


def test_hashes_of_every_algorithm_are_checked(tmp_path: Path) -> None:
    entry = {"hashes": {"sha256": WHEEL.sha256, "md5": "0" * 32}, "last_modified": "Fri, 12 Sep 2014 13:18:55 GMT"}
    dump = with_wheel(entrymapping=entry).write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump)

    place = dump / "ann/dev/pkg/1.0" / WHEEL.filename
    assert done.status == 1
    assert f"fatal: {place}: md5 mismatch, got {md5(WHEEL.content)}, expected {'0' * 32}\n" in done.err
    assert nothing_is_there(tmp_path / "server")


def damaged(tmp_path: Path, how: str) -> tuple[Path, str]:
    """A dump with a good sdist and a bad wheel; what is said of the bad one."""
    sdist = an_sdist("pkg", "1.0")
    good, bad = a_file(sdist), a_file()
    dump = with_wheel()
    dump.indexes[DEV]["files"] = [bad, good]
    dump.content[good["relpath"]] = sdist.content
    folder = tmp_path / "dump"
    place = folder / bad["relpath"]
    if how == "damaged":
        dump.content[bad["relpath"]] = b"other"
        got = hashlib.sha256(b"other").hexdigest()
        return dump.write(folder), f"{place}: sha256 mismatch, got {got}, expected {WHEEL.sha256}"
    if how == "missing":
        del dump.content[bad["relpath"]]
        return dump.write(folder), f"The file at {place} is missing."
    if how == "outside":
        bad["relpath"] = f"../{WHEEL.filename}"
    if how == "unlisted":
        bad["projectname"] = "other"
    if how == "kind":
        bad["type"] = "strange"
    if how == "orphan":
        bad |= {"type": "toxresult", "for_entrypath": "ann/dev/+f/a/b/other-1.0.tar.gz"}
    return dump.write(folder), f"{bad['relpath']}: "


HOW = ["damaged", "missing", "outside", "unlisted", "kind", "orphan"]


@pytest.mark.parametrize("how", HOW)
def test_a_file_that_cannot_be_taken_ends_the_import_and_there_is_no_server(tmp_path: Path, how: str) -> None:
    dump, said = damaged(tmp_path, how)

    done = do_import(tmp_path / "server", dump)

    assert done.status == 1
    assert done.err.startswith("fatal: ")
    assert said in done.err
    assert "--keep-going" in done.err
    assert "Traceback" not in done.err
    assert nothing_is_there(tmp_path / "server")


@pytest.mark.parametrize("how", HOW)
def test_with_keep_going_it_is_listed_at_the_end_and_all_else_is_imported(tmp_path: Path, how: str) -> None:
    dump, said = damaged(tmp_path, how)

    done = do_import(tmp_path / "server", dump, "--keep-going")

    assert done.status == 1
    assert "fatal: 1 could not be imported, everything else was:\n" in done.err
    assert said in done.err
    assert [file.filename for file in files_in(tmp_path / "server")] == ["pkg-1.0.tar.gz"]
    assert ServerDir(tmp_path / "server").has_data()


def test_a_dump_that_was_repaired_is_taken_up_again(tmp_path: Path) -> None:
    dump, _ = damaged(tmp_path, "missing")
    first = do_import(tmp_path / "server", dump)
    (dump / "ann/dev/pkg/1.0" / WHEEL.filename).write_bytes(WHEEL.content)

    second = do_import(tmp_path / "server", dump)

    assert (first.status, second.status) == (1, 0)
    assert "going on with it" in second.err
    assert {file.filename for file in files_in(tmp_path / "server")} == {WHEEL.filename, "pkg-1.0.tar.gz"}


def test_another_dump_does_not_go_on_where_the_first_stopped(tmp_path: Path) -> None:
    dump, _ = damaged(tmp_path, "missing")
    do_import(tmp_path / "server", dump)

    done = do_import(tmp_path / "server", ADump().write(tmp_path / "other"))

    assert done.status == 1
    assert "what is in it is not an interrupted import of the dump" in done.err
    assert str(tmp_path / "server") in done.err


def test_hard_links_are_made_after_the_hash_was_checked(tmp_path: Path) -> None:
    dump = with_wheel().write(tmp_path / "dump")

    done = do_import(tmp_path / "server", dump, "--hard-links")

    source = dump / "ann/dev/pkg/1.0" / WHEEL.filename
    assert done.status == 0, done.err
    assert ServerDir(tmp_path / "server").blobs.path(WHEEL.sha256).samefile(source)


def test_hard_links_do_not_let_a_damaged_file_in(tmp_path: Path) -> None:
    dump, said = damaged(tmp_path, "damaged")

    done = do_import(tmp_path / "server", dump, "--hard-links")

    assert done.status == 1
    assert said in done.err
    assert (dump / "ann/dev/pkg/1.0" / WHEEL.filename).stat().st_nlink == 1


def test_where_there_are_no_hard_links_files_are_copied_and_it_is_told_once(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk here")
    dump = with_wheel().write(tmp_path / "dump")
    elsewhere = other / f"stilton-{os.getpid()}-{tmp_path.name}"
    try:
        done = do_import(elsewhere, dump, "--hard-links")

        assert done.status == 0, done.err
        assert done.err.count("hard links cannot be made") == 1
        assert blob(elsewhere, WHEEL.sha256) == WHEEL.content
    finally:
        subprocess.run(["rm", "-rf", elsewhere], check=True)


# Mirrors


def mirror_dump() -> ADump:
    wheel = a_wheel("dep", "1.0")
    file = a_file(wheel, "dep", index="root/pypi")
    file["entrymapping"]["url"] = f"http://127.0.0.1:9/files/{wheel.filename}"
    versions = {"1.0": {"name": "dep", "version": "1.0", "requires_python": ">=3.8", "yanked": "broken"}}
    keys = {"type": "mirror", "volatile": False, "mirror_url": "http://127.0.0.1:9/simple/"}
    index = {"indexconfig": keys, "projects": {"dep": versions}, "files": [file]}
    return ADump(indexes={PYPI: index}, content={file["relpath"]: wheel.content})


def test_files_of_mirrors_are_held_and_listed_until_upstream_is_asked(tmp_path: Path) -> None:
    wheel = a_wheel("dep", "1.0")

    done = do_import(tmp_path / "server", mirror_dump().write(tmp_path / "dump"))

    assert done.status == 0, done.err
    with reading(tmp_path / "server") as connection:
        held = mirrors.held_file(connection, PYPI, wheel.path)
        packed = mirrors.page(connection, PYPI, ProjectName("dep"))
    assert held is not None
    assert held.held.digest == wheel.sha256
    assert held.held.metadata_digest == wheel.metadata_sha256
    assert held.last_modified == "Fri, 12 Sep 2014 13:18:55 GMT"
    assert packed is not None
    page = mirrors.unpack(packed)
    assert page.checked_at == 0
    assert isinstance(page.project, Project)
    (file,) = page.project.files
    assert (file.requires_python, file.yanked) == (">=3.8", "broken")
    assert file.url.endswith(wheel.filename)


def test_a_mirrors_files_can_be_had_from_the_new_server_without_its_upstream(tmp_path: Path) -> None:
    wheel = a_wheel("dep", "1.0")
    do_import(tmp_path / "server", mirror_dump().write(tmp_path / "dump"))

    with a_server(tmp_path / "server", "--offline-mode") as server:
        page = json.loads(server.get("/root/pypi/+simple/dep/", accept="application/vnd.pypi.simple.v1+json")[2])
        content = server.get(f"/root/pypi/{wheel.path}")[2]

    assert [file["filename"] for file in page["files"]] == [wheel.filename]
    assert page["files"][0]["yanked"] == "broken"
    assert content == wheel.content


# Death


MANY = 1000


def many(folder: Path) -> Path:
    """Files enough to be interrupted in."""
    files: list[dict[str, Any]] = []
    dump = ADump()
    projects: dict[str, Any] = {}
    for number in range(MANY):
        wheel = a_wheel(f"pkg{number}", "1.0")
        file = a_file(wheel, f"pkg{number}")
        files.append(file)
        dump.content[file["relpath"]] = wheel.content
        projects |= a_project(f"pkg{number}")
    dump.indexes = {DEV: a_stage(projects, files)}
    return dump.write(folder)


def whole(serverdir: Path) -> bool:
    found = files_in(serverdir)
    return len(found) == MANY and all(len(blob(serverdir, one.digest)) == one.size for one in found)


@pytest.mark.parametrize("rows", [0, 200])
def test_killed_at_any_point_it_is_no_server_and_goes_on_when_run_again(tmp_path: Path, rows: int) -> None:
    dump = many(tmp_path / "dump")
    server = tmp_path / "server"
    process = subprocess.Popen(
        [BIN / "devpi-import", "--serverdir", server, dump],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(),
    )  # fmt: skip
    until(lambda: len(list((server / "blobs").rglob("*/*/*"))) > rows, "it has begun")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert nothing_is_there(server)
    refused = run("devpi-server", "--serverdir", str(server))

    done = do_import(server, dump)

    assert refused.returncode == 1
    assert "holds an import or a restore that is not done" in refused.stderr
    assert done.status == 0, done.err
    assert whole(server)


@pytest.mark.parametrize("how", ["file", "folder"])
def test_a_link_out_of_the_dump_is_not_followed(tmp_path: Path, how: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / WHEEL.filename).write_bytes(WHEEL.content)
    dump = with_wheel().write(tmp_path / "dump")
    (place,) = (tmp_path / "dump").rglob(WHEEL.filename)
    place.unlink()
    if how == "folder":
        place.parent.rmdir()
        place.parent.symlink_to(outside)
    else:
        place.symlink_to(outside / WHEEL.filename)

    done = do_import(tmp_path / "server", dump)

    assert done.status == 1
    assert f"The file at {place} is a link that leads out of {tmp_path / 'dump'}." in done.err
    assert nothing_is_there(tmp_path / "server")
    assert not ServerDir(tmp_path / "server").blobs.has(WHEEL.sha256)


def test_a_pipe_in_a_dump_is_not_waited_for(tmp_path: Path) -> None:
    dump = with_wheel().write(tmp_path / "dump")
    (place,) = (tmp_path / "dump").rglob(WHEEL.filename)
    place.unlink()
    os.mkfifo(place)

    done = do_import(tmp_path / "server", dump)

    assert done.status == 1
    assert f"The file at {place} is no regular file." in done.err


@pytest.mark.parametrize("command", ["devpi-server", "devpi-export", "devpi-fsck", "devpi-import"])
def test_of_an_unfinished_import_every_command_says_how_to_end_it(tmp_path: Path, command: str) -> None:
    dump, _ = damaged(tmp_path, "missing")
    server = tmp_path / "server"
    do_import(server, dump)
    (tmp_path / "files").mkdir()
    more = {
        "devpi-export": [str(tmp_path / "out")],
        "devpi-import": ["--index", DEV, str(tmp_path / "files")],
    }  # fmt: skip

    done = run(command, "--serverdir", str(server), *more.get(command, []))

    assert done.returncode == 1
    assert "not done: if it was interrupted, run the same command again to end it" in done.stderr
    assert not (tmp_path / "out").exists()


def test_no_server_is_made_over_an_unfinished_import(tmp_path: Path) -> None:
    dump, _ = damaged(tmp_path, "missing")
    do_import(tmp_path / "server", dump)

    for command in (["devpi-init"], ["devpi-server", "--init"]):
        done = run(command[0], "--serverdir", str(tmp_path / "server"), *command[1:], "--no-root-pypi")

        assert done.returncode == 1
        assert "holds an import or a restore that is not done: if it was interrupted, run the same" in done.stderr
        assert not (tmp_path / "server" / ".nodeinfo").exists()


def test_a_full_disk_is_said_as_such_and_the_import_goes_on_when_there_is_room(tmp_path: Path) -> None:
    big = a_wheel("pkg", "1.0", payload=bytes(3 << 20))
    file = a_file(big)
    dump = ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: big.content})
    folder = dump.write(tmp_path / "dump")
    # What a process may write to one file: as if the disk ended there.
    limited = f"trap '' XFSZ; ulimit -f 2048; exec {BIN / 'devpi-import'} --serverdir {tmp_path / 'server'} {folder}"
    full = subprocess.run(
        ["bash", "-c", limited], capture_output=True, text=True, check=False, timeout=60, env=clean_env()
    )

    assert full.returncode == 1
    assert "the server's disk did not take" in full.stderr
    assert "run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    assert nothing_is_there(tmp_path / "server")
    assert do_import(tmp_path / "server", folder).status == 0
    assert blob(tmp_path / "server", big.sha256) == big.content


def test_an_import_that_runs_keeps_a_second_one_out(tmp_path: Path) -> None:
    place = ServerDir(tmp_path / "server")
    (tmp_path / "server").mkdir()
    place.lock()
    try:
        done = do_import(tmp_path / "server", with_wheel().write(tmp_path / "dump"))
    finally:
        place.unlock()

    assert done.status == 1
    assert f"is in use by process {os.getpid()}" in done.err
    assert done.out == ""


def test_a_project_without_releases_is_kept(tmp_path: Path) -> None:
    do_import(tmp_path / "server", ADump(indexes={DEV: a_stage({"pkg": {}})}).write(tmp_path / "dump"))

    with reading(tmp_path / "server") as connection:
        assert stages.names(connection, DEV) == ["pkg"]
