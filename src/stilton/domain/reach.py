"""Which addresses an upstream may send this server to (server-side request forgery).

A mirror's own address is the operator's choice. What its *pages* and redirects
point to is not: from a public upstream only public addresses are fetched, from
one on a private network private ones too. Link-local addresses (cloud metadata
services) are never followed.
"""

import enum
import ipaddress


class Zone(enum.IntEnum):
    """How close to this machine an address is; a larger one is closer."""

    GLOBAL = 0
    PRIVATE = 1
    LOOPBACK = 2
    FORBIDDEN = 3  # link-local, multicast, unspecified, reserved


def zone(address: str) -> Zone:
    """Zone of an IP address in text form. Raises ValueError when it is none."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if mapped is not None:
        ip = mapped
    if ip.is_loopback:
        return Zone.LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return Zone.FORBIDDEN
    if ip.is_global:
        return Zone.GLOBAL
    return Zone.PRIVATE if ip.is_private else Zone.FORBIDDEN


def may_follow(target: Zone, mirror: Zone) -> bool:
    """Whether a page of a mirror in zone `mirror` may send us to an address in `target`."""
    return target is not Zone.FORBIDDEN and target <= mirror
