"""Which representation to send: media types and content codings (RFC 9110 §12.5, PEP 691)."""

import enum
import re

import msgspec

from stilton.domain.errors import NotAcceptable

JSON_V1 = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"


class Coding(enum.Enum):
    """Content codings that pages are kept in."""

    IDENTITY = ""
    GZIP = "gzip"
    ZSTD = "zstd"


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A simple page's form: how to render (`is_json`), and the Content-Type to name it by."""

    is_json: bool
    content_type: str


_OFFERS = {
    JSON_V1: Format(is_json=True, content_type=JSON_V1),
    "application/vnd.pypi.simple.latest+json": Format(is_json=True, content_type=JSON_V1),
    # devpi's client asks so when it follows the redirect of a refresh.
    "application/json": Format(is_json=True, content_type=JSON_V1),
    HTML_V1: Format(is_json=False, content_type=HTML_V1),
    "application/vnd.pypi.simple.latest+html": Format(is_json=False, content_type=HTML_V1),
    HTML: Format(is_json=False, content_type=HTML + "; charset=utf-8"),
}
_ASKABLE = (JSON_V1, HTML_V1, HTML)
_Q = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
MAX_ACCEPT_CHARS = 4096


def simple_format(accept: str | None, query_format: str | None = None) -> Format:
    """The form of a simple page to send. `?format=` beats `Accept` (PEP 691).

    No `Accept` is `*/*`, and that is answered in HTML as PyPI does. At equal
    weight JSON wins, being the one with all features. Raises NotAcceptable.
    """
    if query_format is not None:
        if query_format in _OFFERS:
            return _OFFERS[query_format]
        raise NotAcceptable(query_format, _ASKABLE)
    if accept is None or not accept.strip():
        return _OFFERS[HTML]
    best: tuple[float, int, int] | None = None
    chosen = ""
    ranges = _weights(accept)
    for rank, offer in enumerate(_OFFERS):
        quality, exactness = _quality(offer, ranges)
        # A wildcard asks for nothing in particular: text/html is what browsers and curl expect.
        preference = -rank if exactness == 2 else (1 if offer == HTML else -rank)
        standing = (quality, exactness, preference)
        if quality > 0 and (best is None or standing > best):
            best, chosen = standing, offer
    if best is None:
        raise NotAcceptable(accept, _ASKABLE)
    return _OFFERS[chosen]


def coding(accept_encoding: str | None) -> Coding:
    """The best coding that the client takes: zstd, then gzip, else none (RFC 9110 §12.5.3)."""
    if not accept_encoding:
        return Coding.IDENTITY
    weights = _weights(accept_encoding)
    for offer in (Coding.ZSTD, Coding.GZIP):
        if weights.get(offer.value, weights.get("*", 0.0)) > 0:
            return offer
    return Coding.IDENTITY


def wants_simple_json(accept: str | None) -> bool:
    """Whether the client names the JSON simple API, as installers do."""
    return accept is not None and "application/vnd.pypi.simple." in accept


def _weights(header: str) -> dict[str, float]:
    """`{lower-case item: weight}`; parts that are not well-formed are passed over."""
    weights: dict[str, float] = {}
    for part in header[:MAX_ACCEPT_CHARS].split(","):
        item, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                quality = float(value) if _Q.fullmatch(value.strip()) else 0.0
        if item:
            weights[item.lower()] = max(quality, weights.get(item.lower(), 0.0))
    return weights


def _quality(offer: str, ranges: dict[str, float]) -> tuple[float, int]:
    """Weight of `offer`, and how exactly it was named: 2 by name, 1 by type, 0 by `*/*`."""
    kind = offer.split("/", maxsplit=1)[0]
    for exactness, pattern in ((2, offer), (1, f"{kind}/*"), (0, "*/*")):
        if pattern in ranges:
            return ranges[pattern], exactness
    return 0.0, 0
