"""Settings: where a value comes from, and what is refused."""

from pathlib import Path

import msgspec
import pytest

from stilton import config
from stilton.domain.errors import SetupError
from stilton.settings import IGNORED, REFUSED, SETTINGS


def a_file(folder: Path, text: str) -> str:
    path = folder / "devpi-server.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """A configuration file that says nothing, so that no file of this machine is read."""
    return a_file(tmp_path, "")


def test_every_setting_is_an_attribute_and_every_attribute_a_setting() -> None:
    assert [setting.key for setting in SETTINGS] == [field.name for field in msgspec.structs.fields(config.Config)]


def test_nothing_said_gives_the_defaults(empty: str) -> None:
    loaded = config.load({}, {}, empty)

    assert loaded.serverdir == Path("~/.devpi/server").expanduser()
    assert {s.key: getattr(loaded, s.key) for s in SETTINGS[1:]} == {s.key: s.default for s in SETTINGS[1:]}


def test_the_command_line_beats_the_environment_and_that_the_file(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server:\n  port: 1\n  host: file\n  workers: 2\n")
    environ = {"DEVPISERVER_PORT": "2", "DEVPISERVER_HOST": "environ"}

    loaded = config.load({"port": "3", "host": None, "trusted-proxy": ()}, environ, file)

    assert (loaded.port, loaded.host, loaded.workers) == (3, "environ", 2)


def test_the_serverdir_has_a_second_variable_that_counts_less(empty: str) -> None:
    old = config.load({}, {"DEVPI_SERVERDIR": "/old"}, empty)
    both = config.load({}, {"DEVPI_SERVERDIR": "/old", "DEVPISERVER_SERVERDIR": "/new"}, empty)

    assert old.serverdir == Path("/old")
    assert both.serverdir == Path("/new")


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("port", "8080", 8080),
        ("workers", 256, 256),
        ("mirror-cache-expiry", "0", 0.0),
        ("request-timeout", "2.5", 2.5),
        ("offline-mode", "yes", True),
        ("read-ahead", False, False),
        ("trusted-proxy", "10.0.0.1, 192.168.0.0/16", ("10.0.0.1", "192.168.0.0/16")),
        ("trusted-proxy", ("10.0.0.1",), ("10.0.0.1",)),
        ("trusted-proxy", "*", ("*",)),
        ("outside-url", "https://u.example", "https://u.example"),
        ("role", "standalone", "standalone"),
    ],
)
def test_a_value_is_read_as_its_setting_says(empty: str, name: str, raw: object, value: object) -> None:
    loaded = config.load({name: raw}, {}, empty)

    assert getattr(loaded, name.replace("-", "_")) == value


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("port", "http", "a whole number"),
        ("port", "80.5", "a whole number"),
        ("port", "0", "1 to 65535"),
        ("port", "65536", "1 to 65535"),
        ("workers", "0", "1 to 256"),
        ("workers", "257", "1 to 256"),
        ("request-timeout", "-1", "seconds, 0 or more"),
        ("request-timeout", "nan", "seconds, 0 or more"),
        ("mirror-cache-expiry", "inf", "seconds, 0 or more"),
        ("mirror-cache-expiry", "soon", "seconds, 0 or more"),
        ("offline-mode", "perhaps", "yes or no"),
        ("role", "replica", "standalone or auto"),
        ("outside-url", "u.example", "http:// or https://"),
        ("trusted-proxy", "proxy.example", "an address, a network"),
        ("trusted-proxy", "10.0.0.0/99", "an address, a network"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_it_takes(empty: str, name: str, raw: str, words: str) -> None:
    with pytest.raises(SetupError) as refusal:
        config.load({name: raw}, {}, empty)

    assert f"--{name}" in str(refusal.value)
    assert repr(raw) in str(refusal.value) or raw in str(refusal.value)
    assert words in str(refusal.value)


def test_a_wrong_value_in_the_environment_is_refused_with_its_variable(empty: str) -> None:
    with pytest.raises(SetupError, match="DEVPISERVER_PORT is 'x': it takes a whole number"):
        config.load({}, {"DEVPISERVER_PORT": "x"}, empty)


def test_a_wrong_value_in_the_file_is_refused_with_the_files_name(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server: {offline-mode: maybe}")

    with pytest.raises(SetupError, match=r"offline-mode in .*devpi-server.yml is 'maybe': it takes yes or no"):
        config.load({}, {}, file)


def test_an_unknown_option_in_the_file_stops_the_start(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server:\n  offline_mode: yes\n")

    with pytest.raises(SetupError, match="Unknown devpi-server option 'offline_mode'"):
        config.load({}, {}, file)


@pytest.mark.parametrize("text", ["", "devpi-server:\n", "other: {port: x}\n"])
def test_a_file_without_our_section_says_nothing(tmp_path: Path, text: str) -> None:
    assert config.load({}, {}, a_file(tmp_path, text)).port == 3141


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"devpi-server: [port, 1]\n", "takes a mapping"),
        (b"devpi-server: text\n", "takes a mapping"),
        (b"just a text\n", "takes devpi-server: with option names"),
        (b"- a\n- b\n", "takes devpi-server: with option names"),
        (b"devpi-server: {\n", "Error in config file"),
        (b"\tx: y\n", "Error in config file"),
        (b"devpi-server: {host: \xff}\n", "not UTF-8"),
        (b"x: !!python/object/apply:os.system [true]\n- y", "Error in config file"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "devpi-server.yml"
    path.write_bytes(content)

    with pytest.raises(SetupError, match=words) as refusal:
        config.load({}, {}, str(path))

    assert path.name in str(refusal.value)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nosuch\.yml cannot be read: No such file"):
        config.load({}, {}, str(tmp_path / "nosuch.yml"))


def test_numbers_and_switches_of_a_file_are_read_like_flags(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server:\n  port: 8080\n  debug: true\n  trusted-proxy: [10.0.0.1, 10.0.0.2]\n")

    loaded = config.load({}, {}, file)

    assert (loaded.port, loaded.debug, loaded.trusted_proxy) == (8080, True, ("10.0.0.1", "10.0.0.2"))


# -- settings of devpi-server that are not here -----------------------------------------------------


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_what_only_tunes_is_ignored_with_the_reason_wherever_it_is_given(tmp_path: Path, name: str) -> None:
    variable = "DEVPISERVER_" + name.upper().replace("-", "_")
    file = a_file(tmp_path, f"devpi-server:\n  {name}: 5\n")
    for flags, environ, configfile in (({name: "5"}, {}, None), ({}, {variable: "5"}, None), ({}, {}, file)):
        config.load(flags, environ, configfile or a_file(tmp_path.parent, ""))
        (notice,) = config.notices(flags, environ, configfile or a_file(tmp_path.parent, ""))

        assert IGNORED[name] in notice
        assert "has no effect" in notice


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_promises_something_that_is_not_here_stops_the_start(tmp_path: Path, name: str) -> None:
    variable = "DEVPISERVER_" + name.upper().replace("-", "_")
    empty, file = a_file(tmp_path.parent, ""), a_file(tmp_path, f"devpi-server:\n  {name}: x\n")
    for flags, environ, configfile in (({name: "x"}, {}, empty), ({}, {variable: "x"}, empty), ({}, {}, file)):
        with pytest.raises(SetupError) as refusal:
            config.notices(flags, environ, configfile)
        assert REFUSED[name] in str(refusal.value)


def test_a_variable_that_nobody_knows_is_told_with_a_hint(empty: str) -> None:
    (notice,) = config.notices({}, {"DEVPISERVER_OUTSIDE_URI": "x", "DEVPI_SERVERDIR": "/x"}, empty)

    assert notice == "The variable DEVPISERVER_OUTSIDE_URI is not known. Did you mean DEVPISERVER_OUTSIDE_URL?"


def test_nothing_odd_gives_no_notice(empty: str) -> None:
    assert (
        config.notices({"port": "80", "threads": None, "hard-links": False}, {"DEVPISERVER_THREADS": ""}, empty) == []
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("1K", 1 << 10),
        ("1.5 G", 3 << 29),
        ("2GiB", 2 << 30),
        ("3mb", 3 << 20),
        ("1T", 1 << 40),
    ],
)
def test_a_size_may_have_a_unit(empty: str, text: str, size: int) -> None:
    assert config.load({"min-free-disk": text}, {}, empty).min_free_disk == size


@pytest.mark.parametrize("text", ["", "x", "1X", "-1", "1.G", "1 2", "9" * 400 + "x"])
def test_what_is_no_size_is_refused(tmp_path: Path, text: str) -> None:
    file = a_file(tmp_path, f"devpi-server:\n  min-free-disk: '{text}'\n")

    with pytest.raises(SetupError, match="it takes bytes, or a number with K, M, G or T"):
        config.load({}, {}, file)


def test_storage_may_be_spelled_as_a_mapping_and_listen_as_a_list(tmp_path: Path) -> None:
    text = "devpi-server:\n  storage:\n    name: sqlite\n  listen:\n    - 127.0.0.1:1\n    - '*:2'\n"

    loaded = config.load({}, {}, a_file(tmp_path, text))

    assert (loaded.storage, loaded.listen) == ("sqlite", ("127.0.0.1:1", "*:2"))


def test_each_value_is_told_with_its_source_and_without_its_password(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server:\n  host: file\n  trusted-proxy: [10.0.0.1, 10.0.0.2]\n")
    found = {
        origin.setting.name: (origin.shown, origin.where)
        for origin in config.origins({"debug": True}, {"DEVPISERVER_OUTSIDE_URL": "https://me:word@h/x"}, file)
    }

    assert found["host"] == ("file", f"host in {file}")
    assert found["trusted-proxy"] == ("10.0.0.1,10.0.0.2", f"trusted-proxy in {file}")
    assert found["debug"] == ("yes", "--debug")
    assert found["outside-url"] == ("https://****@h/x", "DEVPISERVER_OUTSIDE_URL")
    assert found["port"] == ("3141", "default")
    assert found["unix-socket-perms"] == ("600", "default")
    assert list(found) == [setting.name for setting in SETTINGS]
