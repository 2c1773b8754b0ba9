"""The kustomization: valid, confined, and of one piece."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import DEPLOY, check

from pipeline.config import load_config

FOLDER = DEPLOY / "kubernetes"
BASE = FOLDER / "base"
VERSIONS = ("1.29", "1.33", "1.37")
"""Of Kubernetes, against whose schema is checked."""


def documents() -> dict[str, dict[str, Any]]:
    """What the base holds, by kind and name."""
    resources = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return {
        f"{one['kind']}/{one['metadata']['name']}": one
        for name in resources
        for one in yaml.safe_load_all((BASE / name).read_text())
    }


DOCUMENTS = documents()
POD = DOCUMENTS["StatefulSet/vedette"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


def built(overlay: str) -> str:
    return check("kubectl", "kustomize", str(FOLDER / overlay))


@pytest.mark.parametrize("overlay", ["base", "gpu"])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_built_fits_the_schema(overlay: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "built.yaml").write_text(built(overlay))
    check("kubernetes-validate", "--strict", "-k", version, str(tmp_path / "built.yaml"))


@pytest.mark.parametrize("version", VERSIONS)
def test_base_fits_the_schema(version: str) -> None:
    resources = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    check("kubernetes-validate", "--strict", "-k", version, *resources, cwd=BASE)


def test_a_misspelt_key_is_found(tmp_path: Path) -> None:
    text = (BASE / "statefulset.yaml").read_text()
    wrong = text.replace("readinessProbe:", "readynessProbe:")
    assert wrong != text
    (tmp_path / "wrong.yaml").write_text(wrong)
    with pytest.raises(AssertionError, match="readynessProbe"):
        check("kubernetes-validate", "--strict", str(tmp_path / "wrong.yaml"))


def test_kustomize_leaves_the_peers_of_the_network_policy() -> None:
    policies = [one for one in yaml.safe_load_all(built("base")) if one["kind"] == "NetworkPolicy"]
    assert policies == [DOCUMENTS["NetworkPolicy/vedette"]]


def test_gpu_is_asked_for_where_there_is_one() -> None:
    (pod,) = (
        one["spec"]["template"]["spec"]
        for one in yaml.safe_load_all(built("gpu"))
        if one["kind"] == "StatefulSet"
    )
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].endswith(":cuda")
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert container["livenessProbe"] == CONTAINER["livenessProbe"]


def test_pod_has_no_rights() -> None:
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    dockerfile = (DEPLOY / "container" / "Dockerfile").read_text()
    user = POD["spec"]["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in dockerfile


def test_labels_lead_to_the_pod() -> None:
    labels = POD["metadata"]["labels"]
    for name in ("Service/vedette", "Service/vedette-api"):
        assert DOCUMENTS[name]["spec"]["selector"] == labels
    assert DOCUMENTS["StatefulSet/vedette"]["spec"]["selector"]["matchLabels"] == labels
    assert DOCUMENTS["StatefulSet/vedette"]["spec"]["serviceName"] == "vedette"
    policy = DOCUMENTS["NetworkPolicy/vedette"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    ports = {port["name"] for port in CONTAINER["ports"]}
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == ports


def test_ports_and_probes_are_those_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef")
    config = load_config(BASE / "vedette.yaml")
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"api": config.api.port, "metrics": config.metrics.port}
    probes = {name: CONTAINER[name]["httpGet"] for name in CONTAINER if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/healthz", "port": "metrics"},
        "livenessProbe": {"path": "/healthz", "port": "metrics"},
        "readinessProbe": {"path": "/readyz", "port": "metrics"},
    }
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(config.metrics.port)


def test_what_is_mounted_is_a_volume_and_the_drain_has_time() -> None:
    claims = DOCUMENTS["StatefulSet/vedette"]["spec"]["volumeClaimTemplates"]
    volumes = {one["name"] for one in POD["spec"]["volumes"]}
    volumes |= {one["metadata"]["name"] for one in claims}
    assert {one["name"] for one in CONTAINER["volumeMounts"]} == volumes
    assert POD["spec"]["terminationGracePeriodSeconds"] >= 4 * 10, "each group has 10 s"
