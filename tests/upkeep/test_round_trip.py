"""From a devpi-server to this program and back: what its JSON says before and after, entry by entry."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import Dist, a_wheel, an_sdist
from tests.support.devpi import DEVPI_BIN, ROOT, Yard, a_doc_zip, their_yard
from tests.support.publish import BOUNDARY, PASSWORD, a_form, basic, fields_of
from tests.support.server import Server, a_server, run

pytestmark = pytest.mark.skipif(
    not (DEVPI_BIN / "devpi-server").exists(), reason="devpi-server is not installed: make .venv-devpi/.done"
)

FORM = f"multipart/form-data; boundary={BOUNDARY}"
WHEEL = a_wheel("hello-pkg", "1.0", requires=("dep",))
AGAIN = a_wheel("hello-pkg", "1.0", payload=b"again")
SDIST = an_sdist("hello-pkg", "1.0")
OTHER = a_wheel("Other.Pkg", "2.0rc1")
ODD_VERSIONS = ("2!1.0+local.1", "1.0.dev3", "2020.05.01", "1.0.post2")
DEP = a_wheel("dep", "1.0")
PAGES = ("/", "/ann/base", "/ann/dev", *(
    f"/ann/{index}/{project}" for index in ("base", "dev") for project in ("hello-pkg", "other-pkg", "only-registered", "odd")
))  # fmt: skip
"""What is compared."""
FRESH = b"""\
Metadata-Version: 2.4
Name: fresh
Version: 1.0
Dynamic: Keywords
License-File: LICENSE
License-Expression: MIT
Provides-Extra: all
Project-URL: Home, http://127.0.0.1/

Text.
"""


def post(server: Server, index: str, body: bytes, user: str = "ann") -> None:
    status, answer = server.send("POST", f"/{index}/", body, content_type=FORM, authorization=basic(user))
    assert status == 200, answer


def upload(server: Server, index: str, dist: Dist, name: str, version: str, **more: Any) -> None:
    post(server, index, a_form(fields_of(dist, name, version, **more), dist.filename, dist.content))


def fill(yard: Yard, docs: bytes) -> None:
    """Users with all their keys, two indexes, files of every kind, a push, an overwrite, a mirror's file."""
    server = yard.server
    texts = {"email": "ann@x.example", "title": "Ann", "description": "D", "custom_data": {"a": [1, "b"]}}
    yard.send("PUT", "/ann", {"password": PASSWORD, **texts})
    yard.send("PUT", "/bob", {"password": PASSWORD})
    acls = {"acl_upload": ["ann", "bob", ":team"], "acl_toxresult_upload": ["bob"], "mirror_whitelist": ["dep"]}
    yard.send("PUT", "/ann/base", {"bases": "root/pypi", "volatile": False, "title": "The base", **acls})
    yard.send("PUT", "/ann/dev", {"bases": "ann/base", "mirror_whitelist_inheritance": "union"})
    upload(server, "ann/dev", WHEEL, "hello-pkg", "1.0", summary="S", requires_python=">=3.8", classifiers=["A", "B"])
    upload(server, "ann/dev", SDIST, "hello-pkg", "1.0")
    upload(server, "ann/dev", OTHER, "Other.Pkg", "2.0rc1")
    post(server, "ann/dev", a_form({":action": "doc_upload", "name": "hello-pkg", "version": "1.0"}, "x.zip", docs))
    post(server, "ann/dev", a_form({":action": "submit", "name": "only-registered", "version": "0.1"}))
    for version in ODD_VERSIONS:
        upload(server, "ann/dev", a_wheel("odd", version), "odd", version, description="# Hällo", author="Ä")
        post(server, "ann/dev", a_form({":action": "doc_upload", "name": "odd", "version": version}, "x.zip", docs))
    result = json.dumps({"testenvs": {"py": {"test": []}}}).encode()
    tested = server.send("POST", f"/ann/dev/{WHEEL.path}", result, authorization=basic("bob"))
    again = server.send("POST", f"/ann/dev/{a_wheel('odd', ODD_VERSIONS[0]).path}", result, authorization=basic("bob"))
    push = json.dumps({"name": "hello-pkg", "version": "1.0", "targetindex": "ann/base"}).encode()
    pushed = server.send("POST", "/ann/dev", push, authorization=basic("ann"))
    upload(server, "ann/dev", AGAIN, "hello-pkg", "1.0")
    mirrored = server.get("/root/pypi/+simple/dep/")[0], server.get(f"/root/pypi/{DEP.path}")[0]
    assert (tested[0], again[0], pushed[0], *mirrored) == (200, 200, 200, 200, 200)


def said(server: Server) -> dict[str, Any]:
    """What a server says on every page, in one order, and the bytes of every file that is linked."""
    found: dict[str, Any] = {}
    for path in PAGES:
        status, _, body = server.get(path, accept="application/json", authorization=basic("root", ROOT))
        found[path] = json.loads(body)["result"] if status == 200 else status
    text = json.dumps(found).replace(server.url, "SERVER")
    hrefs = sorted(set(re.findall(r'"href": "SERVER(/[^"]*)"', text)))
    assert hrefs
    result: dict[str, Any] = ordered(json.loads(text))
    return {**result, "files": {href: server.get(href, authorization=basic("ann"))[::2] for href in hrefs}}


def ordered(value: Any) -> Any:
    """Links come in no order that means something; nor do some lists of names."""
    if isinstance(value, dict):
        # A release without files: one says an empty list, the other nothing.
        return {key: ordered(each) for key, each in value.items() if (key, each) != ("+links", [])}
    if isinstance(value, list):
        parts = [ordered(each) for each in value]
        return sorted(parts, key=repr) if any(isinstance(each, dict) and "rel" in each for each in parts) else parts
    return value


def logs_in(server: Server, user: str, password: str) -> bool:
    status, _ = server.send_json("POST", "/+login", {"user": user, "password": password})
    return status == 200


class Trip:
    """What each server on the way said, and where its data and dumps are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "docs").mkdir()
        a_doc_zip(folder / "docs", "x.zip")
        with their_yard(folder / "theirs") as yard:
            fill(yard, (folder / "docs" / "x.zip").read_bytes())
            self.before = said(yard.server)
        self.carry(DEVPI_BIN / "devpi-export", "theirs", "dump1")
        self.carry("devpi-import", "ours", "dump1")
        self.carry("devpi-export", "ours", "dump2")
        self.carry(DEVPI_BIN / "devpi-import", "back", "dump2")

    def carry(self, command: str | Path, serverdir: str, dump: str) -> None:
        mirrored = ["--include-mirrored-files"] if "export" in str(command) else []
        done = run(command, "--serverdir", str(self.folder / serverdir), *mirrored, str(self.folder / dump))
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Trip:
    return Trip(tmp_path_factory.mktemp("trip"))


def test_what_devpi_had_is_here(trip: Trip) -> None:
    with a_server(trip.folder / "ours", "--offline-mode") as server:
        here = said(server)
        logins = [logs_in(server, user, PASSWORD) for user in ("ann", "bob")] + [logs_in(server, "root", ROOT)]
        metadata = server.get(f"/ann/base/{WHEEL.path}.metadata")
        mirrored = server.get(f"/root/pypi/{DEP.path}")[2]

    assert here == trip.before
    assert logins == [True, True, True]
    assert metadata[2] == WHEEL.metadata
    assert mirrored == DEP.content


def test_what_is_here_is_at_devpi_again(trip: Trip) -> None:
    with a_server(trip.folder / "back", "--offline-mode", command=DEVPI_BIN / "devpi-server", ready="/+api") as server:
        back = said(server)
        logins = [logs_in(server, user, PASSWORD) for user in ("ann", "bob")] + [logs_in(server, "root", ROOT)]
        mirrored = server.get(f"/root/pypi/{DEP.path}")[2]

    assert back == trip.before
    assert logins == [True, True, True]
    assert mirrored == DEP.content


def test_what_was_uploaded_here_is_read_by_devpi(trip: Trip) -> None:
    wheel = a_wheel("fresh", "1.0", metadata=FRESH)
    trip.carry("devpi-import", "mine", "dump1")
    with a_server(trip.folder / "mine", "--offline-mode") as server:
        upload(server, "ann/dev", wheel, "fresh", "1.0")
        removed = server.send("DELETE", "/ann/dev/other-pkg", authorization=basic("ann"))
    trip.carry("devpi-export", "mine", "dump3")
    trip.carry(DEVPI_BIN / "devpi-import", "yours", "dump3")

    with a_server(trip.folder / "yours", "--offline-mode", command=DEVPI_BIN / "devpi-server", ready="/+api") as server:
        release = json.loads(server.get("/ann/dev/fresh/1.0", accept="application/json")[2])["result"]
        content = server.get(f"/ann/dev/{wheel.path}")[2]
        gone = server.get("/ann/dev/other-pkg", accept="application/json")[0]

    assert removed[0] == 200
    assert (release["license_expression"], release["dynamic"]) == ("MIT", ["Keywords"])
    assert content == wheel.content
    assert gone == 404
