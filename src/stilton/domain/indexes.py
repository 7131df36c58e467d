"""An index's configuration: its keys, defaults and validation (protocol reference 3.3)."""

import re
from typing import Any

import msgspec

from stilton.domain.errors import SetupError
from stilton.domain.names import IndexName
from stilton.domain.proxies import DIRECT, proxy
from stilton.domain.urls import is_web

DEFAULT_CACHE_EXPIRY_S = 1800
WITH_LOGIN = ("mirror_url", "mirror_proxy")
"""Keys whose URLs may hold a user and a password."""
EVERYBODY = (":ANONYMOUS:",)
_TRUE = frozenset({"y", "yes", "t", "true", "on", "1"})
_FALSE = frozenset({"n", "no", "f", "false", "off", "0"})
# As far as `urlsplit` sees a user: a password may hold an `@`, a query is no user.
_USERINFO = re.compile(r"//[^/?#]*@")
# Of what is not even a URL, all that could be a secret.
_BEFORE_AT = re.compile(r"^(\w+://)?.*@", re.DOTALL)


class MirrorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a mirror index does, read from its configuration keys.

    `cache_expiry_s`: seconds a page counts as fresh. `max_file_bytes`: larger files are passed on and not kept;
    None: all are kept. `proxy`: its own (`domain.proxies`), None is the environment's. `networks`: where upstream
    and `proxy` may be, beside public addresses; `*` is anywhere, for those who run this server.
    """

    name: IndexName
    url: str
    cache_expiry_s: float = DEFAULT_CACHE_EXPIRY_S
    no_project_list: bool = False
    use_external_urls: bool = False
    ignore_serial: bool = False
    max_file_bytes: int | None = None
    proxy: str | None = None
    networks: tuple[str, ...] = ("*",)

    def __repr__(self) -> str:
        """Without the credentials in its URL."""
        return f"MirrorConfig({self.name}, {without_credentials(self.url)})"

    def page_url(self, project: str) -> str:
        """Upstream's simple page of `project`, with credentials as configured."""
        return f"{self.url.rstrip('/')}/{project}/"


class Index(msgspec.Struct, frozen=True):
    """An index as stored: `keys` is its configuration, spelled as in devpi's API."""

    user: str
    name: str
    keys: dict[str, Any]

    @property
    def full_name(self) -> IndexName:
        """`user/index`."""
        return IndexName(f"{self.user}/{self.name}")

    @property
    def is_mirror(self) -> bool:
        """Whether it caches another index."""
        return self.keys.get("type") == "mirror"

    @property
    def is_volatile(self) -> bool:
        """Whether what is published may be replaced and removed."""
        return boolean(self.keys.get("volatile", True))

    @property
    def bases(self) -> tuple[IndexName, ...]:
        """The indexes it inherits from, in order."""
        return tuple(IndexName(name) for name in self.keys.get("bases", ()))

    @property
    def whitelist(self) -> frozenset[str]:
        """Projects that mirrors may contribute to although they are hosted privately; `*`: all."""
        return frozenset(self.keys.get("mirror_whitelist", ()))

    @property
    def whitelist_inheritance(self) -> str:
        """How whitelists of bases combine with this one: `intersection` or `union`."""
        return str(self.keys.get("mirror_whitelist_inheritance", "union"))

    @property
    def readers(self) -> frozenset[str]:
        """Principals that may read (`acl_pkg_read`)."""
        return frozenset(self.keys.get("acl_pkg_read", EVERYBODY))

    @property
    def uploaders(self) -> frozenset[str]:
        """Principals that may upload (`acl_upload`): exactly these, not the owner by himself."""
        return frozenset(() if self.is_mirror else self.keys.get("acl_upload", ()))

    @property
    def testers(self) -> frozenset[str]:
        """Principals that may upload tox results (`acl_toxresult_upload`)."""
        return frozenset(() if self.is_mirror else self.keys.get("acl_toxresult_upload", EVERYBODY))


def default_mirror(simple_url: str, project_url: str) -> dict[str, Any]:
    """Configuration of `root/pypi`, these keys and no others (reference 1.3)."""
    return {
        "type": "mirror",
        "volatile": False,
        "title": "PyPI",
        "mirror_url": simple_url,
        "mirror_web_url_fmt": project_url + "{name}/",
    }


def mirror_config(index: Index, *, cache_expiry_s: float, networks: tuple[str, ...] = ("*",)) -> MirrorConfig:
    """Read a mirror's keys. `cache_expiry_s`: the server's default. Raises SetupError."""
    keys = index.keys
    return MirrorConfig(
        name=index.full_name,
        url=mirror_url(keys.get("mirror_url", ""), index.full_name),
        cache_expiry_s=_seconds(keys.get("mirror_cache_expiry"), cache_expiry_s, index.full_name),
        no_project_list=boolean(keys.get("mirror_no_project_list", False)),
        use_external_urls=boolean(keys.get("mirror_use_external_urls", False)),
        ignore_serial=boolean(keys.get("mirror_ignore_serial_header", False)),
        max_file_bytes=keys.get("mirror_cache_max_file_size"),
        proxy=mirror_proxy(keys["mirror_proxy"]) if "mirror_proxy" in keys else None,
        networks=networks,
    )


def mirror_url(value: object, index: str) -> str:
    """Check a `mirror_url`. Raises SetupError that does not repeat credentials."""
    text = str(value)
    if not is_web(text):
        shown = _BEFORE_AT.sub(r"\1", text)
        raise SetupError(f"mirror_url of {index} is {shown!r}: it must name a host and start with http:// or https://")
    return text


def mirror_proxy(value: object) -> str:
    """Check a `mirror_proxy`: `direct` or a proxy's URL. Raises SetupError that does not repeat a login."""
    text = str(value).strip()
    return DIRECT if text.lower() == DIRECT else proxy(text, "mirror_proxy", f"or {DIRECT} for none")


def boolean(value: object) -> bool:
    """A JSON boolean or one of devpi's words for it. Raises SetupError."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise SetupError(f"Unknown boolean value {value!r}: say yes or no.")


def without_credentials(url: str) -> str:
    """`url` fit to be shown: user and password are cut out."""
    return _USERINFO.sub("//", url, count=1)


def public_keys(index: Index) -> dict[str, Any]:
    """Configuration as anybody may see it: credentials in URLs are not shown."""
    shown = {key: without_credentials(str(index.keys[key])) for key in WITH_LOGIN if key in index.keys}
    return {**index.keys, **shown}


def _seconds(value: object, default: float, index: str) -> float:
    if value is None:
        return default
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise SetupError(f"mirror_cache_expiry of {index} is {value!r}: it takes seconds, 0 or more")
    return seconds
