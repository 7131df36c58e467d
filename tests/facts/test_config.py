"""Settings: where a value comes from, and what is refused."""

from pathlib import Path

import msgspec
import pytest

from stilton import config
from stilton.domain.errors import SetupError
from stilton.settings import FIRST_DATA, IGNORED, REFUSED, SETTINGS, SWITCHES, Setting, variable


def a_file(folder: Path, text: str) -> str:
    path = folder / "devpi-server.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """A configuration file that says nothing, so that no file of this machine is read."""
    return a_file(tmp_path, "")


def test_every_setting_is_an_attribute_and_every_attribute_a_setting() -> None:
    fields = [field.name for field in msgspec.structs.fields(config.Config)]

    assert [*(setting.key for setting in SETTINGS), "given"] == fields


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
        (notice,) = config.notices(config.gathered(flags, environ, configfile or a_file(tmp_path.parent, "")))

        assert IGNORED[name] in notice
        assert "has no effect" in notice


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_promises_something_that_is_not_here_stops_the_start(tmp_path: Path, name: str) -> None:
    variable = "DEVPISERVER_" + name.upper().replace("-", "_")
    empty, file = a_file(tmp_path.parent, ""), a_file(tmp_path, f"devpi-server:\n  {name}: x\n")
    for flags, environ, configfile in (({name: "x"}, {}, empty), ({}, {variable: "x"}, empty), ({}, {}, file)):
        with pytest.raises(SetupError) as refusal:
            config.notices(config.gathered(flags, environ, configfile))
        assert REFUSED[name] in str(refusal.value)


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_switch_that_is_off_asks_for_nothing(tmp_path: Path, name: str) -> None:
    file = a_file(tmp_path, f"devpi-server:\n  {name}: no\n")

    assert config.notices(config.gathered({name: False}, {variable(name): "0"}, file)) == []


@pytest.mark.parametrize("value", ["", "''", "~", "[]"])
def test_nothing_said_about_what_is_not_here_asks_for_nothing(tmp_path: Path, value: str) -> None:
    file = a_file(tmp_path, f"devpi-server:\n  primary-url: {value}\n  threads: {value}\n")

    assert config.notices(config.gathered({"threads": None}, {"DEVPISERVER_THREADS": ""}, file)) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DEVPISERVER_OUTSIDE_URI", "DEVPISERVER_OUTSIDE_URL"),
        ("DEVPI_SERVER_PORT", "DEVPISERVER_PORT"),
        ("devpiserver_host", "DEVPISERVER_HOST"),
        ("DEVPISERVER_SERVERDR", "DEVPISERVER_SERVERDIR"),
        ("DEVPISERVER_ROOT_PASSWORD", "DEVPISERVER_ROOT_PASSWD"),
        ("DEVPISERVER_XYZZY", None),
    ],
)
def test_a_variable_that_nobody_knows_is_told_with_a_hint_and_without_its_value(
    empty: str, name: str, meant: str | None
) -> None:
    (notice,) = config.oddities(config.gathered({}, {name: "value", "DEVPI_SERVERDIR": "/x"}, empty), empty)

    assert notice == f"The variable {name} is not known." + (f" Did you mean {meant}?" if meant else "")


def test_every_variable_that_means_something_is_known(empty: str) -> None:
    names = [*(setting.name for setting in SETTINGS), *IGNORED, *REFUSED, *FIRST_DATA, "configfile"]
    given = config.gathered({}, {**{variable(name): "" for name in names}, "DEVPI_SERVERDIR": ""}, empty)

    assert config.oddities(given, empty) == []


@pytest.mark.parametrize(("content", "is_told"), [("server: {port: 1}", True), ("{}", False), ("devpi-server:", False)])
def test_a_file_of_something_else_is_told(tmp_path: Path, content: str, is_told: bool) -> None:
    path = a_file(tmp_path, content)

    notices = config.oddities(config.gathered({}, {}, path), path)

    assert notices == ([f"{path} has no devpi-server: in it, and nothing of it is used."] if is_told else [])


@pytest.mark.parametrize("name", [*FIRST_DATA, "configfile"])
def test_an_option_that_cannot_stand_in_the_file_is_refused_with_where_it_can(tmp_path: Path, name: str) -> None:
    path = a_file(tmp_path, f"devpi-server:\n  {name}: hunter2\n")

    with pytest.raises(SetupError) as refused:
        config.gathered({}, {}, path)

    assert str(refused.value) == (
        f"The option '{name}' in {path}, line 2, cannot stand in the file: it is --{name} or {variable(name)}."
    )


def test_several_files_are_told_and_the_last_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, port in (("XDG_CONFIG_DIRS", 1), ("XDG_CONFIG_HOME", 2)):
        folder = tmp_path / name / "devpi-server"
        folder.mkdir(parents=True)
        a_file(folder, f"devpi-server: {{port: {port}}}")
        monkeypatch.setenv(name, str(tmp_path / name))

    given = config.gathered({}, {})

    assert config.checked(config.origins(given)).port == 2
    (notice,) = config.oddities(given, None)
    assert notice.startswith("Multiple configuration files found: ")
    assert notice.endswith(f"{tmp_path / 'XDG_CONFIG_HOME' / 'devpi-server' / 'devpi-server.yml'} is used.")


def test_nothing_odd_gives_no_notice(empty: str) -> None:
    given = config.gathered(
        {"port": "80", "threads": None, "hard-links": False}, {"DEVPISERVER_THREADS": "", "DEVPI_INDEX": "x"}, empty
    )

    assert config.notices(given) == []
    assert config.oddities(given, empty) == []


def test_storage_may_be_spelled_as_a_mapping_and_listen_as_a_list(tmp_path: Path) -> None:
    text = "devpi-server:\n  storage:\n    name: sqlite\n  listen:\n    - 127.0.0.1:1\n    - '*:2'\n"

    loaded = config.load({}, {}, a_file(tmp_path, text))

    assert (loaded.storage, loaded.listen) == ("sqlite", ("127.0.0.1:1", "*:2"))


def test_each_value_is_told_with_its_source(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server:\n  host: file\n  trusted-proxy: [10.0.0.1, 10.0.0.2]\n")
    given = config.gathered({"debug": True}, {"DEVPISERVER_OUTSIDE_URL": "https://h.example/x"}, file)
    found = {origin.setting.name: (origin.shown, origin.where) for origin in config.origins(given)}

    assert found["host"] == ("file", f"host in {file}")
    assert found["trusted-proxy"] == ("10.0.0.1,10.0.0.2", f"trusted-proxy in {file}")
    assert found["debug"] == ("yes", "--debug")
    assert found["outside-url"] == ("https://h.example/x", "DEVPISERVER_OUTSIDE_URL")
    assert found["port"] == ("3141", "default")
    assert found["unix-socket-perms"] == ("600", "default")
    assert list(found) == [setting.name for setting in SETTINGS]


def test_the_settings_know_where_each_was_given(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server: {host: file}")

    loaded = config.load({"port": "80"}, {"DEVPISERVER_WORKERS": "2"}, file)

    assert loaded.where("host") == f"host in {file}"
    assert loaded.where("workers") == "DEVPISERVER_WORKERS"
    assert loaded.where("port") == "--port"
    assert loaded.where("debug") == "--debug"


# -- paths --------------------------------------------------------------------------------------------


PATHS = [setting for setting in SETTINGS if setting.kind == "path"]


@pytest.mark.parametrize("setting", PATHS, ids=lambda setting: setting.name)
def test_a_relative_path_begins_here_or_beside_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    a_file(tmp_path / "etc", f"devpi-server: {{{setting.name}: a/b}}")
    a_file(tmp_path / "here", "")

    found = [
        str(next(origin.value for origin in config.origins(given) if origin.setting is setting))
        for given in (
            config.gathered({setting.name: "a/b"}, {}, "devpi-server.yml"),
            config.gathered({}, {setting.variable: "a/b"}, "devpi-server.yml"),
            config.gathered({}, {}, "../etc/devpi-server.yml"),
        )
    ]

    assert found[:2] == [str(tmp_path / "here" / "a" / "b")] * 2
    assert Path(found[2]).resolve() == tmp_path / "etc" / "a" / "b"
    assert Path(found[2]).is_absolute()


def test_a_path_may_begin_at_home_wherever_it_is_given(tmp_path: Path) -> None:
    file = a_file(tmp_path, "devpi-server: {secretfile: ~/secret}")

    loaded = config.load({"tls-cert": "~/cert"}, {"DEVPISERVER_TLS_KEY": "~/key"}, file)

    assert loaded.secretfile == str(Path.home() / "secret")
    assert (loaded.tls_cert, loaded.tls_key) == (str(Path.home() / "cert"), str(Path.home() / "key"))


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    file = a_file(tmp_path, "")
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(
        SetupError, match=r"The current folder is gone, and 'data' is relative to it: use a full path\."
    ):
        config.load({"serverdir": "data"}, {}, file)


# -- together -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        (
            "listen: 127.0.0.1:1",
            {"DEVPISERVER_PORT": "2"},
            "not both together: here are listen in FILE and DEVPISERVER_PORT.",
        ),
        ("{listen: '*:1', host: h}", {}, "not both together: here are listen in FILE and host in FILE."),
        (
            "tls-cert: /c",
            {},
            "--tls-cert and --tls-key are given together or not at all: here is only tls-cert in FILE.",
        ),
        ("", {"DEVPISERVER_TLS_KEY": "/k"}, "not at all: here is only DEVPISERVER_TLS_KEY."),
        ("listen: ['*:1', '*:1']", {}, "listen in FILE names an address twice: *:1, *:1."),
    ],
)
def test_what_does_not_go_together_is_refused_with_who_said_what(
    tmp_path: Path, text: str, environ: dict[str, str], words: str
) -> None:
    file = a_file(tmp_path, f"devpi-server:\n  {text}\n")

    with pytest.raises(SetupError) as refusal:
        config.load({}, environ, file)

    assert str(refusal.value).replace(file, "FILE").endswith(words)
