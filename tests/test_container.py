"""The image and compose.yaml: confined, and what they name exists."""

import json
import re
import tomllib
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from deploy_tools import DEPLOY, check

from pipeline.cli.main import app
from pipeline.config import Config, load_config

REPOSITORY = DEPLOY.parent
DOCKERFILE = (DEPLOY / "container" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instruction(name: str) -> str:
    """Arguments of the last instruction of this name, its lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^\s*{name} +(.*)$", joined, re.MULTILINE)[-1]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Config:
    """Configuration of the service in compose.yaml."""
    monkeypatch.setenv("VEDETTE_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef")
    return load_config(DEPLOY / "compose" / "vedette.yaml")


def test_files_are_in_good_style() -> None:
    check("hadolint", "container/Dockerfile")
    check("docker-compose", "-f", "compose.yaml", "config", "--quiet")


def test_image_starts_a_command_without_rights_below_an_init() -> None:
    assert instruction("USER") == "10001:10001"
    init, dashes, program = json.loads(instruction("ENTRYPOINT"))
    assert (init, dashes, program) == ("/usr/bin/tini", "--", "vedette")
    name, *arguments = json.loads(instruction("CMD"))
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, list(arguments))
    assert arguments[-1] == instruction("VOLUME")


def test_health_check_asks_the_service_where_it_answers(composed: Config) -> None:
    asked = re.search(r"http://[^']+", DOCKERFILE[DOCKERFILE.index("HEALTHCHECK") :])
    assert asked is not None
    address = urlsplit(asked[0])
    assert (address.port, address.path) == (composed.metrics.port, "/healthz")
    assert set(instruction("EXPOSE").split()) == {
        str(composed.metrics.port),
        str(composed.api.port),
    }


def test_build_context_has_all_of_the_wheel_and_no_secret() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["only-include"], *wheel["shared-data"], project["project"]["readme"]}
    assert allowed == needed | {"pyproject.toml", "LICENSE"}
    assert "/secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("../secrets/"), "deploy/ goes into the wheel"


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    image = service["image"]
    assert image == "vedette" or re.search(r":v?\d+\.\d+\.\d+", image), "of a fixed version"


def test_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert rest.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()


def test_services_are_reached_by_their_names(composed: Config) -> None:
    assert composed.mqtt.host in SERVICES
    camera = urlsplit(composed.cameras["test"].source.url)
    mediamtx = yaml.safe_load((DEPLOY / "compose" / "mediamtx.yml").read_text())
    assert camera.hostname in SERVICES
    assert mediamtx["rtspAddress"] == f":{camera.port}"
    assert camera.path.removeprefix("/") in mediamtx["paths"]
    assert (composed.metrics.host, composed.api.host) == ("0.0.0.0", "0.0.0.0")
    assert f"127.0.0.1:{composed.api.port}:{composed.api.port}" in SERVICES["vedette"]["ports"]

    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    assert job["job_name"] == "vedette", "as in VedetteDown"
    assert job["static_configs"] == [{"targets": [f"vedette:{composed.metrics.port}"]}]
    (manager,) = prometheus["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    routes = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    for receiver in routes["receivers"]:
        for hook in receiver["webhook_configs"]:
            assert urlsplit(hook["url"]).hostname in SERVICES
    sources = DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(sources.read_text())["datasources"]
    assert urlsplit(source["url"]).hostname in SERVICES


def test_the_drain_has_time() -> None:
    seconds = int(SERVICES["vedette"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= 4 * 10, "each group of workers has 10 s"
