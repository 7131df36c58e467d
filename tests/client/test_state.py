"""What is remembered, shared with devpi-client, and which index and login a command is about."""

import json
import stat
from pathlib import Path

import pytest

from stilton_client.errors import Failure
from stilton_client.state import State
from tests.support.devpi import THEIRS, Client, Yard

ROOT = "http://localhost:3141/"


def a_state(folder: Path, **environ: str) -> State:
    return State(folder, environ)


def test_a_login_is_found_from_every_url_of_its_server_and_from_no_other(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    state.log_in(ROOT, "alice", "token-a")

    assert state.token(f"{ROOT}alice/dev/+f/1/2/x.whl?a=b") == ("alice", "token-a")
    assert state.token(ROOT) == ("alice", "token-a")
    for other in (
        "http://localhost:3142/",
        "https://localhost:3141/",
        "http://localhost/",
        "http://example.com:3141/x",
    ):
        assert state.token(other) is None


def test_two_servers_below_one_host_have_logins_of_their_own(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    state.log_in("http://h/one/", "alice", "1")
    state.log_in("http://h/two/", "alice", "2")

    assert state.token("http://h/one/alice/dev") == ("alice", "1")
    assert state.token("http://h/two/alice/dev") == ("alice", "2")
    assert state.token("http://h/three/") is None


def test_the_last_login_is_the_one_in_use_and_the_others_stay(tmp_path: Path) -> None:
    state = a_state(tmp_path)
    state.update(login=f"{ROOT}+login")
    for user in ("alice", "bob", "carol"):
        state.log_in(ROOT, user, f"token of {user}")

    again = a_state(tmp_path)
    assert again.user() == "carol"
    assert again.user("alice") == "alice"
    assert a_state(tmp_path, DEVPI_USER="bob").token(ROOT) == ("bob", "token of bob")
    assert a_state(tmp_path, DEVPI_USER="nobody").token(ROOT) is None
    assert json.loads((tmp_path / "auth.json").read_text())["auth"][ROOT][0] == ["carol", "token of carol"]

    again.log_off(ROOT, "carol")
    assert a_state(tmp_path).token(ROOT) is None
    assert a_state(tmp_path, DEVPI_USER="bob").user() == "bob"


def test_files_are_private_and_what_others_wrote_into_them_stays(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"client_cert": {"http://x:80/": "/a.pem"}, "new": [1]}))
    (tmp_path / "current.json").write_text(json.dumps({"index": None, "of a plugin": True}))
    (tmp_path / "auth.json").chmod(0o644)
    state = a_state(tmp_path)

    state.log_in(ROOT, "alice", "token")

    auth = json.loads((tmp_path / "auth.json").read_text())
    assert auth["new"] == [1]
    assert state.client_cert("http://x/deep/er") == "/a.pem"
    assert json.loads((tmp_path / "current.json").read_text())["of a plugin"] is True
    for name in ("auth.json", "current.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auth.json", "current.json"]


@pytest.mark.parametrize("content", ["{", "[1]", "nonsense", '"text"'])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "auth.json").write_text(content)

    with pytest.raises(Failure, match=r"auth\.json is damaged"):
        a_state(tmp_path)
    assert (tmp_path / "auth.json").read_text() == content


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "current.json").write_text(content)

    assert a_state(tmp_path).root is None


def test_entries_of_another_shape_are_no_logins(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"auth": {ROOT: ["alice", ["bob"], None, ["carol", "token"]]}}))

    assert a_state(tmp_path).token(ROOT) == ("carol", "token")
    (tmp_path / "auth.json").write_text(json.dumps({"auth": [["alice", "token"]], "basic_auth": {ROOT: "x"}}))
    assert a_state(tmp_path).token(ROOT) is None
    assert a_state(tmp_path).basic_auth(ROOT) is None


def test_an_environment_may_have_a_state_of_its_own(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    client = tmp_path / "client"
    a_state(client).update(index="http://h/a/b")
    with pytest.raises(Failure, match="only valid in an active virtualenv"):
        a_state(client).make_local()

    state = a_state(client, VIRTUAL_ENV=str(venv))
    assert state.make_local() == venv / "devpi.json"
    state.update(index="http://h/c/d")

    assert a_state(client, VIRTUAL_ENV=str(venv)).current["index"] == "http://h/c/d"
    assert a_state(client).current["index"] == "http://h/a/b"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Failure, match=r"current\.json cannot be (read|written)"):
        a_state(tmp_path / "file" / "client").update(index="x")


# -- with devpi-client ----------------------------------------------------------------------------


def test_devpi_client_and_ours_go_on_where_the_other_stopped(yard: Yard, tmp_path: Path) -> None:
    ours = yard.client(tmp_path / "home")
    theirs = Client(ours.server, ours.upstream, ours.folder, ours.me, THEIRS)

    theirs.follow("""
        $ devpi use
        current devpi index: SERVER/ME/dev (logged in as ME)
        $ devpi use prod
        current devpi index: SERVER/ME/prod (logged in as ME)
    """)
    ours.follow("""
        $ devpi use
        current devpi index: SERVER/ME/prod (logged in as ME)
        $ devpi logoff
        login information deleted
    """)
    theirs.follow("""
        $ devpi use
        current devpi index: SERVER/ME/prod (not logged in)
    """)


# -- which index ----------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["SERVER/ME/prod", "ME/prod", "/ME/prod/", "prod"])
def test_the_environment_names_another_index_for_a_while(devpi: Client, named: str) -> None:
    named = named.replace("SERVER", devpi.server.url).replace("ME", devpi.me)
    before = (devpi.folder / ".devpi/client/current.json").read_text()

    lines = devpi.lines("devpi index --no-projects", DEVPI_INDEX=named)
    used = devpi.lines("devpi use", DEVPI_INDEX=named)

    assert f"Using DEVPI_INDEX from environment: {named}" in lines
    assert f"{devpi.server.url}/{devpi.me}/prod?no_projects=:" in lines
    assert f"current devpi index: {devpi.server.url}/{devpi.me}/prod (logged in as {devpi.me})" in used
    assert (devpi.folder / ".devpi/client/current.json").read_text() == before


@pytest.mark.parametrize("named", ["SERVER/ME/prod", "ME/prod", "prod"])
def test_an_option_names_another_index_for_one_command(devpi: Client, named: str) -> None:
    named = named.replace("SERVER", devpi.server.url).replace("ME", devpi.me)

    lines = devpi.lines(f"devpi list --index {named} dep")

    assert len(lines) == 2


def test_an_index_of_another_form_is_refused(devpi: Client) -> None:
    devpi.follow("""
        $ devpi list --index a/b/c
        index 'a/b/c' not of form USER/NAME or NAME
        [1]
        $ devpi list --index no/such
        404 Not Found: The stage no/such could not be found.
        [1]
        $ devpi list --index SERVER
        SERVER is a server, not an index
        [1]
    """)


def test_without_a_server_everything_says_what_to_do(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    devpi = Client(yard.server, yard.upstream, tmp_path / "home")

    devpi.follow("""
        $ devpi use
        no server: type 'devpi use URL' with a URL pointing to a server or directly to an index.
        $ devpi use -l
        not connected to any server
        [1]
        $ devpi use root/pypi
        invalid URL: root/pypi
        [1]
        $ devpi list
        not connected to an index, see 'devpi use'
        Say which one: devpi use USER/NAME
        [1]
        $ devpi login me --password x
        not connected to a server, see 'devpi use'
        [1]
        $ devpi user -l
        not connected to a server, see 'devpi use'
        [1]
    """)
    devpi.follow(
        "$ devpi list\nNo server set and DEVPI_INDEX from environment is not a full valid URL: a/b\n[1]",
        DEVPI_INDEX="a/b",
    )
    assert not list((tmp_path / "home").rglob("*.json"))
