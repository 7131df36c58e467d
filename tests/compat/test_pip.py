"""The real pip, against a running server in front of a real upstream."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.conftest import BETWEEN, CHOSEN, installed
from tests.support.builders import Dist, a_wheel
from tests.support.server import a_server, clean_env
from tests.support.upstream import Body, FakeUpstream, Threaded

SHORT = ("--mirror-cache-expiry", "1800", "--request-timeout", "2")


def pip(url: str, *arguments: str | Path, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run pip against the index at `url`; `cache`: its own cache, none by default."""
    kept = ["--cache-dir", str(cache)] if cache else ["--no-cache-dir"]
    command, *rest = map(str, arguments)
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *kept, "--retries", "1", command,
         "--index-url", url, *rest],
        capture_output=True, text=True, timeout=60, check=False, env=clean_env(),
    )  # fmt: skip


def install(
    url: str, target: Path, *more: str | Path, cache: Path | None = None, what: str = "alpha"
) -> subprocess.CompletedProcess[str]:
    return pip(url, "install", "--target", target, *more, what, cache=cache)


@pytest.mark.parametrize("form", ["/root/pypi/+simple/", "/root/pypi/", "/root/pypi"])
def test_the_first_download_right_after_init_gets_what_pip_would_choose(
    upstream: FakeUpstream, wheels: dict[str, Dist], from_init: Path, tmp_path: Path, form: str
) -> None:
    with a_server(from_init) as server:
        done = pip(server.url + form, "download", "--dest", tmp_path / "here", "alpha")

    assert done.returncode == 0, done.stderr
    got = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert got == {wheel.filename: wheel.content for wheel in wheels.values()}
    # The list of all projects is never on an install's path.
    assert "/simple/" not in upstream.paths()


def test_what_was_installed_once_installs_again_without_the_network(
    threaded: Threaded, upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    with a_server(serverdir, *SHORT) as server:
        first = install(f"{server.url}/root/pypi/+simple/", tmp_path / "first", cache=tmp_path / "cache1")
    threaded.call(upstream.stop())

    with a_server(serverdir, "--offline-mode") as server:
        index = f"{server.url}/root/pypi/+simple/"
        second = install(index, tmp_path / "second", cache=tmp_path / "cache2")
        other = install(index, tmp_path / "third", what="iota")
    with a_server(serverdir, *SHORT, "--mirror-cache-expiry", "0") as server:
        # Not told that there is no network: the circuit opens by itself.
        third = install(f"{server.url}/root/pypi/+simple/", tmp_path / "fourth", cache=tmp_path / "cache3")
        status = server.get("/+status", Accept="application/json")[2]

    for done in (first, second, third):
        assert done.returncode == 0, done.stderr
    for target in ("first", "second", "fourth"):
        assert installed(tmp_path / target) == CHOSEN
    assert other.returncode == 1
    assert "No matching distribution found for iota" in other.stderr
    assert b'"state":"down"' in status.replace(b" ", b"")
    assert len(wheels) == len(CHOSEN)


def test_without_the_network_an_older_release_that_is_held_is_chosen(
    threaded: Threaded, upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir, "--no-read-ahead") as server:
        first = install(f"{server.url}/root/pypi/", tmp_path / "first", what="alpha==1.0")
    threaded.call(upstream.stop())
    with a_server(serverdir, "--offline-mode") as server:
        second = install(f"{server.url}/root/pypi/", tmp_path / "second", what="alpha")

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert installed(tmp_path / "second") == {"alpha": "1.0"}


def test_releases_uploaded_later_are_left_out_when_pip_asks_for_it(
    wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir) as server:
        done = install(f"{server.url}/root/pypi/+simple/", tmp_path / "here", "--uploaded-prior-to", BETWEEN)

    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "here") == {**CHOSEN, "delta": "2.0"}


@pytest.mark.parametrize("speaks", ["html", "json"])
def test_an_upstream_without_metadata_files_and_fast_deps(
    upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path, speaks: str
) -> None:
    upstream.metadata = False
    upstream.speaks = speaks
    skipped = ("delta-3.0", "beta-1.0", "theta-2.0rc1")

    with a_server(serverdir, "--no-read-ahead") as server:
        done = install(f"{server.url}/root/pypi/+simple/", tmp_path / "here", "--use-feature=fast-deps")
        page = server.get("/root/pypi/+simple/alpha/", Accept="text/html")[2]

    assert done.returncode == 0, done.stderr
    # This upstream's HTML does not say that a release is yanked.
    assert installed(tmp_path / "here") == {**CHOSEN, "zeta-zeta": "0.9" if speaks == "json" else "1.0"}
    assert b"data-core-metadata" in page
    whole = [path for method, path, headers in upstream.seen if method == "GET" and "Range" not in headers]
    for name in skipped:
        assert not any(path.endswith(f"{name}-py3-none-any.whl") for path in whole)
    for wheel in (wheels["alpha"], wheels["eta"]):
        assert whole.count(f"/files/{wheel.filename}") == 1


def test_a_wheel_with_wrong_bytes_is_not_installed_and_not_kept(
    upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    wrong = a_wheel("eta", "1.0", payload=b"somebody else's")
    upstream.faults[f"/files/{wrong.filename}"] = Body(wrong.content)

    with a_server(serverdir, "--no-read-ahead") as server:
        done = install(f"{server.url}/root/pypi/+simple/", tmp_path / "here", "--resume-retries", "0")
        upstream.faults.clear()
        kept = blobs(serverdir)
        again = install(f"{server.url}/root/pypi/+simple/", tmp_path / "there")

    assert done.returncode != 0
    assert installed(tmp_path / "here") == {}
    assert wrong.sha256 not in kept
    assert wheels["eta"].sha256 not in kept
    assert again.returncode == 0, again.stderr
    assert installed(tmp_path / "there") == CHOSEN


def blobs(serverdir: Path) -> set[str]:
    return {path.parent.name + path.name for path in (serverdir / "blobs" / "sha256").rglob("*") if path.is_file()}


def test_required_hashes_are_checked(wheels: dict[str, Dist], serverdir: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.txt", tmp_path / "wrong.txt"
    lines = [f"{name}=={CHOSEN[name]} --hash=sha256:{wheel.sha256}" for name, wheel in wheels.items()]
    right.write_text("\n".join(lines))
    wrong.write_text("\n".join(lines).replace(wheels["eta"].sha256, wheels["beta"].sha256))

    with a_server(serverdir) as server:
        index = f"{server.url}/root/pypi/+simple/"
        good = pip(index, "install", "--target", tmp_path / "here", "--require-hashes", "-r", right)
        bad = pip(index, "install", "--target", tmp_path / "there", "--require-hashes", "-r", wrong)

    assert good.returncode == 0, good.stderr
    assert installed(tmp_path / "here") == CHOSEN
    assert bad.returncode != 0
    assert "DO NOT MATCH THE HASHES" in bad.stderr
    assert installed(tmp_path / "there") == {}


def test_a_yanked_release_is_had_only_by_its_exact_version(
    wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir) as server:
        index = f"{server.url}/root/pypi/+simple/"
        any_release = install(index, tmp_path / "any", what="Zeta_Zeta")
        exact = install(index, tmp_path / "exact", what="zeta.zeta==1.0")

    assert any_release.returncode == exact.returncode == 0
    assert installed(tmp_path / "any")["zeta-zeta"] == "0.9"
    assert installed(tmp_path / "exact")["zeta-zeta"] == "1.0"
    assert "broken" in exact.stderr + exact.stdout


def test_a_new_release_is_seen_by_pip_with_a_warm_cache_of_its_own(
    upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir, "--mirror-cache-expiry", "0") as server:
        index = f"{server.url}/root/pypi/+simple/"
        install(index, tmp_path / "first", what="theta", cache=tmp_path / "cache")
        upstream.add("theta", a_wheel("theta", "3.0"))
        done = install(index, tmp_path / "second", what="theta", cache=tmp_path / "cache")

    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "second") == {"theta": "3.0"}
