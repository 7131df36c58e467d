"""`devpi status`: how the server is, and who may do what."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from stilton_client.commands.status import MAY, MAY_NOT, UNKNOWN, You, facts, rights
from tests.support.devpi import Client, Yard
from tests.support.upstream import Body, FakeUpstream, Status, Threaded

ANN = You("ann", "valid", ("dev",))
NOBODY = You(None, "none")
STAGE: dict[str, Any] = {"type": "stage", "volatile": True, "acl_upload": ["ann"]}


def a_reply(type_: str, result: object) -> Body:
    return Body(json.dumps({"type": type_, "result": result}).encode(), "application/json")


def test_server_and_rights_are_shown(devpi: Client) -> None:
    devpi.follow(
        """
        $ devpi status
        SERVER/ is healthy
        version:…7.…
        uuid:…
        serial:…, committed 20…Z
        upstreams:
        root/pypi…up
        you are ME
        on ME/dev (stage, bases root/pypi):
        may  read…
        may  upload…acl_upload names ME
        may  push to…
        may  remove…
        may  change…you are ME…
        may  create indexes…
    """.replace("           ", "…").replace("          ", "…")
    )


def test_who_is_not_logged_in_may_only_read(devpi: Client) -> None:
    devpi.lines("devpi logoff")

    devpi.follow("""
        $ devpi status
        you are not logged in
        may…read…
        may not…upload…acl_upload names ME
        may not…remove…
        may not…change…ME and root may
        may not…create indexes…nobody is logged in
    """)


def test_an_index_that_others_may_not_read_tells_them_nothing(devpi: Client, yard: Yard, tmp_path: Path) -> None:
    devpi.lines("devpi index dev acl_pkg_read=ME")
    other = yard.client(tmp_path / "other")

    status, lines = other.run(f"devpi status --json --index {devpi.me}/dev")

    told = json.loads("\n".join(lines))
    assert status == 0
    assert {one["right"]: one["answer"] for one in told["you"]["rights"]}["upload"] == UNKNOWN
    assert told["index"]["acl_pkg_read"] is None


def test_json_has_all_of_it(devpi: Client) -> None:
    told = json.loads("\n".join(devpi.lines("devpi status --index prod --json")))

    assert told["healthy"] is True
    assert told["server"] == f"{devpi.server.url}/"
    assert told["upstreams"]["root/pypi"]["state"] == "up"
    assert told["you"]["user"] == devpi.me
    assert told["you"]["login"] == "valid"
    assert {one["right"]: one["answer"] for one in told["you"]["rights"]} == {
        "read": MAY, "upload": MAY, "push to": MAY, "remove": MAY_NOT, "change": MAY, "create indexes": MAY,
    }  # fmt: skip


def test_a_login_that_has_ended_is_told(devpi: Client) -> None:
    path = devpi.folder / ".devpi" / "client" / "auth.json"
    path.write_text(json.dumps({"auth": {f"{devpi.server.url}/": [[devpi.me, "no token any more"]]}}))

    devpi.follow("""
        $ devpi status
        the login of ME has ended: devpi login ME
        may not…upload…
    """)


def test_a_server_without_an_index_has_a_state_too(devpi: Client) -> None:
    devpi.follow("""
        $ devpi use SERVER
        $ devpi status
        SERVER/ is healthy
        you are ME
        no index in use: devpi use USER/NAME
    """)


def test_a_mirror_that_does_not_answer_is_shown(devpi: Client, yard: Yard) -> None:
    yard.send("PUT", "/root/gone", {"type": "mirror", "mirror_url": f"http://127.0.0.1:{free_port()}/simple/"})
    devpi.run("devpi list --index root/gone dep")

    told = json.loads("\n".join(devpi.lines("devpi status --json")))

    gone = told["upstreams"]["root/gone"]
    assert gone["state"] in ("failing", "down")
    assert gone["why"]
    assert any("root/gone" in line and gone["state"] in line for line in devpi.lines("devpi status"))


def test_no_server_is_an_error(devpi: Client) -> None:
    port = free_port()

    status, lines = devpi.run("devpi status", DEVPI_INDEX=f"http://127.0.0.1:{port}/a/b")

    assert status == 1
    assert any("could not connect" in line for line in lines)


def test_no_such_index_is_an_error(devpi: Client) -> None:
    status, lines = devpi.run("devpi status --index ME/nix")

    assert status == 1
    assert "Traceback" not in "\n".join(lines)


def test_another_server_tells_what_it_knows(devpi: Client) -> None:
    with Threaded() as other:
        a_sick_server(other)
        status, lines = devpi.run(f"devpi status --index {other.url.removesuffix('simple/')}root/pypi")

    said = "\n".join(lines)
    assert status == 1
    assert "is NOT healthy: its log says why" in said
    assert "warning: the password of root is empty" in said
    assert "started:     2024-05-06 07:08:09Z" in said
    assert "disk:        500.0 MB of 2.0 GB free, LOW: mirrors keep nothing new" in said
    assert "kept:        12 files, 34.0 MB, as of 2024-05-06T07:00:00Z" in said
    assert "root/pypi          3 files, 30.0 MB, would free 1.0 MB" in said
    assert "primary:     http://ann:****@primary/, in sync not told by this server" in said
    assert "root/pypi          down: no route, since yesterday, only what is cached is served" in said
    assert "may not  upload          a mirror takes no uploads" in said
    assert "secret" not in said


def a_sick_server(other: FakeUpstream) -> None:
    api = {"login": "/+login", "authstatus": ["noauth", "", []], "index": "/root/pypi"}
    other.faults["/root/pypi/+api"] = other.faults["/+api"] = a_reply("apiconfig", api)
    mirror = {"type": "mirror", "volatile": False, "mirror_url": "http://ann:secret@x/"}
    other.faults["/root/pypi"] = a_reply("indexconfig", mirror)
    other.faults["/+health"] = Status(500)
    down = {"state": "down", "why": "no route", "since": "yesterday", "held-only": True}
    disk = {
        "free": 500_000_000, "total": 2_000_000_000, "low": True, "would_free": 1_000_000,
        "blobs": {"files": 12, "bytes": 34_000_000}, "swept_at": "2024-05-06T07:00:00Z",
        "indexes": {"root/pypi": {"files": 3, "bytes": 30_000_000, "would_free": 1_000_000}},
    }  # fmt: skip
    other.faults["/+status"] = a_reply("status", {
        "warnings": ["the password of root is empty"], "started-at": 1714979289, "disk": disk,
        "primary-url": "http://ann:secret@primary/", "upstreams": {"root/pypi": down},
    })  # fmt: skip


def test_what_a_server_does_not_tell_is_none() -> None:
    told = facts({"versioninfo": {"devpi-server": "6.19.1"}})

    assert told["version"] == "6.19.1"
    assert told["disk"] is told["upstreams"] is told["started_at"] is None
    assert told["warnings"] == []


@pytest.mark.parametrize(
    ("config", "you", "right", "answer"),
    [
        pytest.param(STAGE, ANN, "upload", MAY, id="listed"),
        pytest.param(STAGE, You("root", "valid"), "upload", MAY_NOT, id="root is not listed"),
        pytest.param(STAGE, You("team", "valid"), "upload", MAY_NOT, id="nor is the owner"),
        pytest.param(STAGE, You("ann", "ended"), "upload", MAY_NOT, id="an ended login counts for nothing"),
        pytest.param({**STAGE, "acl_upload": [":dev"]}, ANN, "upload", MAY, id="by group"),
        pytest.param({**STAGE, "acl_upload": "bob, ann"}, ANN, "push to", MAY, id="a list as text"),
        pytest.param({**STAGE, "acl_upload": [":authenticated:"]}, ANN, "upload", MAY, id="everybody logged in"),
        pytest.param({**STAGE, "acl_upload": [":authenticated:"]}, NOBODY, "upload", MAY_NOT, id="who is not"),
        pytest.param({"type": "mirror"}, You("root", "valid"), "upload", MAY_NOT, id="a mirror"),
        pytest.param(STAGE, You("root", "valid"), "remove", MAY, id="root removes"),
        pytest.param({**STAGE, "volatile": False}, ANN, "remove", MAY_NOT, id="not volatile"),
        pytest.param({**STAGE, "acl_pkg_read": ["bob"]}, ANN, "read", MAY_NOT, id="restricted"),
        pytest.param({**STAGE, "acl_pkg_read": []}, You("team", "valid"), "read", MAY, id="the owner reads"),
        pytest.param(STAGE, NOBODY, "read", MAY, id="everybody reads"),
        pytest.param(STAGE, ANN, "change", MAY_NOT, id="not the owner"),
        pytest.param(STAGE, You("team", "valid"), "change", MAY, id="the owner changes"),
        pytest.param(None, ANN, "read", UNKNOWN, id="nothing told"),
        pytest.param(None, ANN, "create indexes", MAY, id="of his own"),
    ],
)
def test_rights_are_read_from_the_configuration(
    config: dict[str, Any] | None, you: You, right: str, answer: str
) -> None:
    found = {one.right: one for one in rights(config, "team", you)}

    assert found[right].answer == answer
    assert found[right].because
