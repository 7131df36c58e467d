"""Which addresses an upstream may send us to."""

import itertools

import pytest

from stilton.domain import reach
from stilton.domain.reach import Zone


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("1.1.1.1", Zone.GLOBAL),
        ("2606:4700::1111", Zone.GLOBAL),
        ("10.0.0.1", Zone.PRIVATE),
        ("172.16.0.1", Zone.PRIVATE),
        ("192.168.1.1", Zone.PRIVATE),
        ("fc00::1", Zone.PRIVATE),
        ("127.0.0.1", Zone.LOOPBACK),
        ("127.255.0.9", Zone.LOOPBACK),
        ("::1", Zone.LOOPBACK),
        ("169.254.169.254", Zone.FORBIDDEN),
        ("fe80::1", Zone.FORBIDDEN),
        ("fe80::1%eth0", Zone.FORBIDDEN),
        ("224.0.0.1", Zone.FORBIDDEN),
        ("ff02::1", Zone.FORBIDDEN),
        ("0.0.0.0", Zone.FORBIDDEN),
        ("::", Zone.FORBIDDEN),
        ("100.64.0.1", Zone.FORBIDDEN),
        ("fec0::1", Zone.PRIVATE),
        ("64:ff9b:1::7f00:1", Zone.PRIVATE),
        ("::7f00:1", Zone.FORBIDDEN),
        ("::ffff:0:7f00:1", Zone.FORBIDDEN),
    ],
)
def test_an_address_is_as_close_as_its_network(address: str, zone: Zone) -> None:
    assert reach.zone(address) is zone


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("::ffff:127.0.0.1", Zone.LOOPBACK),
        ("::ffff:10.0.0.1", Zone.PRIVATE),
        ("::ffff:169.254.169.254", Zone.FORBIDDEN),
        ("::ffff:1.1.1.1", Zone.GLOBAL),
        ("2002:7f00:1::", Zone.LOOPBACK),
        ("2002:a9fe:a9fe::", Zone.FORBIDDEN),
    ],
)
def test_an_address_inside_another_counts_as_the_inner_one(address: str, zone: Zone) -> None:
    assert reach.zone(address) is zone


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f000001", "127.1", ":::", "1.1.1.1/8"])
def test_what_is_no_address_has_no_zone(text: str) -> None:
    with pytest.raises(ValueError):
        reach.zone(text)


@pytest.mark.parametrize(("target", "mirror"), list(itertools.product(Zone, Zone)))
def test_a_page_leads_no_closer_than_its_mirror_is(target: Zone, mirror: Zone) -> None:
    allowed = reach.may_follow(target, mirror)

    assert allowed == (target is not Zone.FORBIDDEN and target.value <= mirror.value)


def test_a_public_upstream_leads_to_public_addresses_only() -> None:
    assert [zone for zone in Zone if reach.may_follow(zone, Zone.GLOBAL)] == [Zone.GLOBAL]
