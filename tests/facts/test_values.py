"""Values of settings: all that is refused for every one of them, however it was given, and what each kind takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stilton import config, wordings
from stilton.domain.errors import SetupError
from stilton.domain.share import Share
from stilton.settings import SETTINGS, Setting, variable

HUGE = "9" * 5000
# For each kind, or item of a list: what is right, with the value, and what is wrong, beside what is wrong for all.
RIGHT: dict[str, list[tuple[str, Any]]] = {
    "int": [("80", 80), (" 80 ", 80), ("080", 80)],
    "seconds": [("0", 0.0), ("2.5", 2.5), (".5", 0.5), ("8.64e+04", 86400.0)],
    "size": [
        ("1024", 1024), ("1K", 1 << 10), ("1.5 G", 3 << 29), ("2GiB", 2 << 30), ("3mb", 3 << 20), ("1t", 1 << 40),
    ],
    "room": [("10G", 10 << 30), ("500m", 500 << 20), ("0", 0), ("5%", Share(5)), (" 2.5 % ", Share(2.5)), ("0%", Share(0))],
    "switch": [("yes", True), ("ON", True), ("1", True), ("t", True), ("no", False), ("Off", False), ("0", False)],
    "octal": [("660", 0o660), ("0660", 0o660), ("0o660", 0o660), ("0", 0)],
    "text": [("example", "example"), (" example ", "example"), ("::1", "::1")],
    "name": [("alice", ("alice",)), ("alice,:admins", ("alice", ":admins")), (" a , b,", ("a", "b"))],
    "path": [("/a b/ö", "/a b/ö"), ("/a/../b", "/a/../b")],
    "url": [("https://u.example/x/", "https://u.example/x/"), ("http://[::1]:80", "http://[::1]:80")],
    "network": [
        ("*", ("*",)), ("10.0.0.1", ("10.0.0.1",)), ("10.0.0.1/8, fd00::/8", ("10.0.0.1/8", "fd00::/8")),
    ],
    "address": [("*:80", ("*:80",)), ("[::1]:80,h.example:1", ("[::1]:80", "h.example:1"))],
    "storage": [("sqlite", "sqlite"), ("sqlite:fsbackend=hash_hl", "sqlite:fsbackend=hash_hl")],
}  # fmt: skip
WRONG = {
    "int": ["x", "1.5", "-1", "0", "0x50", "1_000", "1e3", "٣", HUGE, "tcp://10.0.0.1:3141"],
    "seconds": ["soon", "-1", "nan", "inf", "1e-3", "1e99", "1e999", "1.2.3", ".", "٣", HUGE],
    "size": ["x", "1X", "-1", "1.G", "1 2", "1e9", "٣G", HUGE, HUGE + "G", "2000000T"],
    "room": ["x", "1X", "-1", "100%", "-1%", "%", "5%%", "5%G", "٣%", "1e1%", HUGE + "%", "2000000T"],
    "switch": ["perhaps", "2", "-1", "ja", "ÿes", HUGE],
    "octal": ["888", "1777", "-1", "rw", "6_0", HUGE],
    "text": [],
    "name": ["a,b\x7f", "a b", "root;admin", ":", "a/b"],
    "path": ["~nobody-of-this-name/x", "/a\nb"],
    "url": [
        "u.example", "ftp://u.example", "http://", "https://u.example:x", "https://u.example:99999", "https://[::1",
        "https://me:hunter2@u.example", "https://u.example/?a", "https://u.example/#a", "https://ü.example",
        "https://u.example/a b", "https://u.example:0", "https://$host", "https://a;b", "https://a\\b",
        "https://u.example/" + "a" * 2000,
    ],
    "network": ["proxy.example", "10.0.0.0/99", "10.0.0.1:80", "*.example", "10.0.0.1,x", "http://10.0.0.1", "٣.0.0.0"],
    "address": ["80", ":80", "h", "h:", "h:x", "h:0", "h:65536", "h:" + HUGE, "::1:80", "[::1]", "h:-1", "h:80,x", "h:٣"],
    "choice": ["x", "AUTO", HUGE],
    "storage": ["pg8000:user=me,password=hunter2", "SQLITE", "sqlite2"],
}  # fmt: skip


def kind_of(setting: Setting) -> str:
    return setting.item or setting.kind


def those(*kinds: str, but: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """A test for each setting of these kinds, or for all but some."""
    found = [setting for setting in SETTINGS if (not kinds or setting.kind in kinds) and setting.kind not in but]
    return pytest.mark.parametrize("setting", [pytest.param(setting, id=setting.name) for setting in found])


def rights(setting: Setting) -> list[tuple[str, Any]]:
    """Of a number only what is in its range."""
    if setting.kind == "choice":
        return [(choice, choice) for choice in setting.choices]
    ranged = setting.kind in ("int", "seconds", "size")
    found = RIGHT[kind_of(setting)]
    return [(text, value) for text, value in found if not ranged or setting.least <= value <= setting.most]


def empty(folder: Path) -> str:
    return a_file(folder, "")


def a_file(folder: Path, text: str) -> str:
    path = folder / "server.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def below(name: str, yaml: str) -> str:
    return f"devpi-server:\n  {name}: {yaml}\n"


def gathered_from(source: str, setting: Setting, text: str, folder: Path) -> tuple[config.Given, str]:
    """What was said, and where, as a message has it."""
    match source:
        case "flag":
            flag = (text,) if setting.kind == "list" else text
            return config.gathered({setting.name: flag}, {}, empty(folder)), f"--{setting.name}"
        case "variable":
            return config.gathered({}, {setting.variable: text}, empty(folder)), setting.variable
        case _:
            file = a_file(folder, below(setting.name, json.dumps(text)))
            return config.gathered({}, {}, file), f"{setting.name} in {file}"


def refused(setting: Setting, source: str, text: str, folder: Path) -> str:
    """What is said of it, after the place."""
    given, where = gathered_from(source, setting, text, folder)
    with pytest.raises(SetupError) as refusal:
        config.checked(config.origins(given))
    said = str(refusal.value)
    assert said.startswith(f"{where} is ")
    assert wordings.takes(setting) in said
    assert "\n" not in said
    assert len(said) < 500
    return said.removeprefix(f"{where} is ")


SOURCES = pytest.mark.parametrize("source", ["flag", "variable", "file"])


def test_every_kind_is_in_both_tables() -> None:
    kinds = {kind_of(setting) for setting in SETTINGS}

    assert set(WRONG) == kinds
    assert set(RIGHT) == kinds - {"choice"}


@SOURCES
@those()
def test_a_right_value_is_read_alike_wherever_it_is_given(tmp_path: Path, source: str, setting: Setting) -> None:
    for text, value in rights(setting):
        given, where = gathered_from(source, setting, text, tmp_path)
        origin = next(origin for origin in config.origins(given) if origin.setting is setting)

        assert (origin.value, origin.where) == (value, where)


@SOURCES
@those()
def test_a_wrong_value_is_refused_with_its_place_and_what_would_be_right(
    tmp_path: Path, source: str, setting: Setting
) -> None:
    for text in WRONG[kind_of(setting)]:
        assert "hunter2" not in refused(setting, source, text, tmp_path)


@SOURCES
@those()
def test_control_characters_and_what_is_no_text_are_refused(tmp_path: Path, source: str, setting: Setting) -> None:
    for text in ("a\x00b", "a\x1b[31mb", "a\nb", "a\x85b", *(["a\udcffb"] if source != "file" else [])):
        assert refused(setting, source, text, tmp_path).isprintable()


@SOURCES
@those()
def test_an_empty_value_is_refused(tmp_path: Path, source: str, setting: Setting) -> None:
    for text in (" ", "\t", "\n", ",", *([""] if source != "variable" else [])):
        given, where = gathered_from(source, setting, text, tmp_path)

        with pytest.raises(SetupError) as refusal:
            config.origins(given)

        assert str(refusal.value) == (
            f"{where} is empty: it takes {wordings.takes(setting)}. Leave it out if that is what you mean."
        )


@those()
def test_an_empty_variable_is_none(tmp_path: Path, setting: Setting) -> None:
    assert config.load({}, {setting.variable: ""}, empty(tmp_path)) == config.load({}, {}, empty(tmp_path))


@those()
def test_nothing_behind_the_colon_is_refused(tmp_path: Path, setting: Setting) -> None:
    for yaml in ("", "~", "null", "[]", "[~]", "['', ' ']"):
        with pytest.raises(SetupError, match=f"{setting.name} in .* is empty: it takes "):
            config.load({}, {}, a_file(tmp_path, below(setting.name, yaml)))


@those()
def test_a_mapping_where_a_value_belongs_is_refused_without_what_is_in_it(tmp_path: Path, setting: Setting) -> None:
    file = a_file(tmp_path, below(setting.name, "{a: hunter2}"))

    with pytest.raises(SetupError) as refusal:
        config.load({}, {}, file)

    assert str(refusal.value).startswith(f"{setting.name} in {file} is a mapping: it takes ")
    assert "hunter2" not in str(refusal.value)


@those()
def test_lists_and_mappings_in_one_another_are_refused(tmp_path: Path, setting: Setting) -> None:
    for yaml in ("[hunter2, [b]]", "{a: {b: hunter2}}"):
        with pytest.raises(SetupError, match=r"line 2: lists and mappings do not go so deep\.$"):
            config.load({}, {}, a_file(tmp_path, below(setting.name, yaml)))


@those(but=("list",))
def test_a_list_for_a_single_value_is_refused(tmp_path: Path, setting: Setting) -> None:
    with pytest.raises(SetupError, match=f"{setting.name} in .* is a list: it takes "):
        config.load({}, {}, a_file(tmp_path, below(setting.name, "[80, 81]")))


@those(but=("switch",))
def test_a_word_that_yaml_takes_for_a_switch_is_refused_with_what_to_do(tmp_path: Path, setting: Setting) -> None:
    for yaml in ("yes", "off", *(["[No]"] if setting.kind == "list" else [])):
        with pytest.raises(SetupError) as refusal:
            config.load({}, {}, a_file(tmp_path, below(setting.name, yaml)))

        said = str(refusal.value)
        assert re.search(r" is (yes|no): it takes .*\. If it is meant as text, put it in quotes\.$", said)


def test_a_name_that_yaml_takes_for_a_switch_may_stand_in_quotes(tmp_path: Path) -> None:
    file = a_file(tmp_path, below("restrict-modify", "['no', \"on\", 007]"))

    assert config.load({}, {}, file).restrict_modify == ("no", "on", "007")


@those("switch")
def test_a_switch_in_the_file_is_as_yaml_and_as_devpi_spell_it(tmp_path: Path, setting: Setting) -> None:
    for yaml, value in (("true", True), ("No", False), ("'on'", True), ("0", False), ("f", False)):
        loaded = config.load({}, {}, a_file(tmp_path, below(setting.name, yaml)))

        assert getattr(loaded, setting.key) is value


def test_of_a_list_the_part_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"--trusted-proxy is 'x': it takes an address"):
        config.load({"trusted-proxy": ("10.0.0.1", "10.0.0.2,x")}, {}, empty(tmp_path))


def test_a_variable_of_kubernetes_is_known_for_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"it takes a whole number from 1 to 65535\. Kubernetes sets such variables"):
        config.load({}, {variable("port"): "tcp://10.0.0.1:3141"}, empty(tmp_path))


def test_storage_may_be_a_mapping_as_devpi_has_it(tmp_path: Path) -> None:
    file = a_file(tmp_path, below("storage", "{name: sqlite, path: x}"))

    assert config.load({}, {}, file).storage == "sqlite"


def test_storage_of_another_kind_is_named_without_its_password(tmp_path: Path) -> None:
    file = a_file(tmp_path, below("storage", "{name: pg8000, password: hunter2}"))

    with pytest.raises(SetupError) as refusal:
        config.load({}, {}, file)

    assert str(refusal.value) == f"storage in {file} is 'pg8000': it takes sqlite, this version knows no other."


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@h.example",
        "me:hunter2@h.example",
        "me:hun@ter/hunter2@h.example",
        "https://h.example/?token=hunter2",
        "pg8000:password=hunter2",
        "my-api-key: hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2",
        "X" * 200 + "hunter2",
    ],
)
def test_what_looks_secret_is_not_shown(text: str) -> None:
    assert "hunter2" not in wordings.shown(text)


@pytest.mark.parametrize(
    "text", ["/srv/devpi@2/data", "proxy.example", "10.0.0.0/99", "[::1]:x", "https://h.example:x"]
)
def test_what_is_no_secret_is_shown_as_it_is(text: str) -> None:
    assert wordings.shown(text) == repr(text)
