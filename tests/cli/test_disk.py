"""A disk that takes no more: what came before stays, what is small goes on, nothing half is kept."""

import contextlib
import http.client
import json
import re
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stilton.blobs.incoming import Partial
from stilton.blobs.local import LocalBlobs
from stilton.domain.errors import StorageFull
from tests.support import mounts
from tests.support.builders import Dist, a_wheel
from tests.support.deadline import until
from tests.support.publish import BOUNDARY, PASSWORD, a_form, basic, fields_of
from tests.support.server import Server, a_server
from tests.support.upstream import Threaded
from tests.support.world import make_serverdir

LIMIT_BYTES = 2 << 20
FORM = f"multipart/form-data; boundary={BOUNDARY}"
BIG = a_wheel("big", payload=bytes(4 << 20))
SMALL = a_wheel("small")
FULL = (
    "the server's disk did not take a change of the database: no space left. "
    "Nothing changed; try again when whoever runs this server has made room."
)


def test_a_file_that_the_disk_does_not_take_is_a_broken_transfer_and_the_server_goes_on(tmp_path: Path) -> None:
    with Threaded() as upstream:
        upstream.add("big", BIG)
        upstream.add("small", SMALL)
        folder = tmp_path / "server"
        make_serverdir(folder, upstream.url)
        with a_server(folder, "--no-read-ahead") as server:
            for worker in server.workers():
                resource.prlimit(worker, resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))

            body = b""
            with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
                body = server.get(f"/root/pypi/{BIG.path}")[2]
            after = server.get(f"/root/pypi/{SMALL.path}")

            assert body != BIG.content
            assert after[2] == SMALL.content
            assert "disk did not take" in server.log()
            assert "Traceback" not in server.log()
            until(lambda: not list((folder / "incoming").glob("*.part")), "nothing half is left")

    sizes = [blob.stat().st_size for blob in (folder / "blobs").rglob("*") if blob.is_file()]
    assert max(sizes) < LIMIT_BYTES


def test_no_space_left_is_said_as_such_and_nothing_is_kept(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    blobs.create()
    partial = Partial(blobs, "key")
    partial.path.symlink_to("/dev/full")
    partial.claim()
    partial.begin(set(), {})

    with pytest.raises(StorageFull, match="no space left"):
        partial.write(b"x" * 10)
    partial.release()

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_upload_that_the_disk_does_not_take_is_refused_and_the_server_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    make_serverdir(folder, "http://127.0.0.1:9/simple/")
    with a_server(folder) as server:
        assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        team = {"authorization": basic("team")}
        assert server.send_json("PUT", "/team/dev", {}, **team)[0] == 200
        for worker in server.workers():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))

        def upload(wheel: Dist, name: str) -> tuple[int, bytes]:
            body = a_form(fields_of(wheel, name, "1.0"), wheel.filename, wheel.content)
            return server.send("POST", "/team/dev/", body, content_type=FORM, **team)

        big, small = upload(BIG, "big"), upload(SMALL, "small")

        assert big[0] == 507
        assert b"disk did not take" in big[1]
        assert small[0] == 200
        assert server.get("/team/dev/+simple/big/")[0] == 404
        assert "Traceback" not in server.log()
        assert list((folder / "incoming").glob("*.upload")) == []


def fill(path: Path) -> None:
    """To the last byte."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_on_a_full_disk_every_change_is_507_and_whoever_runs_it_is_told_once(tmp_path: Path) -> None:
    """A disk of its own: what is written elsewhere does not count."""
    folder = tmp_path / "server"
    folder.mkdir()
    command = mounts.a_command(tmp_path / "on-a-small-disk", folder, mounts.small_disk("6m"), "devpi-server")
    with a_server(folder, "--init", "--no-root-pypi", command=command) as server:
        team = {"authorization": basic("team")}
        assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        assert [server.send_json("PUT", f"/team/{name}", {}, **team)[0] for name in ("dev", "prod")] == [200, 200]
        form = a_form(fields_of(SMALL, "small", "1.0"), SMALL.filename, SMALL.content)
        assert server.send("POST", "/team/dev/", form, content_type=FORM, **team)[0] == 200
        filler = Path(f"/proc/{server.process.pid}/root{folder}/filler")
        fill(filler)
        # The last page of the log of changes may have room for one more.
        while server.send_json("PATCH", "/team/dev", {"title": "x" * 30_000}, **team)[0] == 200:
            fill(filler.with_name("more"))
        before = server.get("/+api")[1]["x-devpi-serial"]

        answers = [
            server.send_json("PUT", "/other", {"password": PASSWORD, "title": "x" * 30_000}),
            server.send_json("PUT", "/team/more", {"title": "x" * 30_000}, **team),
            server.send_json("PUSH", "/team/dev", {"name": "small", "version": "1.0", "targetindex": "team/prod"}, **team),
            server.send_json("DELETE", "/team/dev/small", None, **team),
        ]  # fmt: skip
        upload = server.send("POST", "/team/dev/", form, content_type=FORM, **team)
        status, headers, body = server.get("/+status")

        assert [status for status, _ in answers] == [507] * 4
        assert {answer["message"] for _, answer in answers} == {FULL}
        assert (upload[0], b"no space left. Nothing changed; try again" in upload[1]) == (507, True)
        assert status == 200
        assert any(text.startswith("Storage trouble at ") for text in json.loads(body)["result"]["warnings"])
        assert headers["x-devpi-serial"] == before
        for name in ("filler", "more"):
            filler.with_name(name).unlink(missing_ok=True)
        assert server.send_json("DELETE", "/team/dev/small", None, **team)[0] == 200

    alarms = re.findall(r".* ERROR .*Storage trouble: the server's disk did not take .*: no space left\n", server.log())
    assert len(alarms) == 1
    assert "Traceback" not in server.log()


def test_a_full_disk_is_low_also_where_mirrors_may_fill_it(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    command = mounts.a_command(tmp_path / "on-a-small-disk", folder, mounts.small_disk("6m"), "devpi-server")
    with a_server(folder, "--init", "--no-root-pypi", "--min-free-disk", "0", command=command) as server:
        filler = Path(f"/proc/{server.process.pid}/root{folder}/filler")
        states = [json.loads(server.get("/+health")[2])["disk"]]
        fill(filler)
        states.append(json.loads(server.get("/+health")[2])["disk"])
        warnings = json.loads(server.get("/+status")[2])["result"]["warnings"]
        filler.unlink()
        states.append(json.loads(server.get("/+health")[2])["disk"])

    assert states == ["ok", "low disk", "ok"]
    assert any(text.startswith("The disk is full: ") for text in warnings)


def test_a_disk_that_refuses_to_write_is_507_in_words_for_every_change(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    make_serverdir(folder, "http://127.0.0.1:9/simple/")
    with a_server(folder, "--workers", "2") as server:
        assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        for worker in server.workers():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))

        status, answer = server.send_json("PUT", "/other", {"password": PASSWORD})
        gone = server.get("/other", accept="application/json")[0]
        for worker in server.workers():
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = server.send_json("PUT", "/other", {"password": PASSWORD})

        assert (status, gone) == (507, 404)
        assert answer["message"].startswith("the server's disk did not take a change of the database: ")
        assert answer["message"].endswith(". Nothing changed; tell whoever runs this server, its log says more.")
        assert again[0] == 201
        until(lambda: "PUT /other 201" in server.log(), "housekeeping goes on")
    assert "Storage trouble: the server's disk did not take a change of the database" in server.log()
    assert "Traceback" not in server.log()


@contextlib.contextmanager
def read_only_disk(server: Server, folder: Path) -> Iterator[None]:
    """Nothing can be made in `folder`, and the database, which is open, cannot grow."""
    with mounts.turned_read_only(folder, server.process.pid):
        for worker in server.workers():
            # The log of the server is shorter.
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (16 << 10, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            for worker in server.workers():
                resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_disk_that_turns_read_only_stops_changes_until_it_can_be_written_again(tmp_path: Path) -> None:
    """Held files and pages go on being served, no worker ends, and none has to be started anew."""
    with Threaded() as upstream:
        held, cold = a_wheel("held"), a_wheel("cold")
        upstream.add("held", held)
        upstream.add("cold", cold)
        folder = tmp_path / "server"
        make_serverdir(folder, upstream.url)
        command = mounts.a_command(tmp_path / "mounted", folder, mounts.as_it_is(folder), "devpi-server")
        with a_server(folder, "--no-read-ahead", "--no-access-log", "--workers", "2", command=command) as server:
            team = {"authorization": basic("team")}
            form = a_form(fields_of(SMALL, "small", "1.0"), SMALL.filename, SMALL.content)
            other = a_wheel("other")
            more = a_form(fields_of(other, "other", "1.0"), other.filename, other.content)
            assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
            assert server.send_json("PUT", "/team/dev", {"bases": ["root/pypi"]}, **team)[0] == 200
            assert server.send("POST", "/team/dev/", form, content_type=FORM, **team)[0] == 200
            assert server.get(f"/root/pypi/{held.path}")[2] == held.content
            assert server.get("/root/pypi/+simple/cold/")[0] == 200
            workers = server.workers()

            def changes() -> list[tuple[int, bytes]]:
                return [
                    server.send("PUT", "/other", json.dumps({"password": PASSWORD}).encode()),
                    server.send("POST", "/team/dev/", more, content_type=FORM, **team),
                    server.send("DELETE", "/team/dev/small", b"", **team),
                ]

            def reads() -> list[int]:
                paths = (f"/root/pypi/{held.path}", f"/team/dev/{SMALL.path}", "/team/dev/+simple/small/",
                         "/root/pypi/+simple/cold/", "/team/dev/small/1.0", "/+status", "/+health")  # fmt: skip
                with ThreadPoolExecutor(16) as many:
                    return [answer[0] for answer in many.map(server.get, paths * 10)]

            with read_only_disk(server, folder):
                read = reads()
                refused = changes()
                read += reads()
                # What is not held is passed on.
                passed = [server.get(f"/root/pypi/{cold.path}{suffix}")[2] for suffix in ("", ".metadata")]
                told = json.loads(server.get("/+status", accept="application/json")[2])["result"]["warnings"]
            accepted = changes()

            assert set(read) == {200}
            assert [status for status, _ in refused] == [507] * 3
            assert all(b"the server's disk did not take " in text for _, text in refused)
            assert passed == [cold.content, cold.metadata]
            assert any("read-only" in warning for warning in told)
            assert [status for status, _ in accepted] == [201, 200, 200]
            assert server.workers() == workers
        assert "Storage trouble: " in server.log()
        assert "Traceback" not in server.log()
