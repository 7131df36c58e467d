"""The API as it describes itself, driven with whatever that description allows."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from tests.support.builders import a_wheel
from tests.support.publish import BOUNDARY, PASSWORD, a_form, basic, fields_of
from tests.support.server import Server, a_server
from tests.support.world import World, a_world, make_serverdir

EXAMPLES = 12
"""A request each: enough for every parameter to be odd once; a nightly run may have thousands."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


async def description(world: World) -> dict[str, Any]:
    answer = await world.client.get("/+openapi")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json
    return found


async def test_every_route_is_described(world: World) -> None:
    document = await description(world)

    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert document["openapi"] == "3.1.0"
    assert ("PUT", "/{user}/{index}") in described
    assert ("DELETE", "/{user}/{index}/+f/{path}") in described
    assert ("POST", "/+login") in described
    assert len({path for _, path in described}) == len(document["paths"])


async def test_every_operation_says_what_it_does(world: World) -> None:
    document = await description(world)

    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    serverdir = tmp_path_factory.mktemp("openapi") / "server"
    make_serverdir(serverdir, "http://127.0.0.1:9/simple/")
    with a_server(serverdir, "--no-access-log", "--request-timeout", "1") as running:
        assert running.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        team = {"authorization": basic("team")}
        assert running.send_json("PUT", "/team/dev", {"bases": "root/pypi"}, **team)[0] == 200
        wheel = a_wheel()
        body = a_form(fields_of(wheel, "pkg", "1.0"), wheel.filename, wheel.content)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        assert running.send("POST", "/team/dev/", body, content_type=kind, **team)[0] == 200
        yield running


def test_no_request_that_the_description_allows_breaks_the_server(server: Server) -> None:
    """Errors are answers below 500 in a form that clients read; 502 and 503 are an upstream's."""
    document = json.loads(server.get("/+openapi")[2])
    schema = schemathesis.openapi.from_dict(document)
    broken: list[str] = []

    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        drive(found.ok(), server, broken)

    assert broken == []
    assert "Traceback" not in server.log()


def drive(operation: Any, server: Server, broken: list[str]) -> None:
    """Send some requests of one operation; note those that break the server."""

    def check(case: Any) -> None:
        answer = case.call(base_url=server.url, headers={"Authorization": basic("team")}, timeout=20)
        if answer.status_code >= 500 and answer.status_code not in (502, 503):
            broken.append(f"{case.method} {case.formatted_path}: {answer.status_code} {answer.text[:200]}")

    bounded = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    bounded(given(case=operation.as_strategy())(check))()
