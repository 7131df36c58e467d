"""`devpi-gen-config`: what it writes, read back by the rules of each program."""

import configparser
import getpass
import json
import os
import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stilton import config
from stilton.cli import genconfig, services
from stilton.cli.main import serve
from stilton.cli.options import named
from stilton.config import Config
from stilton.settings import SETTINGS, Setting
from tests.support.server import BIN, clean_env

Done = subprocess.CompletedProcess[str]

FILES = [
    "crontab", "launchd-macos.txt", "nginx-devpi.conf", "nginx-devpi-caching.conf", "supervisor-devpi.conf",
    "supervisord.conf", "devpi.service", "devpi.socket", "windows-service.txt", "net.devpi.plist",
]  # fmt: skip
HOMES = "/" + "home"  # apart: test_docs looks for folders of one machine
ODD = "/srv/a b/50% 'off'/devpi"
ODD_PATHS = {
    "space": "/srv/a  b", "percent": "/srv/%h/100%/%(here)s", "single": "/srv/it's", "double": '/srv/"q"',
    "unicode": "/srv/Käse/\u30c1\u30fc\u30ba", "dash": "/srv/-x/--help", "semicolon": "/srv/a ;b", "hash": "/srv/a #b",
    "wide space": "/srv/a\u2003;b\u00a0#c", "backslash": "/srv/a\\nb\\", "at": "/srv/@{user}@", "braces": "/srv/{a};}",
    "star": "/srv/*?[a]~", "pipe": "/srv/a|b&c>d<e", "tick": "/srv/`id`", "colon": "/srv/a:b,c=d", "xml": "/srv/<a>&amp;",
}  # fmt: skip
EXAMPLES = {
    "text": "a word", "path": "a word", "int": "7", "seconds": "2.5", "size": "3M", "room": "2.5%", "octal": "660", "list": ["10.0.0.0/8", "10.1.1.1"],
}  # fmt: skip
SPECIAL = {
    "host": "127.0.0.9", "listen": ["*:80", "[::1]:3142"], "outside-url": "https://packages.example/index",
    "log-format": "json", "storage": "sqlite", "role": "standalone", "tls-cert": "cert.pem", "tls-key": "key.pem",
    "restrict-modify": ["root", ":admins"],
}  # fmt: skip


def gen_config(cwd: Path, *arguments: str | bytes) -> Done:
    """Run the command in a folder."""
    return subprocess.run(
        [BIN / "devpi-gen-config", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
        env=clean_env(HOME=str(cwd), XDG_CONFIG_HOME=str(cwd)),
    )  # fmt: skip


def a_config(**settings: Any) -> Config:
    return config.load({name.replace("_", "-"): value for name, value in settings.items()}, {})


def texts(configfile: str | None = None, **settings: Any) -> dict[str, str]:
    made = genconfig.texts(a_config(**settings), configfile)
    assert made.left_out == {}
    return {name: text.decode() for name, text in made.files.items()}


def left_out(**settings: Any) -> dict[str, str]:
    return genconfig.texts(a_config(**settings)).left_out


def served_by(command: list[str]) -> Config:
    """The settings that this command line means to devpi-server."""
    with serve.make_context("devpi-server", command[1:]) as context:
        given = dict(context.params)
    return config.load(named(given), {}, given["configfile"])


def unit(text: str) -> configparser.RawConfigParser:
    """A unit file; a key that is there twice keeps its last value."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign] # as configparser's documentation does it
    parser.read_string(text)
    return parser


def program(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    return {key: value.replace("%%", "%") for key, value in parser["program:devpi-server"].items()}


# -- the command ------------------------------------------------------------------------------


def test_each_file_is_written_and_said(tmp_path: Path) -> None:
    done = gen_config(tmp_path)

    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"wrote gen-config/{name}" for name in FILES]
    assert sorted(path.name for path in (tmp_path / "gen-config").iterdir()) == sorted(FILES)
    assert "With -c FILE" in done.stderr


def test_with_a_configuration_file_its_options_stay_there(tmp_path: Path) -> None:
    (tmp_path / "devpi.yml").write_text("devpi-server:\n  port: 4040\n  serverdir: data\n  trusted-proxy: [10.0.0.1]\n")

    done = gen_config(tmp_path, "-c", "devpi.yml", "--host", "127.0.0.9")
    words = shlex.split((tmp_path / "gen-config" / "crontab").read_text().splitlines()[-1])

    assert "With -c FILE" not in done.stderr
    assert words[2:] == [
        "-c", str(tmp_path / "devpi.yml"), "--serverdir", str(tmp_path / "data"), "--host", "127.0.0.9",
        ">>", "$HOME/devpi-server.log", "2>&1",
    ]  # fmt: skip
    assert "server 127.0.0.9:4040;" in (tmp_path / "gen-config" / "nginx-devpi.conf").read_text()


def test_what_somebody_changed_in_a_file_is_kept_beside_it(tmp_path: Path) -> None:
    gen_config(tmp_path)
    mine = tmp_path / "gen-config" / "nginx-devpi.conf"
    mine.write_text("# mine\n")

    done = gen_config(tmp_path)

    assert "wrote gen-config/nginx-devpi.conf (what was there is nginx-devpi.conf.old now)" in done.stdout
    assert mine.with_name("nginx-devpi.conf.old").read_text() == "# mine\n"
    assert "upstream devpi" in mine.read_text()
    assert [path.name for path in mine.parent.iterdir() if path.name not in FILES] == ["nginx-devpi.conf.old"]


def test_what_somebody_changed_survives_any_number_of_runs(tmp_path: Path) -> None:
    folder = tmp_path / "gen-config"
    gen_config(tmp_path)
    (folder / "crontab").write_text("# mine\n")

    for port in ("3201", "3202", "3201"):
        assert gen_config(tmp_path, "--port", port).returncode == 0

    kept = {path.name: path.read_text() for path in folder.glob("crontab.*")}
    assert kept["crontab.old"] == "# mine\n"
    assert sorted(kept) == ["crontab.old", "crontab.old2", "crontab.old3"]


def test_a_file_that_is_left_out_does_not_stay_as_an_earlier_run_made_it(tmp_path: Path) -> None:
    folder = tmp_path / "gen-config"
    gen_config(tmp_path, "--serverdir", "/srv/devpi")

    done = gen_config(tmp_path, "--serverdir", "/srv/$HOME")

    assert done.returncode == 1
    assert "gen-config/nginx-devpi.conf of an earlier run is nginx-devpi.conf.old now\n" in done.stdout
    assert not (folder / "nginx-devpi.conf").exists()
    assert "/srv/devpi/blobs" in (folder / "nginx-devpi.conf.old").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], "--port is '0'"),
        (["--serverdir", "/srv/a\nb"], "control character"),
        (["--serverdir", b"/srv/a\xff"], "control character in it, or what is no UTF-8"),
    ],
    ids=["setting", "newline", "bytes"],
)
def test_what_no_file_can_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, arguments: list[str | bytes], words: str
) -> None:
    done = gen_config(tmp_path, *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: ")
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "gen-config").write_text("a file")

    done = gen_config(tmp_path)

    assert (done.returncode, done.stderr) == (1, "fatal: gen-config cannot be written: File exists.\n")
    assert (tmp_path / "gen-config").read_text() == "a file"


def test_a_folder_of_roots_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    done = gen_config(tmp_path, "--serverdir", "data")

    assert ("the service runs as root" in done.stderr) == (getpass.getuser() == "root")


def test_a_socket_that_nginx_could_not_open_is_mentioned(tmp_path: Path) -> None:
    closed, group, everybody = (
        gen_config(tmp_path, "--unix-socket", "/run/devpi/s", "--unix-socket-perms", bits).stderr
        for bits in ("600", "660", "666")
    )

    assert "A socket with permissions 600 is not for nginx" in closed
    assert "--unix-socket-perms 666" in group
    assert "is not for nginx" not in everybody


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder of root's")
def test_data_that_the_services_user_cannot_reach_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "roots").mkdir(mode=0o700)
    (tmp_path / "roots" / "data").mkdir()
    os.chown(tmp_path / "roots" / "data", 65534, 65534)

    done = gen_config(tmp_path, "--serverdir", "roots/data")
    found = services.closed(tmp_path / "roots" / "data", "nobody")

    assert "who cannot enter /" in done.stderr
    assert found is not None
    assert (tmp_path / "roots").is_relative_to(found)
    assert services.closed(tmp_path / "roots" / "data", "root") is None
    assert services.closed(Path("/usr/bin/env"), "nobody") is None


# -- the command line in them -----------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_comes_through_the_command_line(setting: Setting) -> None:
    value = SPECIAL.get(setting.name, EXAMPLES.get(setting.kind, not setting.default))
    more = {"tls-cert": "cert.pem", "tls-key": "key.pem"} if setting.name.startswith("tls-") else {}
    wanted = config.load({**more, setting.name: value}, {})

    got = served_by(services.command(wanted, None))

    if setting.name in services.PATHS:
        assert getattr(got, setting.key) in (Path.cwd() / str(value), str(Path.cwd() / str(value)))
    else:
        assert getattr(got, setting.key) == getattr(wanted, setting.key)


def test_a_flag_takes_back_what_the_configuration_file_says(tmp_path: Path) -> None:
    file = tmp_path / "devpi.yml"
    file.write_text("devpi-server:\n  read-ahead: no\n  port: 4040\n")
    wanted = config.load({"read-ahead": "yes"}, {}, str(file))

    got = served_by(services.command(wanted, str(file)))

    assert msgspec.structs.replace(got, given={}) == msgspec.structs.replace(wanted, given={})
    assert got.read_ahead


@pytest.mark.parametrize("path", [ODD, *ODD_PATHS.values()], ids=["odd", *ODD_PATHS])
def test_an_odd_path_comes_through_every_file(path: str) -> None:
    made = texts(serverdir=path)
    wanted = services.command(a_config(serverdir=path), None)

    cron = made["crontab"].splitlines()[-1]
    systemd = unit(made["devpi.service"])

    assert path in wanted
    assert shlex.split(cron.replace(r"\%", "%"))[1 : len(wanted) + 1] == wanted
    assert not re.search(r"(?<!\\)%", cron)
    assert shlex.split(program(made["supervisor-devpi.conf"])["command"]) == wanted
    assert systemd_words(systemd["Service"]["ExecStart"].replace("$$", "$")) == wanted
    assert systemd_words(systemd["Service"]["ReadWritePaths"]) == [path]
    assert systemd_words(systemd["Unit"]["RequiresMountsFor"]) == [path]
    assert plistlib.loads(made["net.devpi.plist"].encode())["ProgramArguments"] == wanted
    assert nginx_word(made["nginx-devpi.conf"], "alias") == f"{path}/blobs/"
    assert shlex.join(wanted) in made["windows-service.txt"]


def systemd_words(text: str) -> list[str]:
    """As systemd.syntax(7) has quotes; single ones mean nothing within double ones, and the other way round."""
    lexer = shlex.shlex(text.replace("%%", "%"), posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.whitespace = True, "", " "
    return list(lexer)


def nginx_word(text: str, directive: str) -> str:
    found = re.search(rf'^ *{directive} "((?:[^"\\]|\\.)*)";$', text, re.MULTILINE)
    assert found is not None
    return re.sub(r'\\(["\\])', r"\1", found[1])


def test_a_dollar_that_only_nginx_cannot_hold_leaves_the_other_files(tmp_path: Path) -> None:
    done = gen_config(tmp_path, "--serverdir", "/srv/$HOME")

    written = sorted(path.name for path in (tmp_path / "gen-config").iterdir())
    assert done.returncode == 1
    assert done.stderr.endswith(
        "fatal: Not written, all others are:\n"
        "  nginx-devpi.conf: '/srv/$HOME/blobs': nginx's configuration cannot hold a dollar there.\n"
    )
    assert written == sorted(set(FILES) - {"nginx-devpi.conf"})
    assert "ReadWritePaths=/srv/$HOME\n" in (tmp_path / "gen-config" / "devpi.service").read_text()


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"outside_url": "http://p.example/$x"}, ["nginx-devpi-caching.conf", "nginx-devpi.conf"]),
        ({"outside_url": "http://-a/"}, ["nginx-devpi-caching.conf", "nginx-devpi.conf"]),
        ({"host": "a b"}, ["devpi.socket", "nginx-devpi-caching.conf", "nginx-devpi.conf"]),
        ({"unix_socket": "/run/a\\"}, ["devpi.socket"]),
        ({"unix_socket": "/run/$x"}, ["nginx-devpi-caching.conf", "nginx-devpi.conf"]),
    ],
    ids=["dollar", "no host", "host", "backslash", "socket"],
)
def test_what_one_kind_of_file_cannot_hold_leaves_only_that_out(settings: dict[str, Any], names: list[str]) -> None:
    assert sorted(left_out(**settings)) == names


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://Paket.example/", "paket.example"),
        ("http://[2001:db8::1]:8080/", "[2001:db8::1]"),
    ],
    ids=["case", "ipv6"],
)
@pytest.mark.parametrize("file", ["nginx-devpi.conf", "nginx-devpi-caching.conf"], ids=["plain", "caching"])
def test_nginx_has_the_name_that_clients_ask_for(file: str, url: str, name: str) -> None:
    assert f"server_name {name};" in texts(outside_url=url)[file]


@pytest.mark.parametrize("file", ["nginx-devpi.conf", "nginx-devpi-caching.conf"], ids=["plain", "caching"])
def test_nginx_finds_no_fault_with_odd_values(tmp_path: Path, file: str) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:" + os.defpath)
    if nginx is None:
        pytest.skip("nginx is not installed")
    urls = [
        "http://p.example/k%C3%A4/a%20b/(c+",
        "http://[::1]:8080/{x};",
        'http://p.example/"q"/d',
        "http://p.example/%20a",
    ]
    given: list[dict[str, Any]] = [{"outside_url": url} for url in urls]
    given += [{"serverdir": path, "unix_socket": f"{path}/s"} for path in ODD_PATHS.values()]

    for number, settings in enumerate(given):
        place = tmp_path / str(number)
        cache = str(place / "ca che;")
        genconfig.write(genconfig.texts(a_config(**settings), None, genconfig.Front(cache)), place)
        (place / "nginx.conf").write_text(f"pid {place}/pid;\nevents {{}}\nhttp {{ include {file}; }}\n")
        command = [nginx, "-t", "-q", "-e", "stderr", "-p", str(place), "-c", str(place / "nginx.conf")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        said = [line for line in done.stderr.splitlines() if "[emerg]" in line]
        assert [line for line in said if "bind()" not in line] == []


# -- the files --------------------------------------------------------------------------------


def test_cron_starts_it_with_the_machine() -> None:
    lines = [line for line in texts()["crontab"].splitlines() if not line.startswith("#")]

    assert len(lines) == 1
    assert re.fullmatch(r'@reboot /\S+/devpi-server --serverdir \S+ >> "\$HOME/devpi-server\.log" 2>&1', lines[0])


def test_launchd_restarts_it_and_waits_for_its_end() -> None:
    made = texts(stop_timeout="50")

    job = plistlib.loads(made["net.devpi.plist"].encode())

    assert job["Label"] == "net.devpi"
    assert (job["RunAtLoad"], job["KeepAlive"], job["ExitTimeOut"]) == (True, {"SuccessfulExit": False}, 60)
    assert job["StandardOutPath"] in made["launchd-macos.txt"]


def test_supervisor_restarts_it_and_waits_for_its_end(tmp_path: Path) -> None:
    read = program(texts(stop_timeout="50", serverdir=str(tmp_path))["supervisor-devpi.conf"])

    assert (read["autorestart"], read["stopsignal"], read["stopwaitsecs"]) == ("true", "TERM", "60")
    assert read["user"] == getpass.getuser()


def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    settings: list[dict[str, Any]] = [
        {},
        {"serverdir": ODD, "unix_socket": "/run/devpi/s"},
        {"listen": ["*:80", "[::1]:1"]},
        *({"serverdir": path, "unix_socket": f"{path}/s"} for path in ODD_PATHS.values()),
        *({"serverdir": f"/var/lib/{name}"} for name in ("a b:c", "50%", 'q"', "\\back", "$x")),
    ]

    for number, given in enumerate(settings):
        place = tmp_path / str(number)
        genconfig.write(genconfig.texts(a_config(**given)), place)
        units = [str(place / "devpi.service"), str(place / "devpi.socket")]
        done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"serverdir": "/srv/devpi"}, {"ReadWritePaths": "/srv/devpi", "UMask": "0077", "CapabilityBoundingSet": ""}),
        ({"serverdir": "/var/lib/devpi"}, {"StateDirectory": "devpi", "StateDirectoryMode": "0700"}),
        ({"serverdir": "/var/lib/devpi", "x_accel_redirect": "yes"}, {"StateDirectoryMode": "0750", "UMask": "0027"}),
        ({"serverdir": f"{HOMES}/anna/devpi"}, {"ReadWritePaths": f"{HOMES}/anna/devpi", "ProtectHome": "read-only"}),
        ({"listen": ["*:443"]}, {"AmbientCapabilities": "CAP_NET_BIND_SERVICE"}),
        ({"serverdir": "/var/lib/d", "unix_socket": "/run/devpi/sock"}, {"RuntimeDirectory": "devpi"}),
        ({"stop_timeout": "100"}, {"TimeoutStopSec": "110", "KillMode": "mixed"}),
        ({}, {"ExecReload": "/bin/kill -HUP $MAINPID", "NoNewPrivileges": "yes", "ProtectSystem": "strict"}),
        ({}, {"PrivateTmp": "yes", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6", "Restart": "on-failure"}),
    ],
    ids=["folder", "state", "shared", "home", "low-port", "socket", "stop", "reload", "hardening"],
)
def test_the_unit_gives_just_what_the_server_needs(settings: dict[str, Any], wanted: dict[str, str]) -> None:
    service = unit(texts(**settings)["devpi.service"])["Service"]

    assert {key: service.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({}, ["ListenStream=127.0.0.1:3141"]),
        ({"host": "0.0.0.0", "port": "80"}, ["ListenStream=80"]),
        ({"listen": ["[::1]:3142", "*:3143"]}, ["ListenStream=[::1]:3142", "ListenStream=3143"]),
        (
            {"unix_socket": "/run/devpi/50%", "unix_socket_perms": "660"},
            ["ListenStream=/run/devpi/50%%", "SocketMode=0660"],
        ),
    ],
    ids=["default", "everywhere", "several", "unix"],
)
def test_the_socket_unit_listens_where_the_server_would(settings: dict[str, Any], lines: list[str]) -> None:
    text = texts(**settings)["devpi.socket"]

    section = text.partition("[Socket]\n")[2].partition("\n\n")[0]
    assert section.splitlines() == [*lines, "Backlog=2048"]


def test_a_name_that_is_known_elsewhere_is_left_to_who_knows_it() -> None:
    made = texts(host="devpi.invalid")

    assert (
        "# devpi.invalid: no address here; put it in its place.\nListenStream=devpi.invalid:3141\n"
        in made["devpi.socket"]
    )
    assert "server devpi.invalid:3141;" in made["nginx-devpi.conf"]


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({}, ["server 127.0.0.1:3141;", "listen 80;", "server_name localhost $hostname;", 'location "/" {']),
        ({"host": "0.0.0.0", "port": "99"}, ["server 127.0.0.1:99;"]),
        ({"listen": ["[::1]:3142", "*:3143"]}, ["server [::1]:3142;"]),
        ({"unix_socket": "/run/devpi/s"}, ['server "unix:/run/devpi/s";']),
        ({"tls_cert": "c", "tls_key": "k"}, ["proxy_pass https://devpi;"]),
        ({"max_request_body_size": "2M"}, [f"client_max_body_size {3 << 20};"]),
        ({}, ['proxy_set_header X-Outside-Url "$scheme://$http_host";']),
        (
            {"outside_url": "https://p.example/index/"},
            [
                "listen 80;",
                "server_name p.example;",
                'location "/index/" {',
                'X-Outside-Url "https://p.example/index/";',
            ],
        ),
        ({"outside_url": "http://p.example:8080"}, ["listen 8080;"]),
        ({"outside_url": "http://127.0.0.1:8080"}, ["listen 127.0.0.1:8080;"]),
    ],
    ids=["default", "everywhere", "several", "unix", "tls", "size", "no-url", "url", "port", "loopback"],
)
@pytest.mark.parametrize("name", ["nginx-devpi.conf", "nginx-devpi-caching.conf"], ids=["plain", "caching"])
def test_nginx_is_told_where_things_are(name: str, settings: dict[str, Any], lines: list[str]) -> None:
    text = texts(**settings)[name]

    assert [line for line in lines if line not in text] == []


@pytest.mark.parametrize(
    ("port", "outside", "asking"),
    [("3141", "http://p.example", 3142), ("8080", "http://p.example:8081", 8082), ("65535", "http://p.example", 65534)],
)
def test_the_server_in_the_middle_has_a_port_of_its_own(port: str, outside: str, asking: int) -> None:
    text = texts(port=port, outside_url=outside)["nginx-devpi-caching.conf"]

    assert f"listen 127.0.0.1:{asking};" in text
    assert f"server 127.0.0.1:{asking};" in text


# -- log files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("/srv/logs/devpi.log", "ReadWritePaths=/srv/logs"),
        ("/var/log/devpi/a b/server.log", 'LogsDirectory="devpi/a b"'),
        ("/var/log/devpi.log", "ReadWritePaths=/var/log"),
        ("/dev/stdout", None),
        ("/srv/devpi/logs/x.log", None),
    ],
    ids=["folder", "logs", "log", "device", "serverdir"],
)
@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_the_unit_may_write_where_the_logger_has_files(
    tmp_path: Path, kind: str, file: str, wanted: str | None
) -> None:
    handlers = {"out": {"class": "logging.StreamHandler"}, "file": {"class": "logging.FileHandler", "filename": file}}
    cfg = tmp_path / f"logger.{kind}"
    cfg.write_text(json.dumps({"version": 1, "handlers": handlers}))

    bare, made = (texts(serverdir="/srv/devpi", **more)["devpi.service"] for more in ({}, {"logger_cfg": str(cfg)}))

    new = [line for line in made.splitlines() if line not in bare.splitlines() and not line.startswith("ExecStart")]
    assert [line for line in new if not line.startswith("ProtectHome")] == ([wanted] if wanted else [])


def test_a_log_at_home_can_be_written(tmp_path: Path) -> None:
    cfg = tmp_path / "logger.json"
    cfg.write_text(json.dumps({"version": 1, "handlers": {"a": {"filename": f"{HOMES}/anna/log/a.log"}}}))

    service = unit(texts(serverdir="/srv/devpi", logger_cfg=str(cfg))["devpi.service"])["Service"]

    assert service["ProtectHome"] == "read-only"
    assert service["ReadWritePaths"] == f"{HOMES}/anna/log"


def test_log_files_that_a_service_would_not_find_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "relative.json").write_text(json.dumps({"version": 1, "handlers": {"a": {"filename": "devpi.log"}}}))

    relative = gen_config(tmp_path, "--logger-cfg", "relative.json")
    missing = gen_config(tmp_path, "--logger-cfg", "elsewhere.json")

    assert relative.returncode == missing.returncode == 0
    assert "--logger-cfg has the file devpi.log: a service starts in /." in relative.stderr
    assert "devpi.service needs a line ReadWritePaths=FOLDER" in missing.stderr
