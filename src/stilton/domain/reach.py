"""Which addresses an upstream may send this server to (server-side request forgery).

A mirror's own address is the operator's choice. What its *pages* and redirects
point to is not: from a public upstream only public addresses are fetched, from
one on a private network private ones too. Link-local addresses (cloud metadata
services) are never followed.
"""

import enum
import ipaddress
from collections.abc import Sequence

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Site-local addresses (RFC 3879), and those of a network's own translator (RFC 8215): what is behind is near.
_NEAR = (ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("64:ff9b:1::/48"))


class Zone(enum.IntEnum):
    """How close to this machine an address is; a larger one is closer."""

    GLOBAL = 0
    PRIVATE = 1
    LOOPBACK = 2
    FORBIDDEN = 3  # link-local, multicast, unspecified, reserved


def zone(address: str) -> Zone:
    """Zone of an IP address in text form. Raises ValueError when it is none."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or _behind_nat64(ip) or ip
    if ip.is_loopback:
        return Zone.LOOPBACK
    if any(ip in network for network in _NEAR):
        return Zone.PRIVATE
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return Zone.FORBIDDEN
    if ip.is_global:
        return Zone.GLOBAL
    return Zone.PRIVATE if ip.is_private else Zone.FORBIDDEN


def may_reach(address: str, networks: Sequence[str]) -> bool:
    """Whether somebody may have this server talk to `address`: a public one, or one in `networks` (`*`: any)."""
    if "*" in networks or zone(address) is Zone.GLOBAL:
        return True
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    return any(ip in ipaddress.ip_network(network, strict=False) for network in networks)


def may_follow(target: Zone, mirror: Zone) -> bool:
    """Whether a page of a mirror in zone `mirror` may send us to an address in `target`."""
    return target is not Zone.FORBIDDEN and target <= mirror


def _behind_nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a translator would turn `ip` into (RFC 6052 §2.1)."""
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
