"""What to paste so that a tool uses an index: one text for each tool, with the name of its file in the first line.

No text has a password in it: it names the variable, the keyring or the secret that has it. The files that the
command edits itself are `configfiles`'.

    installs        pip, requirements, uv, poetry, pdm, hatch, tox, docker
    uploads         twine; uv, poetry, pdm and hatch say how in a comment
    other machines  renovate, dependabot, github-actions, gitlab-ci
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from stilton_client import urls
from stilton_client.errors import EXIT_USAGE, Failure

# Nothing that a shell, YAML, TOML, INI or a Dockerfile would take for its own.
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9:/?&=+@~!*,._%\[\]-]+")
_PLAIN_USER = re.compile(r"[A-Za-z0-9._@+-]+")
_CONTAINERS_HOST = "host.docker.internal"
_SECRET = "DEVPI_PASSWORD"  # noqa: S105 -- the name of a secret, for people to make one


@dataclass(frozen=True)
class Index:
    """An index as tools see it; credentials in its URLs are left out of all texts.

    `trusted`: it is used without https beyond this machine, or with a certificate that nobody vouches for.
    Raises ValueError for URLs and users with characters that would have to be quoted.
    """

    index: str  # https://host/user/index
    simple: str  # https://host/user/index/+simple/
    submit: str | None = None  # where uploads go; None: a mirror, which takes none
    user: str | None = None
    trusted: bool = False

    def __post_init__(self) -> None:
        for name in ("index", "simple", "submit"):
            url = getattr(self, name)
            if url is not None:
                if not _PLAIN_URL.fullmatch(url) or not urlsplit(url).hostname:
                    raise ValueError(f"not a URL that can be pasted ({name})")
                # So that no text can have the password.
                object.__setattr__(self, name, urls.without_login(url)[0])
        if self.user is not None and not _PLAIN_USER.fullmatch(self.user):
            raise ValueError("not a user that can be pasted")

    @property
    def name(self) -> str:
        """What tools call the index: `alice-dev`."""
        folders = [part for part in urlsplit(self.index).path.lower().split("/") if part][-2:]
        return re.sub(r"[^a-z0-9]+", "-", "-".join(folders)).strip("-") or "devpi"

    @property
    def variable(self) -> str:
        """The name, as it stands in names of variables: `ALICE_DEV`."""
        return self.name.upper().replace("-", "_")

    @property
    def host(self) -> str:
        """The bare host."""
        return urlsplit(self.simple).hostname or ""

    @property
    def unverified(self) -> bool:
        """Whether https is used without asking who is there; without https there is nothing to ask."""
        return self.trusted and urlsplit(self.simple).scheme == "https"

    @property
    def login(self) -> str:
        """The user, or what to put in the place of one."""
        return self.user or "USER"


def tools() -> tuple[str, ...]:
    """The tools there are texts for."""
    return tuple(_TEXTS)


def snippet(tool: str, index: Index) -> str:
    """What to paste for this tool. Raises Failure for an unknown tool, and for uploads to a mirror."""
    text = _TEXTS.get(tool)
    if text is None:
        near = difflib.get_close_matches(tool.lower(), tools(), n=1)
        advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(tools())}."
        raise Failure(f"There is no configuration for {tool!r}.", advice, code=EXIT_USAGE)
    return "\n".join(line for line in text(index) if line is not None) + "\n"


Lines = list[str | None]  # None: not a line for this index


def _pip(index: Index) -> Lines:
    return [
        "# pip.conf: ~/.config/pip/pip.conf, or pip.conf in the folder of a virtual environment",
        "# If it asks for a login: the password belongs in a keyring (pip install keyring) or in ~/.netrc.",
        "[global]",
        f"index-url = {index.simple}",
        f"trusted-host = {index.host}" if index.trusted else None,
    ]


def _requirements(index: Index) -> Lines:
    return [
        "# requirements.txt: its first lines",
        f"--index-url {index.simple}",
        f"--trusted-host {index.host}" if index.trusted else None,
    ]


def _uv(index: Index) -> Lines:
    variable = f"UV_INDEX_{index.variable}"
    return [
        "# pyproject.toml (in uv.toml: without `tool.uv.` and without [tool.uv])",
        f"# If it asks for a login: {variable}_USERNAME={index.login} and {variable}_PASSWORD, or ~/.netrc.",
        *_when(index.unverified, "[tool.uv]", f"allow-insecure-host = [{json.dumps(index.host)}]", ""),
        "[[tool.uv.index]]",
        f"name = {json.dumps(index.name)}",
        f"url = {json.dumps(index.simple)}",
        f"publish-url = {json.dumps(index.submit)}" if index.submit else None,
        "default = true",
        *_when(
            index.submit is not None,
            f"# Upload: uv publish --index {index.name},",
            f"# with UV_PUBLISH_USERNAME={index.login} and UV_PUBLISH_PASSWORD.",
        ),
    ]


def _poetry(index: Index) -> Lines:
    variable = f"POETRY_HTTP_BASIC_{index.variable}"
    return [
        "# pyproject.toml",
        f"# If it asks for a login: {variable}_USERNAME={index.login} and {variable}_PASSWORD,",
        f"# or the keyring: poetry config http-basic.{index.name} {index.login}",
        "[[tool.poetry.source]]",
        f"name = {json.dumps(index.name)}",
        f"url = {json.dumps(index.simple)}",
        'priority = "primary"',
        *_when(index.unverified, f"# The certificate: poetry config certificates.{index.name}.cert false"),
        *_when(
            index.submit is not None,
            f"# Upload, once: poetry config repositories.{index.name} {index.submit}",
            f"# then: poetry publish --build --repository {index.name}",
        ),
    ]


def _pdm(index: Index) -> Lines:
    return [
        "# pyproject.toml (the name `pypi` makes it stand in for PyPI)",
        f"# If it asks for a login: PDM_PYPI_USERNAME={index.login} and PDM_PYPI_PASSWORD, or a keyring.",
        "[[tool.pdm.source]]",
        'name = "pypi"',
        f"url = {json.dumps(index.simple)}",
        f"verify_ssl = {'false' if index.unverified else 'true'}",
        *_when(
            index.submit is not None,
            f"# Upload: pdm publish --repository {index.submit},",
            f"# with PDM_PUBLISH_USERNAME={index.login} and PDM_PUBLISH_PASSWORD, or a keyring.",
        ),
    ]


def _hatch(index: Index) -> Lines:
    return [
        "# pyproject.toml (in hatch.toml: without `tool.hatch.`)",
        "# If it asks for a login: the password belongs in ~/.netrc.",
        "[tool.hatch.envs.default.env-vars]",
        f"PIP_INDEX_URL = {json.dumps(index.simple)}",
        f"UV_DEFAULT_INDEX = {json.dumps(index.simple)}",
        f"PIP_TRUSTED_HOST = {json.dumps(index.host)}" if index.trusted else None,
        f"UV_INSECURE_HOST = {json.dumps(index.host)}" if index.unverified else None,
        *_when(
            index.submit is not None,
            f"# Upload: hatch publish --repo {index.submit},",
            f"# with HATCH_INDEX_USER={index.login} and HATCH_INDEX_AUTH, or a keyring.",
        ),
    ]


def _tox(index: Index) -> Lines:
    trusted = f"    PIP_TRUSTED_HOST = {{env:PIP_TRUSTED_HOST:{index.host}}}" if index.trusted else None
    settings = [f"    PIP_INDEX_URL = {{env:PIP_INDEX_URL:{index.simple}}}", trusted]
    return [
        "# tox.ini (a PIP_INDEX_URL of the person who runs tox goes first)",
        "# If it asks for a login: the password belongs in ~/.netrc.",
        "[testenv]",
        "set_env =",
        *settings,
        "",
        "[pkgenv]",
        "set_env =",
        *settings,
    ]


def _twine(index: Index) -> Lines:
    if index.submit is None:
        raise Failure(f"{index.index} is a mirror: nothing can be uploaded to it.", "Name an index of your own.")
    return [
        "# ~/.pypirc",
        f"# The password: keyring set {index.submit} {index.login}, or TWINE_PASSWORD.",
        f"# Upload: twine upload --repository {index.name} dist/*",
        "[distutils]",
        "index-servers =",
        f"    {index.name}",
        "",
        f"[{index.name}]",
        f"repository = {index.submit}",
        f"username = {index.user}" if index.user else None,
    ]


def _docker(index: Index) -> Lines:
    loopback = index.host in urls.LOOPBACK
    simple = _from_container(index.simple) if loopback else index.simple
    host = _CONTAINERS_HOST if loopback else index.host
    options = f"--add-host={_CONTAINERS_HOST}:host-gateway " if loopback else ""
    return [
        f"# Dockerfile, after FROM. Another index: docker build {options}--build-arg PIP_INDEX_URL=... .",
        *_when(
            loopback,
            f"# Inside a container {index.host} is the container itself; your machine is {_CONTAINERS_HOST}.",
            f"# The server has to listen there too. On Linux: docker build {options}.",
        ),
        f"ARG PIP_INDEX_URL={simple}",
        f"ARG UV_DEFAULT_INDEX={simple}",
        f"ARG PIP_TRUSTED_HOST={host}" if index.trusted or (loopback and simple.startswith("http:")) else None,
        f"ARG UV_INSECURE_HOST={host}" if index.unverified else None,
        "COPY requirements.txt .",
        "RUN pip install -r requirements.txt",
        "# If it asks for a login: this RUN instead; the file is mounted for it, and is not in the image.",
        f"#   ~/.netrc has a line: machine {host} login {index.login} password ...",
        f"#   docker build {options}--secret id=netrc,src=$HOME/.netrc .",
        "# RUN --mount=type=secret,id=netrc NETRC=/run/secrets/netrc pip install -r requirements.txt",
    ]


def _renovate(index: Index) -> Lines:
    form: dict[str, object] = {
        "description": "renovate.json in the root of the repository",
        "packageRules": [{"matchDatasources": ["pypi"], "registryUrls": [index.simple]}],
    }
    if index.user:
        # Renovate puts the secret in; it is kept in its settings, not in the repository.
        login = {"username": index.user, "password": f"{{{{ secrets.{_SECRET} }}}}"}
        form["hostRules"] = [{"hostType": "pypi", "matchHost": index.host, **login}]
    return [json.dumps(form, indent=2)]


def _dependabot(index: Index) -> Lines:
    return [
        "# .github/dependabot.yml (the secret is one of Dependabot's, not of Actions)",
        "version: 2",
        "registries:",
        f"  {index.name}:",
        "    type: python-index",
        f"    url: {index.simple}",
        *_when(
            index.user is not None,
            f"    username: {json.dumps(index.login)}",
            f"    password: ${{{{secrets.{_SECRET}}}}}",
        ),
        "    replaces-base: true",
        "updates:",
        "  - package-ecosystem: pip",
        "    directory: /",
        f"    registries: [{index.name}]",
        "    schedule:",
        "      interval: weekly",
    ]


def _github(index: Index) -> Lines:
    return [
        "# .github/workflows/NAME.yml: at its top or in a job",
        f"# If it asks for a login: let a step write ~/.netrc from ${{{{ secrets.{_SECRET} }}}}; pip and uv read it.",
        "env:",
        *_variables(index),
    ]


def _gitlab(index: Index) -> Lines:
    return [
        "# .gitlab-ci.yml",
        f"# If it asks for a login: let before_script write ~/.netrc from the masked variable {_SECRET}.",
        "variables:",
        *_variables(index),
    ]


def _variables(index: Index) -> Lines:
    return [
        f"  PIP_INDEX_URL: {json.dumps(index.simple)}",
        f"  UV_DEFAULT_INDEX: {json.dumps(index.simple)}",
        f"  PIP_TRUSTED_HOST: {json.dumps(index.host)}" if index.trusted else None,
        f"  UV_INSECURE_HOST: {json.dumps(index.host)}" if index.unverified else None,
    ]


def _when(condition: bool, *lines: str) -> tuple[str, ...]:
    return lines if condition else ()


def _from_container(url: str) -> str:
    """The URL by which a container reaches this machine."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{_CONTAINERS_HOST}{port}"))


_TEXTS: Final[Mapping[str, Callable[[Index], Lines]]] = {
    "pip": _pip,
    "requirements": _requirements,
    "uv": _uv,
    "poetry": _poetry,
    "pdm": _pdm,
    "hatch": _hatch,
    "tox": _tox,
    "twine": _twine,
    "docker": _docker,
    "renovate": _renovate,
    "dependabot": _dependabot,
    "github-actions": _github,
    "gitlab-ci": _gitlab,
}
