"""The real uv, against a running server in front of a real upstream."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.conftest import BETWEEN, CHOSEN, installed
from tests.support.builders import Dist, a_wheel
from tests.support.server import BIN, a_server, clean_env
from tests.support.upstream import Body, FakeUpstream, Threaded


def uv(url: str, cache: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `uv pip …` against the index at `url`, with this cache of its own."""
    env = clean_env(UV_CACHE_DIR=str(cache), UV_PYTHON_DOWNLOADS="never", UV_HTTP_RETRIES="1")
    command, *rest = map(str, arguments)
    return subprocess.run(
        [BIN / "uv", "pip", command, "--python", sys.executable, "--index-url", url, *rest],
        capture_output=True, text=True, timeout=60, check=False, env=env,
    )  # fmt: skip


def install(url: str, target: Path, *more: str | Path, what: str = "alpha") -> subprocess.CompletedProcess[str]:
    """Install into `target`, with a fresh cache."""
    return uv(url, target.with_suffix(".cache"), "install", "--target", target, *more, what)


@pytest.mark.parametrize("form", ["/root/pypi/+simple/", "/root/pypi/", "/root/pypi"])
def test_the_first_install_right_after_init_gets_what_uv_would_choose(
    upstream: FakeUpstream, wheels: dict[str, Dist], from_init: Path, tmp_path: Path, form: str
) -> None:
    del wheels
    with a_server(from_init) as server:
        done = install(server.url + form, tmp_path / "here")

    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "here") == CHOSEN
    assert "/simple/" not in upstream.paths()


def test_what_was_installed_once_installs_again_without_the_network(
    threaded: Threaded, upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir) as server:
        first = install(f"{server.url}/root/pypi/+simple/", tmp_path / "first")
    threaded.call(upstream.stop())

    with a_server(serverdir, "--offline-mode") as server:
        second = install(f"{server.url}/root/pypi/+simple/", tmp_path / "second")
        other = install(f"{server.url}/root/pypi/+simple/", tmp_path / "other", what="iota")
    with a_server(serverdir, "--request-timeout", "2", "--mirror-cache-expiry", "0") as server:
        third = install(f"{server.url}/root/pypi/+simple/", tmp_path / "third")

    for done in (first, second, third):
        assert done.returncode == 0, done.stderr
    for target in ("first", "second", "third"):
        assert installed(tmp_path / target) == CHOSEN
    assert other.returncode == 1
    assert "iota" in other.stderr


def test_releases_uploaded_later_are_left_out_of_what_uv_compiles(
    wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("alpha\n")
    shared = ("compile", "--no-header", "--no-annotate", "--generate-hashes", "--quiet")
    with a_server(serverdir) as server:
        index = f"{server.url}/root/pypi/+simple/"
        now = uv(index, tmp_path / "cache1", *shared, tmp_path / "in.txt")
        then = uv(index, tmp_path / "cache2", *shared, "--exclude-newer", BETWEEN, tmp_path / "in.txt")

    assert now.returncode == then.returncode == 0, now.stderr + then.stderr
    assert pins(now.stdout) == CHOSEN
    assert pins(then.stdout) == {**CHOSEN, "delta": "2.0"}
    assert all(wheel.sha256 in now.stdout for wheel in wheels.values())


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("speaks", ["html", "json"])
def test_an_upstream_without_metadata_files_costs_no_whole_wheel_to_resolve(
    upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path, speaks: str
) -> None:
    upstream.metadata = False
    upstream.speaks = speaks
    (tmp_path / "in.txt").write_text("alpha\nzeta-zeta<1\n")

    with a_server(serverdir, "--no-read-ahead") as server:
        done = uv(
            f"{server.url}/root/pypi/+simple/", tmp_path / "cache", "compile", "--no-header", "--no-annotate", "--quiet",
            tmp_path / "in.txt",
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert pins(done.stdout) == CHOSEN
    whole = [path for method, path, headers in upstream.seen if method == "GET" and "Range" not in headers]
    assert [path for path in whole if path.endswith(".whl")] == []
    assert len(wheels) == len(CHOSEN)


def test_a_wheel_with_wrong_bytes_is_not_installed_and_not_kept(
    upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    wrong = a_wheel("eta", "1.0", payload=b"somebody else's")
    upstream.faults[f"/files/{wrong.filename}"] = Body(wrong.content)

    with a_server(serverdir, "--no-read-ahead") as server:
        done = install(f"{server.url}/root/pypi/+simple/", tmp_path / "here")
        upstream.faults.clear()
        kept = {p.parent.name + p.name for p in (serverdir / "blobs" / "sha256").rglob("*") if p.is_file()}
        again = install(f"{server.url}/root/pypi/+simple/", tmp_path / "there")

    assert done.returncode != 0
    assert installed(tmp_path / "here") == {}
    assert wrong.sha256 not in kept
    assert wheels["eta"].sha256 not in kept
    assert again.returncode == 0, again.stderr
    assert installed(tmp_path / "there") == CHOSEN


def test_required_hashes_are_checked(wheels: dict[str, Dist], serverdir: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.txt", tmp_path / "wrong.txt"
    lines = [f"{name}=={CHOSEN[name]} --hash=sha256:{wheel.sha256}" for name, wheel in wheels.items()]
    right.write_text("\n".join(lines))
    wrong.write_text("\n".join(lines).replace(wheels["eta"].sha256, wheels["beta"].sha256))

    with a_server(serverdir) as server:
        index = f"{server.url}/root/pypi/+simple/"
        more = ("--require-hashes", "-r")
        good = uv(index, tmp_path / "c1", "install", "--target", tmp_path / "here", *more, right)
        bad = uv(index, tmp_path / "c2", "install", "--target", tmp_path / "there", *more, wrong)

    assert good.returncode == 0, good.stderr
    assert installed(tmp_path / "here") == CHOSEN
    assert bad.returncode != 0
    assert installed(tmp_path / "there") == {}


def test_a_yanked_release_is_had_only_by_its_exact_version(
    wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir) as server:
        index = f"{server.url}/root/pypi/+simple/"
        any_release = install(index, tmp_path / "any", what="zeta-zeta")
        exact = install(index, tmp_path / "exact", what="zeta-zeta==1.0")

    assert any_release.returncode == exact.returncode == 0
    assert installed(tmp_path / "any")["zeta-zeta"] == "0.9"
    assert installed(tmp_path / "exact")["zeta-zeta"] == "1.0"
    assert "broken" in exact.stderr


def test_a_new_release_is_seen_by_uv_with_a_warm_cache_of_its_own(
    upstream: FakeUpstream, wheels: dict[str, Dist], serverdir: Path, tmp_path: Path
) -> None:
    del wheels
    with a_server(serverdir, "--mirror-cache-expiry", "0") as server:
        index = f"{server.url}/root/pypi/+simple/"
        uv(index, tmp_path / "cache", "install", "--target", tmp_path / "first", "theta")
        upstream.add("theta", a_wheel("theta", "3.0"))
        done = uv(index, tmp_path / "cache", "install", "--target", tmp_path / "second", "theta")

    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "second") == {"theta": "3.0"}
