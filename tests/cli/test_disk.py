"""A disk that takes no more: what came before stays, what is small goes on, nothing half is kept."""

import contextlib
import http.client
import resource
from pathlib import Path

import pytest

from stilton.blobs.incoming import Partial
from stilton.blobs.local import LocalBlobs
from stilton.domain.errors import StorageFull
from tests.support.builders import Dist, a_wheel
from tests.support.deadline import until
from tests.support.publish import BOUNDARY, PASSWORD, a_form, basic, fields_of
from tests.support.server import a_server
from tests.support.upstream import Threaded
from tests.support.world import make_serverdir

LIMIT_BYTES = 2 << 20
FORM = f"multipart/form-data; boundary={BOUNDARY}"
BIG = a_wheel("big", payload=bytes(4 << 20))
SMALL = a_wheel("small")


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

        assert big[0] == 500
        assert b"disk did not take" in big[1]
        assert small[0] == 200
        assert server.get("/team/dev/+simple/big/")[0] == 404
        assert "Traceback" not in server.log()
        assert list((folder / "incoming").glob("*.upload")) == []
