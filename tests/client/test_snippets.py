"""Texts to paste: they parse, they name the index, they have no secret in them."""

import configparser
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton_client.errors import EXIT_USAGE, Failure
from stilton_client.snippets import Index, snippet, tools

PRIVATE = Index(
    index="https://packages.example.com/alice/dev",
    simple="https://packages.example.com/alice/dev/+simple/",
    submit="https://packages.example.com/alice/dev/",
    user="alice",
)
MIRROR = Index(index="http://localhost:3141/root/mirror", simple="http://localhost:3141/root/mirror/+simple/")
PLAIN = Index(
    index="http://packages.example.com:3141/bob/prod",
    simple="http://packages.example.com:3141/bob/prod/+simple/",
    submit="http://packages.example.com:3141/bob/prod/",
    trusted=True,
)
UNVERIFIED = Index(PRIVATE.index, PRIVATE.simple, PRIVATE.submit, PRIVATE.user, trusted=True)
INDEXES = pytest.mark.parametrize(
    "index", [PRIVATE, MIRROR, PLAIN, UNVERIFIED], ids=["private", "mirror", "plain", "unverified"]
)
TOML = ("uv", "poetry", "pdm", "hatch")
INI = ("pip", "tox")
YAML = ("dependabot", "github-actions", "gitlab-ci")
UV = Path(sys.executable).with_name("uv")


def ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def toml(tool: str, index: Index) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(snippet(tool, index))["tool"][tool]
    return table


@INDEXES
@pytest.mark.parametrize("tool", tools())
def test_every_text_parses_and_names_the_index_and_its_file(tool: str, index: Index) -> None:
    if tool == "twine" and index.submit is None:
        pytest.skip("nothing can be uploaded to a mirror")
    text = snippet(tool, index)
    if tool in TOML:
        assert tomllib.loads(text)
    if tool in (*INI, "twine"):
        assert ini(text).sections()
    if tool in YAML:
        assert yaml.safe_load(text)
    if tool == "renovate":
        assert json.loads(text)

    wanted = index.submit if tool == "twine" else index.simple
    assert wanted is not None
    assert wanted.replace("localhost", "host.docker.internal" if tool == "docker" else "localhost") in text
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    first = text.splitlines()[1 if tool == "renovate" else 0]
    assert re.search(r"pip\.conf|requirements\.txt|\.toml|tox\.ini|\.pypirc|Dockerfile|renovate\.json|\.yml", first)


user_names = st.none() | st.from_regex(r"[a-z0-9._-]{1,20}", fullmatch=True)


@settings(max_examples=100, deadline=None)
@given(user=user_names, trusted=st.booleans(), tool=st.sampled_from(tools()), scheme=st.sampled_from(["http", "https"]))
def test_no_text_has_the_password(user: str | None, trusted: bool, tool: str, scheme: str) -> None:
    base = f"{scheme}://someone:hunter2@packages.example.com/alice/dev"

    text = snippet(tool, Index(base, f"{base}/+simple/", f"{base}/", user, trusted))

    assert "hunter2" not in text
    assert "someone" not in text


@settings(max_examples=100, deadline=None)
@given(
    tool=st.sampled_from(tools()),
    path=st.from_regex(r"[A-Za-z0-9._~%+!*,-]{1,20}/[A-Za-z0-9._~%+!*,-]{1,20}", fullmatch=True),
)
def test_any_name_of_an_index_can_be_pasted(tool: str, path: str) -> None:
    base = f"https://packages.example.com/{path}"
    text = snippet(tool, Index(base, f"{base}/+simple/", f"{base}/", "alice"))
    if tool in TOML:
        assert tomllib.loads(text)
    elif tool in (*INI, "twine"):
        assert ini(text)
    elif tool in YAML:
        assert yaml.safe_load(text)


@pytest.mark.parametrize(
    "odd",
    [
        "no url",
        'http://a/"/b',
        "http://a/b c",
        "http://a/$(x)",
        "http://a/b\n[x]",
        "http:///b",
        "ftp://a/b",
    ],
)
def test_what_would_have_to_be_quoted_is_refused(odd: str) -> None:
    with pytest.raises(ValueError, match="not a URL that can be pasted"):
        Index(odd, PRIVATE.simple)
    with pytest.raises(ValueError, match="not a user that can be pasted"):
        Index(PRIVATE.index, PRIVATE.simple, user="a b")


@pytest.mark.parametrize(("tool", "near"), [("petry", "poetry"), ("Docker", "docker"), ("github", "github-actions")])
def test_a_tool_that_is_nearly_right_is_pointed_out(tool: str, near: str) -> None:
    with pytest.raises(Failure) as refusal:
        snippet(tool, PRIVATE)

    assert refusal.value.advice == f"Did you mean {near}?"
    assert refusal.value.code == EXIT_USAGE


def test_an_unknown_tool_is_answered_with_all_names() -> None:
    with pytest.raises(Failure) as refusal:
        snippet("conda-build", PRIVATE)

    assert all(tool in refusal.value.advice for tool in tools())


def test_nobody_uploads_to_a_mirror() -> None:
    with pytest.raises(Failure, match="is a mirror"):
        snippet("twine", MIRROR)
    for tool in TOML:
        assert "Upload" not in snippet(tool, MIRROR)
        assert "Upload" in snippet(tool, PRIVATE)
    assert "publish-url" not in toml("uv", MIRROR)["index"][0]


def test_pip_trusts_a_host_only_if_it_has_to() -> None:
    assert ini(snippet("pip", PLAIN))["global"]["trusted-host"] == "packages.example.com"
    assert "trusted-host" not in ini(snippet("pip", PRIVATE))["global"]


def test_certificates_go_unchecked_only_where_there_are_some() -> None:
    assert toml("uv", UNVERIFIED)["allow-insecure-host"] == ["packages.example.com"]
    assert "allow-insecure-host" not in toml("uv", PLAIN)
    assert [toml("pdm", index)["source"][0]["verify_ssl"] for index in (UNVERIFIED, PLAIN)] == [False, True]


def test_variables_of_passwords_are_named_after_the_index() -> None:
    assert "UV_INDEX_ALICE_DEV_PASSWORD" in snippet("uv", PRIVATE)
    assert "POETRY_HTTP_BASIC_ALICE_DEV_PASSWORD" in snippet("poetry", PRIVATE)


def test_renovate_and_dependabot_take_the_password_from_their_secrets() -> None:
    rule = json.loads(snippet("renovate", PRIVATE))["hostRules"][0]
    registry = yaml.safe_load(snippet("dependabot", PRIVATE))["registries"]["alice-dev"]

    assert (rule["username"], rule["password"]) == ("alice", "{{ secrets.DEVPI_PASSWORD }}")
    assert (registry["username"], registry["password"]) == ("alice", "${{secrets.DEVPI_PASSWORD}}")
    assert "hostRules" not in json.loads(snippet("renovate", MIRROR))
    assert "password" not in snippet("dependabot", MIRROR)


def test_a_container_does_not_find_the_index_on_its_own_localhost() -> None:
    text = snippet("docker", MIRROR)

    assert "Inside a container localhost is the container itself" in text
    assert "ARG PIP_INDEX_URL=http://host.docker.internal:3141/root/mirror/+simple/\n" in text
    assert "ARG PIP_TRUSTED_HOST=host.docker.internal\n" in text
    assert "host.docker.internal" not in snippet("docker", PRIVATE)


def test_a_build_gets_the_login_as_a_mounted_secret() -> None:
    text = snippet("docker", PRIVATE)

    assert "--secret id=netrc,src=$HOME/.netrc" in text
    assert "RUN --mount=type=secret,id=netrc NETRC=/run/secrets/netrc pip install" in text


@INDEXES
def test_uv_itself_takes_the_text(index: Index, tmp_path: Path) -> None:
    project = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'
    (tmp_path / "pyproject.toml").write_text(project + snippet("uv", index))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_OFFLINE": "1"}
    command = [str(UV), "lock", "--no-cache", "--python", sys.executable]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()


@INDEXES
def test_pip_itself_takes_the_text(index: Index, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(snippet("pip", index))
    environ = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == index.simple
