"""`devpi prime --pin`: what was fetched stays."""

import json

from stilton_client import pinning
from tests.support.builders import a_wheel
from tests.support.devpi import ROOT, Client, Yard


def test_files_are_sorted_by_the_index_that_has_them() -> None:
    urls = [
        "http://h/root/pypi/+f/123/456/a-1.whl#sha256=0",
        "http://h/root/pypi/+e/x/b%20c-1.zip",
        "http://h/m/team/dev/+f/1/2/d.whl",
        "http://elsewhere/packages/e.whl",
    ]

    assert pinning.by_index(urls) == {
        "http://h/root/pypi": ["+f/123/456/a-1.whl", "+e/x/b c-1.zip"],
        "http://h/m/team/dev": ["+f/1/2/d.whl"],
    }


def test_what_is_fetched_is_pinned_by_who_may(devpi: Client, yard: Yard) -> None:
    devpi.has(a_wheel("own", "1.0", requires=("dep",)))
    devpi.lines("devpi upload --from-dir dist")

    status, lines = devpi.run("devpi prime own --pin 'release 7'")
    assert status == 1
    assert any(f"files of {yard.server.url}/root/pypi are not pinned: 403 Forbidden" in line for line in lines)
    assert not devpi.get("/root/pypi/+pins")

    devpi.lines(f"devpi login root --password '{ROOT}'")
    assert "1 file pinned" in devpi.lines("devpi prime own --pin 'release 7'")
    (pin,) = json.loads("\n".join(devpi.lines("devpi getjson /root/pypi/+pins")))["result"]
    assert pin["path"].endswith("/dep-1.5-py3-none-any.whl")
    assert pin["reason"] == "release 7"
