"""`devpi use`: what is chosen, what installers are told, and that it can be taken back."""

import configparser
import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from stilton_client import snippets
from tests.support.devpi import Client, Yard


@pytest.fixture
def devpi(yard: Yard, tmp_path: Path) -> Client:
    """pip's own files count here."""
    client = yard.client(tmp_path / "home")
    client.without = ("PIP_CONFIG_FILE", "UV_NO_CONFIG")
    return client


def files(devpi: Client) -> dict[str, bytes]:
    """All that is in the home, but what is the client's and uv's."""
    return {
        str(path.relative_to(devpi.folder)): path.read_bytes()
        for path in sorted(devpi.folder.rglob("*"))
        if path.is_file() and not {".devpi", "uv-cache"} & set(path.parts)
    }


def a_venv(devpi: Client, name: str = "venv") -> Path:
    (devpi.folder / name / "bin").mkdir(parents=True)
    return devpi.folder / name


def test_installers_are_pointed_at_the_index_and_given_back(devpi: Client) -> None:
    pip = devpi.folder / ".config/pip/pip.conf"
    pip.parent.mkdir(parents=True)
    pip.write_bytes(b"# mine\r\n[global]\r\ntimeout = 60\r\nindex-url = https://packages.example.com/simple\r\n")
    before = files(devpi)

    devpi.follow("""
        $ devpi use --set-cfg
        current devpi index: SERVER/ME/dev (logged in as ME)
        …/pip.conf: SERVER/ME/dev/+simple/
        …/uv.toml: SERVER/ME/dev/+simple/
        …/.pydistutils.cfg: SERVER/ME/dev/+simple/
        …/default.cfg: SERVER/ME/dev…
        always-set-cfg: no
    """)
    during = configparser.ConfigParser()
    during.read_string(pip.read_bytes().decode())
    assert during["global"]["index-url"] == f"{devpi.server.url}/{devpi.me}/dev/+simple/"
    assert during["global"]["timeout"] == "60"
    assert tomllib.loads((devpi.folder / ".config/uv/uv.toml").read_text())
    assert (pip.parent / "pip.conf-bak").read_bytes() == before[".config/pip/pip.conf"]

    devpi.follow("""
        $ devpi use --set-cfg prod
        current devpi index: SERVER/ME/prod (logged in as ME)
        …/pip.conf: SERVER/ME/prod/+simple/
        $ devpi use --delete
        …/pip.conf: restored
        …/uv.toml: removed, there was none before
        REMOVED configuration at …/current.json
        $ devpi use --delete
        NO configuration found
        [1]
    """)
    assert files(devpi) == before


def test_an_environment_s_files_are_changed_and_no_others(devpi: Client) -> None:
    venv = a_venv(devpi)
    devpi.follow("""
        $ devpi use --venv venv --set-cfg
        venv for install/set commands: …/venv
        only setting venv pip/uv config, no global configuration changed
        …/venv/pip.conf: SERVER/ME/dev/+simple/
        …/venv/uv.toml: SERVER/ME/dev/+simple/
        $ devpi use
        venv for install/set commands: …/venv
        $ devpi use --venv -
        …/.config/pip/pip.conf: no config file exists
    """)
    assert sorted(files(devpi)) == ["venv/pip.conf", "venv/uv.toml"]

    devpi.follow("$ devpi use\nvenv for install/set commands: …/venv", VIRTUAL_ENV=str(venv))
    named = a_venv(devpi, "all/named").parent
    devpi.follow("$ devpi use --venv named\nvenv for install/set commands: …/all/named", WORKON_HOME=str(named))


def test_an_environment_that_is_none_is_named(devpi: Client) -> None:
    devpi.follow("""
        $ devpi use --venv nowhere
        No virtualenv found at: '…/nowhere'
        [1]
    """)
    venv = a_venv(devpi)
    devpi.lines("devpi use --venv venv")
    (venv / "bin").rmdir()
    devpi.follow("""
        $ devpi use
        No virtualenv found at: '…/venv'
        You can unset it with 'devpi use --venv -'.
        [1]
        $ devpi use --venv -
        always-set-cfg: no
    """)
    devpi.follow("$ devpi use\nCheck your VIRTUAL_ENV environment variable.\n[1]", VIRTUAL_ENV="/nowhere")


def test_a_choice_may_be_made_for_good(devpi: Client) -> None:
    devpi.follow("""
        $ devpi use --always-set-cfg yes
        …/pip.conf: SERVER/ME/dev/+simple/
        always-set-cfg: yes
        $ devpi use prod
        …/pip.conf: SERVER/ME/prod/+simple/
        always-set-cfg: yes
        $ devpi use --always-set-cfg no dev
        …/pip.conf: SERVER/ME/prod/+simple/
        always-set-cfg: no
    """)


def test_a_host_is_trusted_only_when_that_is_asked_for(devpi: Client) -> None:
    pip = devpi.folder / ".config/pip/pip.conf"
    devpi.lines("devpi use --set-cfg")
    assert "trusted-host" not in pip.read_text()

    devpi.lines("devpi use --set-cfg -t yes")
    assert "trusted-host = 127.0.0.1" in pip.read_text()

    devpi.lines("devpi use --set-cfg -t no")
    assert "127.0.0.1" not in pip.read_text().replace(devpi.server.url, "")


def test_nothing_is_configured_for_a_server_without_an_index(devpi: Client) -> None:
    before = files(devpi)
    devpi.follow("""
        $ devpi use SERVER --set-cfg
        using server: SERVER/ (logged in as ME)
        no current index: type 'devpi use -l' to discover indices
        no index configured: cannot set pip/easy_install index
        [1]
    """)
    assert files(devpi) == before


def test_one_file_that_cannot_be_changed_keeps_no_other_from_it(devpi: Client) -> None:
    uv = devpi.folder / ".config/uv/uv.toml"
    uv.parent.mkdir(parents=True)
    uv.write_text("[broken\n")

    devpi.follow("""
        $ devpi use --set-cfg
        …/uv.toml, line 1: …
        …/pip.conf: SERVER/ME/dev/+simple/
        [1]
    """)
    assert uv.read_text() == "[broken\n"


def test_files_of_pip_that_are_switched_off_are_neither_read_nor_changed(devpi: Client) -> None:
    devpi.follow(
        f"""
        $ devpi use
        {os.devnull}: no index server configured
        $ devpi use --set-cfg
        PIP_CONFIG_FILE={os.devnull} switches pip's files off: pip was not configured.
        {os.devnull}: no index server configured
        …/uv.toml: SERVER/ME/dev/+simple/
        [1]
        """,
        PIP_CONFIG_FILE=os.devnull,
    )
    lines = devpi.lines("devpi use", PIP_CONFIG_FILE=os.devnull)
    a_venv(devpi)
    environment = devpi.lines("devpi use --set-cfg --venv venv", PIP_CONFIG_FILE=os.devnull)

    assert not [line for line in lines if line.startswith("warning")]
    assert any("pip.conf: PIP_CONFIG_FILE switches all of pip's files off" in line for line in environment)
    assert ".config/pip/pip.conf" not in files(devpi)


def test_a_password_of_a_front_server_is_kept_apart_and_never_shown(devpi: Client) -> None:
    url = devpi.server.url.replace("//", "//front:secret-word@")
    lines = devpi.lines(f"devpi use {url}/{devpi.me}/dev --set-cfg --urls --debug")
    lines += devpi.lines(f"devpi use {url}/{devpi.me}/dev --set-cfg")
    lines += devpi.lines("devpi use") + devpi.lines("devpi --debug list dep")

    assert "secret-word" not in "\n".join(lines)
    assert any(line.endswith("is stored unencrypted!") for line in lines)
    current = json.loads((devpi.folder / ".devpi/client/current.json").read_text())
    assert current["index"] == f"{devpi.server.url}/{devpi.me}/dev"
    holders = [name for name, content in files(devpi).items() if b"secret-word" in content]
    assert ".config/pip/pip.conf" in holders
    for name in holders:
        assert (devpi.folder / name).stat().st_mode & 0o077 == 0


def test_what_is_only_looked_at_is_not_remembered(devpi: Client) -> None:
    for option in ("--urls", "-l", "--show-config pip"):
        devpi.lines(f"devpi use {option} root/pypi")

        assert (
            devpi.lines("devpi use")[0]
            == f"current devpi index: {devpi.server.url}/{devpi.me}/dev (logged in as {devpi.me})"
        )


def test_an_index_that_is_not_there_is_not_chosen(devpi: Client) -> None:
    assert devpi.run("devpi use no/such")[0] == 1
    assert devpi.run("devpi use ftp://127.0.0.1/a/b")[0] == 2
    assert devpi.lines("devpi use")[0].startswith(f"current devpi index: {devpi.server.url}/{devpi.me}/dev ")


def test_an_index_that_was_deleted_meanwhile_is_told(devpi: Client) -> None:
    devpi.lines("devpi index -c gone")
    devpi.lines("devpi use gone")
    devpi.lines("devpi index -y --delete gone")

    status, lines = devpi.run("devpi use")

    assert status == 1
    assert any("404" in line for line in lines)
    assert devpi.run("devpi use dev")[0] == 0


@pytest.mark.parametrize("tool", snippets.tools())
def test_every_tool_has_a_configuration_to_paste(devpi: Client, tool: str) -> None:
    text = "\n".join(devpi.lines(f"devpi use --show-config {tool}"))

    assert f"{devpi.me}/dev" in text
    token = json.loads((devpi.folder / ".devpi/client/auth.json").read_text())["auth"][f"{devpi.server.url}/"][0][1]
    assert token not in text


def test_a_tool_that_nobody_knows_is_refused_with_the_ones_there_are(devpi: Client) -> None:
    status, lines = devpi.run("devpi use --show-config poetri")

    assert status != 0
    assert "poetry" in "\n".join(lines)


def test_the_whole_choice_is_there_as_json(devpi: Client) -> None:
    done = subprocess.run(
        ["devpi", "use", "--json"], executable=devpi.tool, capture_output=True, text=True, check=True,
        env=devpi.env, cwd=devpi.folder, timeout=30,
    )  # fmt: skip
    found = json.loads(done.stdout)

    assert found["index"] == f"{devpi.server.url}/{devpi.me}/dev"
    assert found["user"] == devpi.me
    assert found["simpleindex"] == f"{devpi.server.url}/{devpi.me}/dev/+simple/"
    assert {each["tool"] for each in found["config"]} == {"pip", "uv", "distutils", "buildout"}
    assert os.sep in found["config"][0]["path"]
