"""The container's recipe and the compose files, line by line. They are built and run in `test_container_run`."""

import configparser
import importlib.metadata
import importlib.util
import json
import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from bench import programs
from stilton import __version__
from stilton.settings import SETTINGS
from tests.support.server import run

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "Containerfile").read_text(encoding="utf-8")
COMPOSE = ["compose.yaml", "compose.nginx.yaml"]
TOP_KEYS = {"services", "volumes", "networks"}
SERVICE_KEYS = {
    "build", "image", "init", "volumes", "read_only", "tmpfs", "cap_drop", "security_opt", "environment", "command",
    "restart", "stop_grace_period", "entrypoint", "depends_on", "user", "ports", "networks", "mac_address",
}  # fmt: skip
"""Of compose-spec, those that we use: a misspelled one would say nothing."""
CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}


def instructions(text: str = RECIPE) -> list[tuple[str, str]]:
    """(instruction, the rest), without comments, lines put together."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    split = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(name, rest.strip()) for name, _, rest in split]


def final_stage() -> list[tuple[str, str]]:
    rows = instructions()
    start = max(number for number, (name, _) in enumerate(rows) if name == "FROM")
    return rows[start:]


def composed(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return document


# -- Containerfile ----------------------------------------------------------------------------


def test_the_server_is_not_root() -> None:
    users = [rest for name, rest in final_stage() if name == "USER"]
    later = [name for name, _ in final_stage()[[n for n, _ in final_stage()].index("USER") :]]

    assert users == ["3141:3141"]
    assert "RUN" not in later


def test_tools_and_sources_stay_behind() -> None:
    copied = [rest for name, rest in final_stage() if name in ("COPY", "ADD")]

    assert copied == ["--from=build /opt/stilton /opt/stilton"]
    assert "-m venv --without-pip /opt/stilton" in RECIPE


def test_the_base_image_has_a_tag_that_says_its_python() -> None:
    rows = instructions()

    assert rows[0] == ("ARG", "PYTHON=python:3.13-slim")
    assert [rest for name, rest in rows if name == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]


def test_packages_are_installed_by_the_hashes_of_the_lock_files() -> None:
    text = " && ".join(rest for name, rest in instructions() if name == "RUN")

    installs = [part.strip() for part in text.split("&&") if "bin/pip " in part]

    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index --no-deps" in install


def test_what_builds_the_wheel_is_locked_whole() -> None:
    script = re.search(r"sed -n '([^']+)' (\S+) >", RECIPE)
    assert script is not None
    taken = subprocess.run(
        ["sed", "-n", script[1], ROOT / script[2]], capture_output=True, text=True, timeout=20, check=True
    ).stdout
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", taken, re.MULTILINE))

    site = next((ROOT / ".venv-clients" / "lib").glob("python*")) / "site-packages"
    needed, seen = ["hatchling"], set()
    while needed:
        name = needed.pop()
        if name not in seen:
            seen.add(name)
            dist = next(iter(importlib.metadata.distributions(name=name, path=[str(site)])))
            wanted = [Requirement(text) for text in dist.requires or []]
            needed += [one.name.lower() for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]

    assert set(pinned) == seen
    assert taken.count("--hash=sha256:") >= len(pinned)


def test_every_copied_file_exists_and_gets_past_the_ignore_file() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]

    sources = {source for row in copied for source in row}

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert sources == {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore


def test_the_image_says_how_it_is_used() -> None:
    rows = dict(final_stage())

    assert rows["VOLUME"] == "/data"
    assert rows["EXPOSE"] == "3141"
    assert rows["STOPSIGNAL"] == "SIGTERM"
    assert rows["ENTRYPOINT"] == '["devpi-server"]'
    assert json.loads(rows["CMD"]) == ["--init"]
    assert "DEVPISERVER_SERVERDIR=/data/server " in rows["ENV"]
    assert "DEVPISERVER_HOST=0.0.0.0" in rows["ENV"]


def test_the_health_check_is_our_own_module() -> None:
    check = dict(final_stage())["HEALTHCHECK"]

    assert json.loads(check[check.index("[") :]) == ["python", "-m", "stilton.cli.health"]
    assert importlib.util.find_spec("stilton.cli.health") is not None


def test_a_linter_finds_no_fault_with_the_recipe() -> None:
    linter = ROOT / ".venv-clients" / "bin" / "hadolint"

    done = subprocess.run([linter, ROOT / "Containerfile"], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "")


# -- compose ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSE)
def test_every_key_is_one_of_the_compose_specification(name: str) -> None:
    document = composed(name)
    services = document["services"].values()
    waits = [condition for one in services for condition in one.get("depends_on", {}).items()]

    assert {key for key in document if not key.startswith("x-")} <= TOP_KEYS
    assert {key for one in services for key in one} <= SERVICE_KEYS
    assert {key for one in services if "build" in one for key in one["build"]} <= {"context", "dockerfile"}
    assert [other for other, _ in waits if other not in document["services"]] == []
    assert {condition for _, told in waits for condition in told.values()} <= CONDITIONS


def test_nginx_starts_when_its_configuration_is_written_and_nobody_waits_for_the_server() -> None:
    services = composed("compose.nginx.yaml")["services"]

    # Podman starts nothing that needs a container that has ended and needs one that runs.
    assert "depends_on" not in services["config"]
    assert services["nginx"]["depends_on"] == {"config": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", COMPOSE)
def test_services_have_no_rights_and_write_to_their_volume_only(name: str) -> None:
    services = composed(name)["services"]

    for service in services.values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [volume.split(":")[0] for volume in service["volumes"]] == ["data"]
    assert list(composed(name)["volumes"]) == ["data"]


def test_the_documented_commands_give_no_more_rights_than_compose() -> None:
    guide = (ROOT / "docs" / "guide" / "service.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    docker run -d (.+)$", guide, re.MULTILINE)
    devpi = composed("compose.yaml")["services"]["devpi"]

    assert len(commands) == 2
    for command in commands:
        assert f"--restart {devpi['restart']} --init --read-only --tmpfs {devpi['tmpfs'][0]}" in command
        assert f"--cap-drop {devpi['cap_drop'][0]} --security-opt no-new-privileges" in command
        assert f"-p {devpi['ports'][0]} " in command
        assert f"--stop-timeout {devpi['stop_grace_period'].removesuffix('s')} " in command


@pytest.mark.parametrize("name", COMPOSE)
def test_the_server_is_built_here_and_has_time_to_stop(name: str) -> None:
    devpi = composed(name)["services"]["devpi"]

    stop = next(setting.default for setting in SETTINGS if setting.name == "stop-timeout")
    assert (ROOT / devpi["build"]["dockerfile"]).exists()
    assert devpi["image"] == f"stilton:{__version__}"
    assert int(devpi["stop_grace_period"].removesuffix("s")) > stop
    assert devpi["init"] is True


@pytest.mark.parametrize("name", COMPOSE)
def test_the_environment_holds_settings_that_there_are(name: str) -> None:
    known = {setting.variable for setting in SETTINGS}

    for service in composed(name)["services"].values():
        assert set(service.get("environment", {})) <= known


def test_alone_the_server_is_this_machines() -> None:
    assert composed("compose.yaml")["services"]["devpi"]["ports"] == ["127.0.0.1:3141:3141"]


def test_behind_nginx_the_server_has_no_port_and_nginx_its_files() -> None:
    services = composed("compose.nginx.yaml")["services"]

    assert "ports" not in services["devpi"]
    assert services["nginx"]["user"] == dict(final_stage())["USER"]
    assert services["nginx"]["volumes"] == ["data:/data:ro"]
    assert services["config"]["entrypoint"][0] == "devpi-gen-config"


def test_nginx_finds_the_server_where_it_is_after_each_restart() -> None:
    document = composed("compose.nginx.yaml")
    (network,) = document["networks"]["default"]["ipam"]["config"]
    address = ip_address(document["services"]["devpi"]["networks"]["default"]["ipv4_address"])
    asked = document["services"]["config"]["entrypoint"]

    assert asked[asked.index("--host") + 1] == str(address)
    assert address in ip_network(network["subnet"])
    assert address not in ip_network(network["ip_range"])
    assert bytes.fromhex(document["services"]["devpi"]["mac_address"].replace(":", ""))[2:] == address.packed


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://127.0.0.1:3580",
        "https://packages.example.com",
        "https://example.com:8443/devpi",
    ],
)
def test_nginx_listens_on_its_port_whatever_clients_type(tmp_path: Path, url: str) -> None:
    services = composed("compose.nginx.yaml")["services"]
    command, *words = [
        word.replace("${OUTSIDE_URL:-http://localhost:8080}", url) for word in services["config"]["entrypoint"]
    ]
    shell, flag, script = services["nginx"]["command"]
    written = run(command, *words, "--serverdir", str(tmp_path / "server"), cwd=tmp_path)
    here = script.replace("/tmp/", f"{tmp_path}/").replace("/data/", f"{tmp_path}/")
    checked = here.replace("exec nginx", f"exec {programs.find('nginx')} -T -p {tmp_path}")

    done = subprocess.run([shell, flag, checked], capture_output=True, text=True, timeout=60, check=False)

    assert (written.returncode, done.returncode) == (0, 0), written.stderr + done.stderr
    assert re.findall(r"^ *(listen .*)", done.stdout, re.MULTILINE) == ["listen 8080;"]
    assert f'X-Outside-Url "{url}";' in done.stdout
    assert f"server {words[words.index('--host') + 1]}:3141;" in done.stdout


def test_nginx_takes_the_place_of_the_shell_that_starts_it() -> None:
    script = composed("compose.nginx.yaml")["services"]["nginx"]["command"][2]

    assert "$" not in script  # compose would take it for a variable
    assert "daemon off;" in script
    assert script.splitlines()[-1] == "exec nginx -c /tmp/nginx.conf"


def test_the_commands_of_the_images_are_ours() -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(importlib.metadata.distribution("stilton").read_text("entry_points.txt") or "")

    assert {"devpi-server", "devpi-gen-config"} <= set(scripts["console_scripts"])
