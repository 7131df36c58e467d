"""The YAML file: what is found in it, and the one sentence for each way in which it can be wrong."""

import os
import threading
from pathlib import Path

import pytest

from stilton import config
from stilton.configfile import MOST_BYTES
from stilton.domain.errors import SetupError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BELOW = "devpi-server:\n  "


def refusal_of(path: Path) -> str:
    """What is said of the file, on one line and with its name."""
    with pytest.raises(SetupError) as refusal:
        config.load({}, {}, str(path))
    said = str(refusal.value)
    assert str(path) in said
    assert "\n" not in said
    return said.replace(str(path), "FILE")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "~\n", "devpi-server:\n", "devpi-server: ~", "other: {port: x}\n"]
)
def test_a_file_without_our_section_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.yml").write_text(text)

    assert config.load({}, {}, str(tmp_path / "server.yml")).port == 3141


def test_other_sections_may_hold_anything(tmp_path: Path) -> None:
    text = f"{BOMB}other: !!python/object/apply:os.system [[[!x y]]]\nother: again\n{BELOW}port: 1\n"
    (tmp_path / "server.yml").write_text(text)

    assert config.load({}, {}, str(tmp_path / "server.yml")).port == 1


def test_a_file_of_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "server.yml").write_bytes(b"\xef\xbb\xbfdevpi-server:\r\n  port: 8080\r\n")

    assert config.load({}, {}, str(tmp_path / "server.yml")).port == 8080


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(BELOW + "port: 8080\n  threads: 1\n",))
    writer.start()

    given = config.gathered({}, {}, str(pipe))
    writer.join()

    assert config.checked(config.origins(given)).port == 8080
    assert len(config.notices(given)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"devpi-server: [port, 1]\n", ", line 1: devpi-server takes a mapping of option names to values."),
        (b"\ndevpi-server: text\n", ", line 2: devpi-server takes a mapping of option names to values."),
        (b"just a text\n", ", line 1: it takes devpi-server: with option names and values below."),
        (b"- a\n- b\n", ", line 1: it takes devpi-server: with option names and values below."),
        (b"!!python/name:os.system x\n", ", line 1: it takes devpi-server: with option names and values below."),
        (b"devpi-server: {\n", ", line 2: expected the node content, but found '<stream end>'."),
        (b"\tx: y\n", ", line 1: found character '\\t' that cannot start any token."),
        (b"devpi-server:\n  host: \xff\n", ", line 2: it is not UTF-8."),
        (b"devpi-server:\n  host: a\x07\n", ", line 2: special characters are not allowed."),
        (b"a: 1\n---\nb: 2\n", ", line 2: expected a single document in the stream, but found another document."),
        (b"devpi-server:\n  port: 1\n  host: a\n  port: 2\n", ", line 4: port is there a second time, first in line 2."),
        (b"devpi-server: {port: 1}\ndevpi-server: {}\n", ", line 2: devpi-server: is there a second time."),
        (b"devpi-server:\n  {port: 1}: 2\n", ", line 2: the name of an option is a text."),
        (b"devpi-server:\n  ~: 2\n", ", line 2: the name of an option is a text."),
        (b"devpi-server:\n  port: 1\nhost: a\n", ", line 3: host belongs below devpi-server:, indented."),
        (b"port: 1\n", ", line 1: port belongs below devpi-server:, indented."),
        (b"devpi_server:\n  port: 1\n", ", line 1: devpi_server: is not known; devpi-server: would be."),
        (b"devpi-server:\n  host: !!python/name:os.system x\n", ", line 2: a value takes no tag like !!python/name:os.system."),
        (b"devpi-server:\n  host: !env HOST\n", ", line 2: a value takes no tag like !env."),
        (b"devpi-server:\n  host: !!python/object/apply:os.system [x]\n", ", line 2: lists and mappings do not go so deep."),
        (b"devpi-server:\n  host: *x\n", ", line 2: found undefined alias 'x'."),
        (b"devpi-server:\n  trusted-proxy: &x [*x]\n", ", line 2: lists and mappings do not go so deep."),
        (b"devpi-server: &x\n  host: *x\n", ", line 2: lists and mappings do not go so deep."),
        (b"[" * 100_000, ": lists or mappings in one another without end."),
        (BOMB.encode() + b"devpi-server:\n  trusted-proxy: *i\n", ", line 11: lists and mappings do not go so deep."),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[:60],
)  # fmt: skip
def test_a_file_that_cannot_be_understood_is_refused_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "server.yml").write_bytes(content)

    assert refusal_of(tmp_path / "server.yml") == f"Error in config file 'FILE'{words}"


def test_a_file_of_any_size_is_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "server.yml").open("wb") as file:
        file.truncate(1 << 40)

    assert "has more than 256 kB" in refusal_of(tmp_path / "server.yml")


def test_a_file_without_end_is_refused() -> None:
    assert f"has more than {MOST_BYTES >> 10} kB" in refusal_of(Path("/dev/zero"))


def test_a_file_that_is_none_or_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == "The configuration file 'FILE' cannot be read: Is a directory."
    assert refusal_of(tmp_path / "no.yml") == "The configuration file 'FILE' cannot be read: No such file or directory."
    assert "Could not determine home directory" in refusal_of(Path("~nobody-of-this-name/x.yml"))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("prot", "port"), ("offline_mode", "offline-mode"), ("Host", "host"), ("restrict-modfy", "restrict-modify")],
)
def test_an_unknown_option_is_refused_with_its_line_and_what_was_meant(tmp_path: Path, name: str, meant: str) -> None:
    (tmp_path / "server.yml").write_text(f"devpi-server:\n  debug: no\n  {name}: hunter2\n")

    said = refusal_of(tmp_path / "server.yml")

    assert said == f"Unknown devpi-server option {name!r} in FILE, line 3. Did you mean {meant}?"


@pytest.mark.parametrize("line", ["ldap-password: hunter2", "x: hunter2", "<<: {x: hunter2}", "x: [hunter2]"])
def test_the_value_of_an_unknown_option_is_not_shown(tmp_path: Path, line: str) -> None:
    (tmp_path / "server.yml").write_text(BELOW + line)

    assert "hunter2" not in refusal_of(tmp_path / "server.yml")


def test_no_name_of_a_file_is_not_taken_for_a_folder() -> None:
    with pytest.raises(SetupError, match="--configfile is empty: it takes a path"):
        config.load({}, {}, "")
