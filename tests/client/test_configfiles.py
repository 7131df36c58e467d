"""Configuration files of other tools: found, edited, given back."""

import configparser
import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton_client.configbook import Book, Outcome
from stilton_client.configfiles import ConfigError, Settings, Target, targets

SIMPLE = "http://localhost:3141/alice/dev/+simple/"
DEV = Settings(simple=SIMPLE, index="http://localhost:3141/alice/dev")
TRUSTED = Settings(
    simple="https://packages.example.com/bob/prod/+simple/",
    index="https://packages.example.com/bob/prod",
    trusted=True,
)
SECRET = Settings(
    simple="https://alice:hunter2@packages.example.com/alice/dev/+simple/",
    index="https://alice:hunter2@packages.example.com/alice/dev",
)
UV = Path(sys.executable).with_name("uv")
bounded = settings(max_examples=150, deadline=None)


class Desk:
    """A home folder with one configuration file on it, and the book that changes it."""

    def __init__(self, root: Path, tool: str = "pip") -> None:
        self.path = root / "home" / ("uv.toml" if tool == "uv" else "pip.conf")
        self.path.parent.mkdir(parents=True)
        self.target = Target(tool, self.path)
        self.clientdir = root / "client"
        self.book = Book(self.clientdir)
        self.backup = self.path.with_name(self.path.name + "-bak")

    def content(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def everything(self) -> dict[str, bytes]:
        """All files but the records, with their contents."""
        found = self.path.parent.rglob("*")
        return {str(path): path.read_bytes() for path in found if path.is_file()}

    def records(self) -> list[Path]:
        return list(self.clientdir.rglob("*.json"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def uv_desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, "uv")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def bare(content: bytes) -> bytes:
    """What stands behind the byte order mark."""
    return content.removeprefix(b"\xef\xbb\xbf")


def parsed(content: bytes) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    text = io.TextIOWrapper(io.BytesIO(bare(content)), "utf-8", "surrogateescape")
    parser.read_file(text)
    return parser


def pip_says(content: bytes, key: str = "global.index-url") -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pip.conf"
        path.write_bytes(content)
        environ = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(path), "HOME": folder}
        command = [sys.executable, "-m", "pip", "config", "get", key]
        return subprocess.run(command, env=environ, capture_output=True, check=True, text=True).stdout.strip()


def uv_says(path: Path) -> subprocess.CompletedProcess[str]:
    """What uv makes of its settings; it asks nobody."""
    command = [str(UV), "pip", "compile", "--offline", "--no-cache", "--show-settings", "-"]
    environ = {"PATH": os.environ["PATH"], "UV_CONFIG_FILE": str(path), "HOME": str(path.parent)}
    return subprocess.run(command, env=environ, capture_output=True, check=False, text=True, input="", cwd=path.parent)


# Which files.


def test_without_an_environment_there_are_four_files_in_the_home_folder(tmp_path: Path) -> None:
    found = targets({}, tmp_path, None, "linux")

    assert [(target.tool, target.path) for target in found] == [
        ("pip", tmp_path / ".config/pip/pip.conf"),
        ("uv", tmp_path / ".config/uv/uv.toml"),
        ("distutils", tmp_path / ".pydistutils.cfg"),
        ("buildout", tmp_path / ".buildout/default.cfg"),
    ]
    assert not any(target.legacy for target in found)


def test_in_an_environment_only_its_own_files_are_changed(tmp_path: Path) -> None:
    environ = {"PIP_CONFIG_FILE": "/elsewhere/pip.conf", "UV_CONFIG_FILE": "/elsewhere/uv.toml"}

    pip, uv = targets(environ, tmp_path, tmp_path / "venv", "linux")

    assert pip.path == tmp_path / "venv/pip.conf"
    assert uv.path == tmp_path / "venv/uv.toml"
    assert "UV_CONFIG_FILE" in uv.hint


@pytest.mark.parametrize(
    ("platform", "environ", "pip", "uv"),
    [
        pytest.param(
            "linux", {"PIP_CONFIG_FILE": "/p.conf", "UV_CONFIG_FILE": "/u.toml"}, "/p.conf", "/u.toml", id="named"
        ),
        pytest.param(
            "linux", {"PIP_CONFIG_FILE": "", "XDG_CONFIG_HOME": "/x"}, "/x/pip/pip.conf", "/x/uv/uv.toml", id="xdg"
        ),
        pytest.param(
            "linux", {"XDG_CONFIG_HOME": " "}, "{home}/.config/pip/pip.conf", "{home}/.config/uv/uv.toml", id="blank"
        ),
        pytest.param("darwin", {"XDG_CONFIG_HOME": "/x"}, "{home}/.config/pip/pip.conf", "/x/uv/uv.toml", id="macos"),
        pytest.param("win32", {"APPDATA": "/a"}, "/a/pip/pip.ini", "/a/uv/uv.toml", id="windows"),
        pytest.param(
            "win32", {}, "{home}/AppData/Roaming/pip/pip.ini", "{home}/AppData/Roaming/uv/uv.toml", id="bare-windows"
        ),
    ],
)
def test_the_environment_and_the_platform_say_where(
    platform: str, environ: dict[str, str], pip: str, uv: str, tmp_path: Path
) -> None:
    found = {target.tool: str(target.path) for target in targets(environ, tmp_path, None, platform)}

    assert found["pip"] == pip.format(home=tmp_path)
    assert found["uv"] == uv.format(home=tmp_path)


def test_on_macos_pips_folder_in_the_library_is_taken_if_it_is_there(tmp_path: Path) -> None:
    library = tmp_path / "Library/Application Support/pip"
    library.mkdir(parents=True)

    assert targets({}, tmp_path, None, "darwin")[0].path == library / "pip.conf"


def test_on_windows_names_have_no_dots(tmp_path: Path) -> None:
    paths = [target.path for target in targets({}, tmp_path, None, "win32")]

    assert tmp_path / "pydistutils.cfg" in paths


def test_an_old_pip_conf_is_changed_and_says_where_it_should_be(tmp_path: Path) -> None:
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").touch()

    pip = targets({}, tmp_path, None, "linux")[0]

    assert pip.legacy
    assert pip.path == tmp_path / ".pip/pip.conf"
    assert pip.successor == tmp_path / ".config/pip/pip.conf"


def test_an_old_pip_conf_is_left_alone_where_a_new_one_would_win(tmp_path: Path) -> None:
    for folder in (".pip", ".config/pip"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pip.conf").touch()

    pip = targets({}, tmp_path, None, "linux")[0]

    assert (pip.path, pip.legacy) == (tmp_path / ".config/pip/pip.conf", False)


# Properties: INI.

endings = st.sampled_from(["\n", "\r\n"])
keys = st.sampled_from(
    ["index-url", "index_url", "Index-URL", "extra-index-url", "index", "trusted-host", "timeout", "no.such", "Ünï"]
)
words = st.sampled_from(
    ["60", "http://a.example.com/x", "a = b", "[x]", "# no", "%(x)s", "\udcff\udcfe", "ä", "packages.example.com"]
)
loose = st.sampled_from(["", "   ", "# hello", "  ; said", "#index-url = x", "\t"])


@st.composite
def options(draw: st.DrawFn, key: str) -> list[str]:
    indent = draw(st.sampled_from(["", "", "", " ", "  "]))
    delimiter = draw(st.sampled_from([" = ", "=", ": ", " =", ":"]))
    lines = [f"{indent}{key}{delimiter}{draw(words)}"]
    for _ in range(draw(st.integers(0, 2))):
        lines += draw(st.lists(loose, max_size=1))
        lines.append(f"{indent}    {draw(words)}")
    return lines


@st.composite
def ini_files(draw: st.DrawFn) -> bytes:
    """INI files that people might have; most can be parsed."""
    lines = draw(st.lists(loose, max_size=2))
    sections = st.sampled_from(["global", "search", "install", "Global", "a b", "easy_install"])
    for section in draw(st.lists(sections, max_size=3, unique=True)):
        lines.append(draw(st.sampled_from(["", "", " "])) + f"[{section}]" + draw(st.sampled_from(["", " x"])))
        for key in draw(st.lists(keys, max_size=4, unique_by=lambda key: key.lower().replace("_", "-"))):
            lines += draw(options(key))
            lines += draw(st.lists(loose, max_size=2))
    ending = draw(endings)
    text = ending.join(lines) + (ending if draw(st.booleans()) else "")
    bom = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return bom + text.encode(errors="surrogateescape")


some_settings = st.sampled_from([DEV, TRUSTED, SECRET, Settings(TRUSTED.simple, TRUSTED.index, trusted=False)])


def applied(desk: Desk, content: bytes, chosen: Settings) -> bytes | None:
    """The file with the settings; None if it was refused, and then is as it was."""
    desk.path.write_bytes(content)
    try:
        desk.book.apply(desk.target, chosen)
    except ConfigError:
        assert desk.everything() == {str(desk.path): content}
        assert desk.records() == []
        return None
    return desk.path.read_bytes()


@bounded
@given(content=ini_files(), chosen=some_settings)
def test_pip_finds_the_index_and_nothing_else_changed(content: bytes, chosen: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        after = applied(Desk(Path(folder)), content, chosen)
    if after is None:
        with pytest.raises(configparser.Error):
            parsed(content)
        return
    before, now = parsed(content), parsed(after)

    url = now["global"].get("index_url", now["global"].get("index-url"))
    assert url == chosen.simple
    assert now["search"]["index"] == chosen.index
    hosts = now["global"].get("trusted-host", "").split()
    if chosen.trusted is not None:
        assert (chosen.host in hosts) == chosen.trusted
    ours = {"index_url", "index-url", "index", "trusted-host"}
    for section in before.sections():
        for key, value in before[section].items():
            if section not in {"global", "search"} or key not in ours:
                assert now[section][key] == value


def not_ours(content: bytes) -> list[bytes]:
    """Lines that no option of ours is made of: comments, headers, options of other names at the margin."""
    lines = bare(content).replace(b"\r\n", b"\n").split(b"\n")
    starts = (b"#", b";", b"[", b"timeout", b"extra-index-url", b"no.such")
    return [line for line in lines if line.startswith(starts) and line not in (b"[global]", b"[search]")]


@bounded
@given(content=ini_files(), chosen=some_settings)
def test_lines_that_are_not_ours_stay_byte_for_byte(content: bytes, chosen: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        after = applied(Desk(Path(folder)), content, chosen)
    if after is None:
        return

    assert not_ours(after) == not_ours(content)
    assert after.startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")
    if b"\r\n" in content:
        assert after.count(b"\n") == after.count(b"\r\n")
    last = bare(content).splitlines()[-1:]
    if last and not last[0].startswith((b" ", b"\t")):  # else it may be the end of a value that we replaced
        assert after.endswith(b"\n") == content.endswith(b"\n")


@bounded
@given(content=st.none() | ini_files(), first=some_settings, second=some_settings)
def test_applied_twice_and_restored_gives_the_first_bytes(
    content: bytes | None, first: Settings, second: Settings
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        if content is not None and applied(desk, content, first) is None:
            return
        if content is None:
            desk.book.apply(desk.target, first)
        once = desk.content()
        desk.book.apply(desk.target, first)
        assert desk.content() == once
        desk.book.apply(desk.target, second)
        desk.book.restore()

        assert desk.everything() == ({} if content is None else {str(desk.path): content})
        assert desk.records() == []


@bounded
@given(content=ini_files(), chosen=some_settings, ending=endings)
def test_what_a_person_added_meanwhile_stays_and_ours_goes(content: bytes, chosen: Settings, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        after = applied(desk, content, chosen)
        if after is None or after == content:
            return
        addition = f"{ending}[mine]{ending}key = value{ending}".encode()
        desk.path.write_bytes(after + addition)
        (restored,) = desk.book.restore()
        left = desk.path.read_bytes()

    assert restored.outcome is Outcome.UNPICKED
    before, now = parsed(content), parsed(left)
    assert now["mine"]["key"] == "value"
    now.remove_section("mine")
    assert spoken(now) == spoken(before)
    assert left.endswith(addition.lstrip())


def spoken(parser: configparser.RawConfigParser) -> dict[str, dict[str, list[str]]]:
    """All values in words: blank lines inside a value say nothing."""
    return {name: {key: value.split() for key, value in parser[name].items()} for name in parser.sections()}


# Properties: TOML.

toml_lines = st.sampled_from(
    [
        "# a comment",
        "",
        'cache-dir = "x" # why',
        "offline = true",
        "extra-index-url = [\n  'https://a.example.com',  # one\n\n  # two\n  'https://b.example.com',\n]",
        "a.b = true",
        "text = '''\nindex-url = \"no\"\n[[index]]\n'''",
        'find-links = [ "a","b" ]',
    ]
)
toml_ours = st.sampled_from(
    [
        "",
        "index-url = 'https://old.example.com/simple' # mine",
        '"index-url"="https://old.example.com/simple"',
        "allow-insecure-host = ['old.example.com']",
        "allow-insecure-host = [\n  'old.example.com',\n  \"packages.example.com\", # ours\n]",
    ]
)
toml_tables = st.sampled_from(
    [
        "[[index]]\nname = 'first'\nurl = 'https://first.example.com/simple'",
        "[[index]]\n  url   = 'https://default.example.com/simple'  # here\n  default = true",
        "[pip]\nindex-url = 'https://pip.example.com/simple'\n# end of pip",
        "[[dependency-metadata]]\nname = 'x'\nversion = '1'",
        "[add-bounds]",
    ]
)


@st.composite
def toml_files(draw: st.DrawFn) -> bytes:
    lines = [*draw(st.lists(toml_lines, max_size=4, unique=True)), draw(toml_ours)]
    lines += draw(st.lists(toml_tables, max_size=4, unique=True))
    text = "\n".join(lines) + ("\n" if draw(st.booleans()) else "")
    bom = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return bom + text.replace("\n", draw(endings)).encode()


def toml(content: bytes) -> dict[str, object]:
    table = tomllib.loads(bare(content).decode())
    if "allow-insecure-host" in table:
        table["allow-insecure-host"].sort()  # it is a set
    return table


def default_url(table: dict[str, object]) -> object:
    entries = table.get("index")
    defaults = [entry for entry in entries if entry.get("default")] if isinstance(entries, list) else []
    return defaults[0]["url"] if defaults else table.get("index-url")


@bounded
@given(content=toml_files(), chosen=some_settings)
def test_uv_toml_names_the_index_and_every_other_line_stays(content: bytes, chosen: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        after = applied(Desk(Path(folder), "uv"), content, chosen)
    assert after is not None

    before, now = toml(content), toml(after)
    assert default_url(now) == chosen.simple
    hosts = now.get("allow-insecure-host", [])
    assert isinstance(hosts, list)
    if chosen.trusted is not None:
        assert (chosen.host in hosts) == chosen.trusted
    ours = {"index-url", "index", "allow-insecure-host"}
    assert {key: now[key] for key in now if key not in ours} == {key: before[key] for key in before if key not in ours}
    # What is left of a list that lost or won a host is compared by its values, above.
    own = (b"index-url", b'"index-url"', b"url", b"allow-insecure-host", b'"packages', b"'old", b"]")
    kept = [line for line in bare(content).splitlines(keepends=True) if not line.strip().startswith(own)]
    assert [line for line in bare(after).splitlines(keepends=True) if line in kept] == kept
    assert (bare(after) == after) == (bare(content) == content)


@bounded
@given(content=st.none() | toml_files(), first=some_settings, second=some_settings)
def test_uv_toml_comes_back_byte_for_byte(content: bytes | None, first: Settings, second: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), "uv")
        if content is not None:
            desk.path.write_bytes(content)
        desk.book.apply(desk.target, first)
        once = desk.content()
        desk.book.apply(desk.target, first)
        assert desk.content() == once
        desk.book.apply(desk.target, second)
        desk.book.restore()

        assert desk.everything() == ({} if content is None else {str(desk.path): content})


@bounded
@given(content=toml_files(), chosen=some_settings)
def test_a_person_edited_uv_toml_meanwhile_and_only_ours_goes(content: bytes, chosen: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), "uv")
        after = applied(desk, content, chosen)
        if after is None or after == content:
            return
        desk.path.write_bytes(after + b"\n[mine]\nkey = 1\n")
        desk.book.restore()
        left = toml(desk.path.read_bytes())

    assert left.pop("mine") == {"key": 1}
    assert left == toml(content)


# Examples: what the tools themselves say.


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[global]\ntimeout = 5\n", id="section"),
        pytest.param(b"[global]\nindex-url =\n    http://a.example.com\n# c\n[install]\nuser = no", id="continued"),
        pytest.param(b"[global]\r\nINDEX_URL: http://a.example.com\r\n", id="crlf"),
    ],
)
def test_pip_itself_reads_the_index(content: bytes, desk: Desk) -> None:
    after = applied(desk, content, DEV)

    assert after is not None
    assert pip_says(after) == SIMPLE
    assert pip_says(after, "search.index") == DEV.index


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xef\xbb\xbfoffline = true\r\n", id="bom-crlf"),
        pytest.param(
            b'[[index]]\nname = "corp"\nurl = "https://old.example.com/simple"\ndefault = true\n', id="default"
        ),
        pytest.param(b'index = [{ url = "https://old.example.com/simple", default = true }]\n', id="inline"),
        pytest.param(b"[pip]\nstrict = true", id="table"),
    ],
)
def test_uv_itself_reads_the_index_and_the_host(content: bytes, uv_desk: Desk) -> None:
    after = applied(uv_desk, content, TRUSTED)
    told = uv_says(uv_desk.path)

    assert after is not None
    assert b"old.example.com" not in after
    assert told.returncode == 0, told.stderr
    assert '"/bob/prod/+simple/"' in told.stdout
    assert told.stdout.count("packages.example.com") >= 2


def test_uv_needs_no_leave_for_plain_http(uv_desk: Desk) -> None:
    plain = Settings(
        simple="http://packages.example.com/a/b/+simple/", index="http://packages.example.com/a/b", trusted=True
    )

    uv_desk.book.apply(uv_desk.target, plain)

    assert uv_desk.content() == b'index-url = "http://packages.example.com/a/b/+simple/"\n'


def test_the_spelling_in_the_file_is_kept(desk: Desk) -> None:
    after = applied(desk, b"[global]\nindex-url = http://a.example.com\n", DEV)

    assert after == f"[global]\nindex-url = {SIMPLE}\n\n[search]\nindex = {DEV.index}\n".encode()


def test_a_new_file_has_our_settings_only(desk: Desk) -> None:
    done = desk.book.apply(desk.target, DEV)

    assert done.changed
    assert done.backup is None
    assert desk.content() == f"[global]\nindex_url = {SIMPLE}\n\n[search]\nindex = {DEV.index}\n".encode()


@pytest.mark.parametrize(
    ("tool", "expected"),
    [("distutils", "[easy_install]\nindex_url = {url}\n"), ("buildout", "[buildout]\nindex = {url}\n")],
)
def test_old_tools_get_their_section(tool: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / ".folder" / "file.cfg"

    Book(tmp_path / "client").apply(Target(tool, path), DEV)

    assert path.read_text() == expected.format(url=SIMPLE)


def test_our_host_joins_the_trusted_ones_and_leaves_again(desk: Desk) -> None:
    content = b"[global]\ntrusted-host =\n    a.example.com\n    # and\n    b.example.com\ntimeout = 1\n"
    after = applied(desk, content, TRUSTED)

    assert after is not None
    assert parsed(after)["global"]["trusted-host"].split() == ["a.example.com", "b.example.com", "packages.example.com"]
    assert b"    # and\n" in after

    desk.book.apply(desk.target, DEV)
    now = desk.path.read_bytes()
    assert parsed(now)["global"]["trusted-host"].split() == ["a.example.com", "b.example.com"]


def test_a_distrusted_host_leaves_a_line_of_several(desk: Desk) -> None:
    content = b"[global]\ntrusted-host = a.example.com packages.example.com b.example.com\n"
    after = applied(desk, content, Settings(TRUSTED.simple, TRUSTED.index, trusted=False))

    assert after is not None
    assert b"trusted-host = a.example.com b.example.com\n" in after


# Examples: what is shown.


def test_the_status_hides_the_password(desk: Desk) -> None:
    desk.book.apply(desk.target, SECRET)

    status = desk.target.status()

    assert status.url == "https://alice:****@packages.example.com/alice/dev/+simple/"
    assert status.line == f"{desk.path}: {status.url}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no config file exists"),
        (b"[install]\nindex_url = http://a.example.com\n", "no index server configured"),
        (b"[global]\nindex_url =\n", "no index server configured"),
        (b"[global]\nindex_url = http://me:word@[\n", "http://****@["),
        (b"[global]\nindex_url = http://a/\x1b[31m\xff\n", "http://a/?[31m?"),
    ],
    ids=["absent", "elsewhere", "blank", "broken", "terminal"],
)
def test_the_status_is_one_line(content: bytes | None, words: str, desk: Desk) -> None:
    if content is not None:
        desk.path.write_bytes(content)

    assert desk.target.status().line == f"{desk.path}: {words}"


# Examples: refusals. Nothing changes.


@pytest.mark.parametrize(
    ("tool", "content", "line", "words"),
    [
        ("pip", b"[global]\nwhat is this\n", 2, "neither an option nor a [section]"),
        ("pip", b"index-url = x\n", 1, "before the first [section]"),
        ("pip", b"[a]\n[a]\n", 2, "the section [a] is there twice"),
        ("pip", b"[a]\nb=1\nb=2\n", 3, "the option b is there twice in [a]"),
        ("pip", "[global]\n".encode("utf-16"), None, "UTF-16"),
        ("uv", b"a = 1\nindex-url = \n", 2, "it is not TOML: Invalid value"),
        ("uv", b"a = 1\n# \xff\n", 2, "it is not UTF-8 text"),
        ("uv", b"allow-insecure-host = 3\n", None, "is not a list"),
        ("uv", b"[[index]]\ndefault = true\n", None, "cannot be edited"),
    ],
    ids=["junk", "no-section", "section-twice", "option-twice", "utf-16", "no-value", "latin-1", "no-list", "no-url"],
)
def test_a_file_that_cannot_be_parsed_is_not_touched(
    tool: str, content: bytes, line: int | None, words: str, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, tool)
    desk.path.write_bytes(content)
    with pytest.raises(ConfigError) as refusal:
        desk.book.apply(desk.target, TRUSTED)

    assert words in refusal.value.problem
    assert refusal.value.line == line
    assert str(desk.path) in str(refusal.value)
    assert "by hand" in str(refusal.value)
    assert desk.everything() == {str(desk.path): content}
    assert desk.records() == []


def test_a_read_only_file_is_not_touched_and_the_others_are_done(desk: Desk, tmp_path: Path) -> None:
    desk.path.write_bytes(b"[global]\n")
    desk.path.chmod(0o444)
    with pytest.raises(ConfigError, match="read-only"):
        desk.book.apply(desk.target, DEV)
    other = tmp_path / "other.cfg"
    desk.book.apply(Target("buildout", other), DEV)

    assert desk.everything() == {str(desk.path): b"[global]\n"}
    assert other.exists()


@pytest.mark.parametrize("verb", ["apply", "status"])
def test_a_device_is_not_a_configuration_file(verb: str, tmp_path: Path) -> None:
    target = Target("pip", Path("/dev/zero"))
    with pytest.raises(ConfigError, match="not a regular file"):
        Book(tmp_path).apply(target, DEV) if verb == "apply" else target.status()

    assert stat.S_ISCHR(Path("/dev/zero").stat().st_mode)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="Not a directory"):
        Book(tmp_path / "client").apply(Target("pip", tmp_path / "file" / "pip.conf"), DEV)

    assert (tmp_path / "file").read_text() == "x"
    assert list((tmp_path / "client").rglob("*.json")) == []


def test_a_circle_of_links_is_said_so(desk: Desk) -> None:
    desk.path.symlink_to(desk.path)

    with pytest.raises(ConfigError, match="cannot be"):
        desk.book.apply(desk.target, DEV)


def test_without_a_place_for_the_record_the_file_is_not_touched(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\n")
    desk.clientdir.write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be"):
        desk.book.apply(desk.target, DEV)

    assert desk.everything() == {str(desk.path): b"[global]\n"}


def test_a_folder_of_records_that_cannot_be_made_is_said_so(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\n")
    desk.clientdir.mkdir()
    (desk.clientdir / "configfiles-1").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be made"):
        desk.book.apply(desk.target, DEV)

    assert desk.everything() == {str(desk.path): b"[global]\n"}


def test_a_write_that_fails_takes_record_and_backup_with_it(desk: Desk) -> None:
    # The longest name there may be: the new content gets no place beside it.
    path = desk.path.with_name("p" * 250)
    path.write_bytes(b"[global]\n")
    with pytest.raises(ConfigError, match="cannot be written: File name too long"):
        desk.book.apply(Target("pip", path), DEV)

    assert desk.everything() == {str(path): b"[global]\n"}
    assert desk.records() == []


@pytest.mark.parametrize("url", ["http://a b/", "http://a/\nx = 1", "", "no url", "http://a/\x7f"])
def test_settings_that_could_not_stand_in_a_file_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        Settings(simple=url, index=DEV.index)


# Examples: links, modes, backups.


def test_a_linked_file_is_edited_where_it_is_and_stays_linked(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "pip.conf"
    real.parent.mkdir()
    real.write_bytes(b"[global]\ntimeout = 1\n")
    desk.path.symlink_to(real)

    desk.book.apply(desk.target, DEV)

    assert desk.path.is_symlink()
    assert SIMPLE.encode() in real.read_bytes()
    assert desk.backup.read_bytes() == b"[global]\ntimeout = 1\n"

    desk.book.restore()
    assert desk.path.is_symlink()
    assert real.read_bytes() == b"[global]\ntimeout = 1\n"
    assert list(real.parent.iterdir()) == [real]


def test_a_link_to_nothing_is_a_link_to_nothing_again(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "pip.conf"
    desk.path.symlink_to(real)

    desk.book.apply(desk.target, DEV)
    assert real.exists()

    desk.book.restore()
    assert desk.path.is_symlink()
    assert not real.exists()


def test_the_backup_has_the_bytes_and_the_mode_and_is_made_once(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\n# one\n")
    desk.path.chmod(0o640)
    done = desk.book.apply(desk.target, DEV)
    again = desk.book.apply(desk.target, TRUSTED)

    assert (done.backup, again.backup) == (desk.backup, None)
    assert desk.backup.read_bytes() == b"[global]\n# one\n"
    assert mode(desk.backup) == 0o640


def test_somebody_elses_backup_stays(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\n")
    desk.backup.write_bytes(b"old")
    desk.book.apply(desk.target, DEV)
    desk.book.restore()

    assert desk.backup.read_bytes() == b"old"


def test_the_mode_of_a_file_is_kept(desk: Desk) -> None:
    desk.path.write_bytes(b"")
    desk.path.chmod(0o664)
    desk.book.apply(desk.target, DEV)

    assert mode(desk.path) == 0o664


def test_credentials_narrow_the_mode_until_they_are_gone(desk: Desk) -> None:
    desk.path.write_bytes(b"")
    desk.path.chmod(0o644)
    desk.book.apply(desk.target, SECRET)
    assert mode(desk.path) == 0o600

    desk.book.apply(desk.target, DEV)
    assert mode(desk.path) == 0o644

    desk.book.apply(desk.target, SECRET)
    desk.book.restore()
    assert mode(desk.path) == 0o644


def test_a_new_file_with_credentials_is_private(desk: Desk) -> None:
    desk.book.apply(desk.target, SECRET)

    assert mode(desk.path) == 0o600


def test_a_mode_that_a_person_set_meanwhile_stays(desk: Desk) -> None:
    desk.path.write_bytes(b"")
    desk.path.chmod(0o644)
    desk.book.apply(desk.target, SECRET)
    desk.path.chmod(0o640)
    desk.book.restore()

    assert mode(desk.path) == 0o640


def test_records_are_private(desk: Desk) -> None:
    desk.book.apply(desk.target, SECRET)
    (record,) = desk.records()

    assert mode(record) == 0o600
    assert mode(record.parent) == 0o700


def test_nothing_is_written_where_the_file_says_it_already(desk: Desk) -> None:
    content = f"[global]\nindex-url =\n  {SIMPLE}\n[search]\nindex={DEV.index}\n".encode()
    desk.path.write_bytes(content)
    done = desk.book.apply(desk.target, DEV)

    assert not done.changed
    assert desk.everything() == {str(desk.path): content}
    assert desk.records() == []


# Examples: time passes, programs die.


def test_a_crash_before_the_file_was_written_leaves_nothing_to_restore(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\n")
    desk.book.apply(desk.target, DEV)
    # What a dying program leaves: the record, and the file as it was.
    desk.path.write_bytes(b"[global]\n")
    (restored,) = desk.book.restore()

    assert restored.outcome is Outcome.RESTORED
    assert desk.everything() == {str(desk.path): b"[global]\n"}


def test_a_program_killed_while_it_writes_loses_nothing(desk: Desk) -> None:
    """Killed after each system call that changes the disk, in turn."""
    original = b"[global]\ntimeout = 1\n"
    for deaths in range(1, 40):
        for path in (desk.path, desk.backup):
            path.unlink(missing_ok=True)
        desk.path.write_bytes(original)
        finished = _killed_after(deaths, desk)
        desk.book.restore()

        left = {path: content for path, content in desk.everything().items() if "/.pip.conf" not in path}
        left.pop(f"{desk.backup}", None)  # cut off between record and copy, it is a copy of the original
        assert left == {str(desk.path): original}
        if finished:
            return
    pytest.fail("the program never came to its end")


def _killed_after(calls: int, desk: Desk) -> bool:
    """Run an apply that dies at the given audit event of the disk; whether it came to its end."""
    program = f"""
import os, sys
from pathlib import Path
from stilton_client.configbook import Book
from stilton_client.configfiles import Settings, Target
left = {calls}
def watch(event, args):
    global left
    writing = event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT
    if writing or event in ("os.rename", "os.mkdir", "os.chmod", "os.remove"):
        left -= 1
        if not left:
            os._exit(9)
sys.addaudithook(watch)
Book(Path({str(desk.clientdir)!r})).apply(Target("pip", Path({str(desk.path)!r})), Settings({DEV.simple!r}, {DEV.index!r}))
"""
    return subprocess.run([sys.executable, "-B", "-c", program], check=False).returncode == 0


def test_a_setting_that_a_person_changed_is_theirs(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\nindex-url = http://a.example.com/\n")
    desk.book.apply(desk.target, DEV)
    desk.path.write_bytes(desk.path.read_bytes().replace(SIMPLE.encode(), b"http://theirs.example.com/"))
    desk.book.restore()

    assert desk.content() == b"[global]\nindex-url = http://theirs.example.com/\n"


def test_a_list_of_hosts_that_a_person_changed_loses_ours_only(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\ntrusted-host = a.example.com\n")
    desk.book.apply(desk.target, TRUSTED)
    desk.path.write_bytes(desk.path.read_bytes().replace(b"a.example.com", b"b.example.com"))
    desk.book.restore()

    assert desk.content() == b"[global]\ntrusted-host = b.example.com\n"


def test_a_host_that_we_took_away_comes_back_into_a_changed_list(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\ntrusted-host = a.example.com packages.example.com\n")
    desk.book.apply(desk.target, Settings(TRUSTED.simple, TRUSTED.index, trusted=False))
    desk.path.write_bytes(desk.path.read_bytes().replace(b"a.example.com", b"b.example.com"))
    desk.book.restore()

    assert parsed(desk.path.read_bytes())["global"]["trusted-host"].split() == ["b.example.com", "packages.example.com"]


def test_a_continued_value_comes_back_into_an_edited_file(desk: Desk) -> None:
    original = b"[global]\nindex-url =\n    http://a.example.com/\ntimeout = 1\n"
    desk.path.write_bytes(original)
    desk.book.apply(desk.target, DEV)
    desk.path.write_bytes(desk.path.read_bytes().replace(b"timeout = 1", b"timeout = 2"))
    desk.book.restore()

    assert desk.content() == original.replace(b"timeout = 1", b"timeout = 2")


def test_an_edited_file_takes_another_index_and_gives_the_edit_back(desk: Desk) -> None:
    desk.path.write_bytes(b"[install]\nuser = no\n")
    desk.book.apply(desk.target, TRUSTED)
    desk.path.write_bytes(desk.path.read_bytes().replace(b"user = no", b"user = yes"))
    desk.book.apply(desk.target, DEV)
    (restored,) = desk.book.restore()

    assert restored.outcome is Outcome.RESTORED
    assert desk.content() == b"[install]\nuser = yes\n"


def test_a_new_file_in_which_a_person_wrote_is_not_removed(desk: Desk) -> None:
    desk.book.apply(desk.target, DEV)
    desk.path.write_bytes(desk.path.read_bytes() + b"[install]\nuser = no\n")
    desk.book.restore()

    assert desk.content() == b"[install]\nuser = no\n"


def test_a_file_that_a_person_deleted_stays_deleted(desk: Desk) -> None:
    desk.path.write_bytes(b"[global]\n")
    desk.book.apply(desk.target, DEV)
    desk.path.unlink()
    (restored,) = desk.book.restore()

    assert restored.outcome is Outcome.GONE
    assert desk.content() is None
    assert desk.records() == []


def test_one_file_that_fails_does_not_keep_the_others_back(desk: Desk, tmp_path: Path) -> None:
    other = Target("uv", tmp_path / "home" / "uv.toml")
    for target in (desk.target, other):
        desk.book.apply(target, DEV)
    other.path.write_bytes(b"broken =")
    outcomes = {restored.path: restored for restored in desk.book.restore()}

    assert outcomes[desk.path].outcome is Outcome.REMOVED
    assert outcomes[other.path].outcome is Outcome.FAILED
    assert "it is not TOML" in str(outcomes[other.path].error)
    assert other.path.read_bytes() == b"broken ="
    assert len(desk.records()) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"original": 3}'], ids=["cut", "list", "empty", "odd"])
def test_a_damaged_record_is_said_so(content: bytes, desk: Desk) -> None:
    desk.book.apply(desk.target, DEV)
    (record,) = desk.records()
    record.write_bytes(content)
    (restored,) = desk.book.restore()

    assert restored.outcome is Outcome.FAILED
    assert str(record) in str(restored.error)
    assert desk.content() is not None
    with pytest.raises(ConfigError, match="not a record"):
        desk.book.apply(desk.target, TRUSTED)


def test_there_is_nothing_to_restore_before_the_first_apply(tmp_path: Path) -> None:
    assert Book(tmp_path / "none").restore() == []


def test_the_record_names_no_format_but_in_its_folder(desk: Desk) -> None:
    desk.book.apply(desk.target, DEV)
    (record,) = desk.records()

    assert record.parent.name == "configfiles-1"
    assert set(json.loads(record.read_bytes())) == {"tool", "path", "original", "mode", "backup", "written"}
