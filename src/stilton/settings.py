"""Every setting, once: its name, kind, default and reason. Where values come from: `config`.

Names are devpi-server's where it has the setting (protocol reference 1.2). Its settings that mean nothing here are
known too: those that only tune something are ignored with a notice, those that promise something stop the start.
"""

from typing import Any

import msgspec

from stilton.domain.indexes import DEFAULT_CACHE_EXPIRY_S

PREFIX = "DEVPISERVER_"
DAY_S = 86_400
CENTURY_S = 36_525 * DAY_S
EXBIBYTE = 1 << 60


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `name` as in the YAML file; the flag is `--name`, the variable `DEVPISERVER_NAME`."""

    name: str
    default: Any
    kind: str  # text, path, url, choice, int, size, room, seconds, switch, octal, storage; list: each part is an `item`
    help: str
    item: str = ""  # of a list: network, address, name
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 0

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable(self.name)

    @property
    def key(self) -> str:
        """The attribute of `Config`."""
        return self.name.replace("-", "_")


def variable(name: str) -> str:
    """The environment variable of the option `--name`."""
    return PREFIX + name.upper().replace("-", "_")


SERVERDIR = Setting(
    name="serverdir", default="~/.devpi/server", kind="path", help="folder that holds all data of the server"
)
SETTINGS: tuple[Setting, ...] = (
    SERVERDIR,
    Setting(
        name="host", default="localhost", kind="text",
        help="address or name to listen on; 0.0.0.0 for other machines and containers",
    ),
    Setting(name="port", default=3141, kind="int", least=1, most=65535, help="port to listen on, 1 to 65535"),
    Setting(
        name="listen", default=(), kind="list", item="address",
        help="HOST:PORT to listen on, in place of --host and --port; *:PORT for every address, [::1]:PORT for IPv6; "
        "again for more, each has worker processes of its own",
    ),
    Setting(
        name="unix-socket", default=None, kind="path",
        help="path of a socket to listen on, beside --listen, or in place of --host and --port",
    ),
    Setting(name="unix-socket-perms", default=0o600, kind="octal", help="permission bits of that socket"),
    Setting(name="tls-cert", default=None, kind="path", help="PEM file of the certificate: speak HTTPS directly"),
    Setting(
        name="tls-key", default=None, kind="path", help="PEM file of its key (PKCS#8); both are read anew on SIGHUP"
    ),
    Setting(
        name="workers", default=1, kind="int", least=1, most=256,
        help="worker processes for each address, 1 to 256; one is enough for most",
    ),
    Setting(
        name="connection-limit", default=4096, kind="int", least=1, most=1_000_000,
        help="connections that a worker serves at once; more wait"
    ),
    Setting(
        name="stop-timeout", default=30, kind="seconds", most=DAY_S,
        help="seconds that running transfers have to finish when the server stops or replaces its workers",
    ),
    Setting(
        name="outside-url", default=None, kind="url",
        help="URL under which clients reach this server, e.g. https://packages.example.com/index",
    ),
    Setting(name="absolute-urls", default=False, kind="switch", help="absolute links on simple pages"),
    Setting(
        name="trusted-proxy", default=(), kind="list", item="network",
        help="address or network of a proxy whose X-Outside-Url is believed (*: everybody's); this machine always is",
    ),
    Setting(
        name="x-accel-redirect", default=False, kind="switch",
        help="let nginx, as a trusted proxy, send the files after we said that they may be read (devpi-gen-config)",
    ),
    Setting(
        name="secretfile", default=None, kind="path",
        help="file with the secret that signs logins (devpi-gen-secret makes it); without it they end with the process",
    ),
    Setting(
        name="restrict-modify", default=(), kind="list", item="name",
        help="users and :groups who alone may create and change users and indexes; name root too if he is one of them",
    ),
    Setting(
        name="require-login", default=False, kind="switch",
        help="answer only those who log in, whatever acl_pkg_read says; /+login, /+api and /+health stay open",
    ),
    Setting(
        name="max-request-body-size", default=1 << 30, kind="size", least=1, most=EXBIBYTE,
        help="size of the largest upload that is taken, such as 500M",
    ),
    Setting(
        name="internal-networks", default=(), kind="list", item="network",
        help="networks (10.0.0.0/8, *), beside public addresses, where everybody's mirrors and pushes may go; "
        "those of root, or of who is in --restrict-modify, may go anywhere",
    ),
    Setting(name="offline-mode", default=False, kind="switch", help="never ask an upstream; serve what is held here"),
    Setting(
        name="offline-fallback", default=True, kind="switch",
        help="while an upstream does not answer, list only files that are held here",
    ),
    Setting(
        name="mirror-cache-expiry", default=DEFAULT_CACHE_EXPIRY_S, kind="seconds", most=CENTURY_S,
        help="seconds after which a mirrored page is checked again; the index's mirror_cache_expiry beats it",
    ),
    Setting(
        name="request-timeout", default=5, kind="seconds", most=DAY_S,
        help="seconds to wait for an upstream before a kept page is served instead",
    ),
    Setting(name="read-ahead", default=True, kind="switch", help="fetch what an installer will ask for next"),
    Setting(
        name="min-free-disk", default=1 << 30, kind="room", most=EXBIBYTE,
        help="what stays free of the disk, such as 10G or 5%: below, mirrors keep nothing new, uploads still work; "
        "0 for no limit",
    ),
    Setting(name="access-log", default=True, kind="switch", help="log each request"),
    Setting(
        name="log-format", default="human", kind="choice", choices=("human", "json"),
        help="human: lines for people; json: an object a line",
    ),
    Setting(
        name="logger-cfg", default=None, kind="path",
        help="JSON or YAML file for Python's logging.config.dictConfig, in place of --log-format",
    ),
    Setting(name="debug", default=False, kind="switch", help="log what the server decides"),
    Setting(
        name="migrate", default=False, kind="switch",
        help="bring an older database up to date at the start, after a snapshot of it",
    ),
    Setting(name="storage", default="sqlite", kind="storage", help="where metadata is kept; this version knows sqlite"),
    Setting(
        name="role", default="auto", kind="choice", choices=("standalone", "auto"),
        help="standalone or auto, which mean the same; replication comes later",
    ),
)  # fmt: skip

IGNORED = {
    "threads": "requests do not wait for threads; --workers makes more processes",
    "trusted-proxy-count": "--trusted-proxy names the proxies themselves",
    "trusted-proxy-headers": "X-Outside-Url, X-Real-IP and X-Forwarded-For of a trusted proxy are read",
    "keyfs-cache-size": "caches are bounded by memory",
    "argon2-memory-cost": "secrets are used as they are",
    "argon2-parallelism": "secrets are used as they are",
    "argon2-time-cost": "secrets are used as they are",
    "profile-requests": "py-spy shows what a running server does",
    "proxy-timeout": "this version does not replicate",
    "file-replication-threads": "this version does not replicate",
    "file-replication-skip-indexes": "this version does not replicate",
    "replica-file-search-path": "this version does not replicate",
    "replica-streaming": "this version does not replicate",
    "no-replica-streaming": "this version does not replicate",
    "hard-links": "this version does not replicate",
    "theme": "there are no web pages to change yet",
    "documentation-path": "uploaded documentation is kept and not served yet",
    "keep-docs-packed": "uploaded documentation is kept and not served yet",
    "debug-macros": "there are no web pages to change yet",
    "indexer-backend": "there is no search index",
}
"""Settings of devpi-server that tune something which is not here: why they do nothing."""

REFUSED = {
    "primary-url": "this version does not replicate; start it without, or run devpi-server 6 as the replica",
    "master-url": "it is called --primary-url now, and this version does not replicate",
    "requests-only": "start one server with --workers N in its place",
    "autocreate-users": "this version has no plugins that know users; create them with: devpi user -c NAME",
}
"""Settings of devpi-server that promise something which is not here: what to do."""

SWITCHES = frozenset(
    {"no-replica-streaming", "keep-docs-packed", "debug-macros", "hard-links", "requests-only", "autocreate-users"}
)
"""Those of `IGNORED` and `REFUSED` that take no value on the command line."""

CONFIGFILE = "configfile"
"""The option that names the file; a flag and a variable."""
FIRST_DATA = ("mirror-url", "root-passwd", "root-passwd-hash", "no-root-pypi")
"""Options of the commands that make the first data: flags and variables, never in the file."""
