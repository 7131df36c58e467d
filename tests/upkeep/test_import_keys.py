"""`devpi-import`: users' and indexes' keys that cannot be what they are called. Told, and nobody gets a right by them."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.server import a_server
from tests.upkeep.dumps import DEV, ADump, Done, a_stage, a_user, do_import, keys_in, user_in, with_wheel

PYPI = "root/pypi"
HASH = "$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"


def imported(tmp_path: Path, key: str, value: Any) -> tuple[Done, dict[str, Any]]:
    """What is said of a private index with this key, and its keys after."""
    done = do_import(tmp_path / "server", ADump(indexes={DEV: a_stage(**{key: value})}).write(tmp_path / "dump"))
    assert done.status == 0, done.err
    return done, keys_in(tmp_path / "server") or {}


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        ("bases", "root/pypi, ann/dev", ["root/pypi", "ann/dev"]),
        ("acl_upload", "ann,:anonymous:", ["ann", ":ANONYMOUS:"]),
        ("volatile", "no", False),
        ("mirror_whitelist", "A.b", ["a-b"]),
        ("title", 5, "5"),
    ],
)
def test_a_key_in_another_spelling_is_what_the_api_makes_of_it(
    tmp_path: Path, key: str, value: Any, taken: Any
) -> None:
    done, keys = imported(tmp_path, key, value)

    assert keys[key] == taken
    assert f"notice: index ann/dev: {key} is taken as {taken}\n" in done.err


@pytest.mark.parametrize("value", [5, {"ann": True}, [5], [["ann"]], None, True], ids=str)
@pytest.mark.parametrize("key", ["acl_upload", "acl_toxresult_upload", "acl_pkg_read"])
def test_a_broken_list_of_rights_gives_them_to_nobody(tmp_path: Path, key: str, value: Any) -> None:
    done, keys = imported(tmp_path, key, value)

    assert keys[key] == []
    assert f"notice: index ann/dev: {key} cannot be taken: " in done.err


@pytest.mark.parametrize(
    ("key", "value", "becomes"),
    [
        ("volatile", "maybe", False),
        ("bases", ["no-slash"], []),
        ("bases", {"a/b": 1}, []),
        ("mirror_whitelist", ["*", "no name"], []),
        ("mirror_whitelist_inheritance", "both", "intersection"),
    ],
    ids=str,
)
def test_what_a_key_cannot_be_becomes_what_opens_nothing(tmp_path: Path, key: str, value: Any, becomes: Any) -> None:
    done, keys = imported(tmp_path, key, value)

    assert keys[key] == becomes
    assert f"notice: index ann/dev: {key} cannot be taken: " in done.err
    assert "Until it is set, " in done.err


@pytest.mark.parametrize(
    ("key", "value"), [("retain_dev_releases", "many"), ("retain_dev_releases", -1), ("custom_data", "x" * 100_001)],
    ids=["text", "negative", "large"],
)  # fmt: skip
def test_other_keys_that_cannot_be_are_left_out(tmp_path: Path, key: str, value: Any) -> None:
    done, keys = imported(tmp_path, key, value)

    assert key not in keys
    assert f"notice: index ann/dev: {key} cannot be taken: " in done.err


@pytest.mark.parametrize("url", ["file:///etc", "", None, 5, ["http://127.0.0.1/"], "http://ann:secret@ /"], ids=str)
@pytest.mark.parametrize("name", [PYPI, "ann/mirror"])
def test_a_mirror_of_a_broken_url_asks_nobody_and_least_of_all_pypi(tmp_path: Path, name: str, url: Any) -> None:
    keys = {"type": "mirror", "volatile": False, "mirror_url": url, "bases": 5}
    dump = ADump(indexes={name: {"indexconfig": keys, "projects": {}, "files": []}})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    found = keys_in(tmp_path / "server", name) or {}
    assert done.status == 0, done.err
    assert "mirror_url" not in found
    assert "bases" not in found
    assert f"notice: index {name}: mirror_url cannot be taken: " in done.err
    assert "Until it is set, it asks no upstream" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mirror_cache_expiry", "soon"), ("mirror_cache_expiry", -1), ("mirror_cache_expiry", 10**400),
        ("mirror_cache_max_size", -5), ("mirror_cache_max_age", []), ("mirror_use_external_urls", "perhaps"),
    ],
    ids=["text", "negative", "endless", "size", "age", "switch"],
)  # fmt: skip
def test_a_mirrors_keys_that_cannot_be_are_left_out(tmp_path: Path, key: str, value: Any) -> None:
    keys = {"type": "mirror", "mirror_url": "http://127.0.0.1:9/simple/", key: value}
    dump = ADump(indexes={PYPI: {"indexconfig": keys, "projects": {}, "files": []}})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    assert key not in (keys_in(tmp_path / "server", PYPI) or {})
    assert f"notice: index {PYPI}: {key} cannot be taken: " in done.err


def test_a_private_root_pypi_gets_nothing_of_the_mirror_that_it_replaces(tmp_path: Path) -> None:
    do_import(tmp_path / "server", ADump(indexes={PYPI: a_stage()}).write(tmp_path / "dump"))

    assert not any(key.startswith("mirror_u") for key in keys_in(tmp_path / "server", PYPI) or {})


@pytest.mark.parametrize(
    "pwhash",
    [5, "secret", "$argon2id$v=19$m=99999999,t=2,p=8$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "0123"],
    ids=["number", "text", "costly", "old"],
)
def test_a_password_that_cannot_be_checked_is_told_and_lets_nobody_in(tmp_path: Path, pwhash: Any) -> None:
    dump = ADump(users={"root": a_user("root", pwhash=HASH), "ann": a_user("ann", pwhash=pwhash)})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    assert "the password of user 'ann' cannot be checked: set a new one with devpi-passwd ann." in done.err
    assert "secret" not in done.err
    assert [user_in(tmp_path / "server", name)[0] for name in ("root", "ann")] == [HASH, ""]


def test_dates_and_texts_of_a_user_that_cannot_be_are_left_out_and_told(tmp_path: Path) -> None:
    keys = {"created": "yesterday", "modified": 5, "email": ["a@x"], "title": "T", "custom_data": "x" * 70_000}
    dump = ADump(users={"root": a_user("root"), "ann": a_user("ann", **keys)})

    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    assert done.status == 0, done.err
    assert user_in(tmp_path / "server", "ann")[1] == {
        "username": "ann", "created": "1970-01-01T00:00:00Z", "title": "T",
    }  # fmt: skip
    for key in ("created", "modified", "email", "custom_data"):
        assert f"notice: user 'ann': {key} is left out: " in done.err


def test_a_server_with_all_of_that_starts_and_shows_it(tmp_path: Path) -> None:
    dump = with_wheel()
    keys = dump.indexes[DEV]["indexconfig"]
    keys |= {"bases": 5, "volatile": "maybe", "acl_pkg_read": 5, "acl_upload": {}, "mirror_whitelist": 1}
    dump.indexes[PYPI] = {"indexconfig": {"type": "mirror", "mirror_url": "file:///x", "volatile": []}}
    done = do_import(tmp_path / "server", dump.write(tmp_path / "dump"))

    with a_server(tmp_path / "server") as server:
        status, _, _ = server.get("/+api")
        hidden, _, _ = server.get("/ann/dev/+simple/pkg/")
        nothing, _, _ = server.get("/root/pypi/+simple/pkg/")

    assert done.status == 0, done.err
    assert (status, hidden) == (200, 401)
    assert nothing < 500 or nothing == 503
