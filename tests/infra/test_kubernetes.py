"""The manifests: right by the schemas of Kubernetes and of Dask's operator, and agreeing with each other."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
K8S = INFRA / "k8s"
VERSIONS = ("1.31", "1.35")
POOLS = sorted((INFRA / "work-pools").glob("*.json"))
Manifest = dict[str, Any]
CORE = "io.k8s.api.core.v1"
ANYTHING = {"definitions": {f"{CORE}.PodSpec": {}, f"{CORE}.ServiceSpec": {}}}


def manifests() -> list[Manifest]:
    listed = yaml.safe_load((K8S / "kustomization.yaml").read_text())["resources"]
    return [one for name in (*listed, "pvc.yaml") for one in yaml.safe_load_all((K8S / name).read_text())]


def jobs() -> list[Manifest]:
    """The jobs that work pools would make, with their defaults filled in."""
    made = []
    for path in POOLS:
        template = json.loads(path.read_text())
        values = {name: told.get("default") for name, told in template["variables"]["properties"].items()}
        made.append(filled(template["job_configuration"]["job_manifest"], values | {"labels": {}, "env": []}))
    return made


def filled(tree: Any, values: dict[str, Any]) -> Any:
    if isinstance(tree, dict):
        found = {key: filled(value, values) for key, value in tree.items()}
        return {key: value for key, value in found.items() if value is not None}
    if isinstance(tree, list):
        return [filled(value, values) for value in tree]
    if isinstance(tree, str) and tree.startswith("{{ ") and tree.endswith(" }}"):
        return values[tree[3:-3]]
    if isinstance(tree, str) and "{{ name }}" in tree:
        return tree.replace("{{ name }}", values["name"])
    return tree


def pods(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Every pod's spec in a manifest, wherever it stands."""
    if isinstance(manifest, dict):
        if "containers" in manifest:
            yield manifest
        for value in manifest.values():
            yield from pods(value)


EVERYTHING = [*manifests(), *jobs()]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", EVERYTHING, ids=lambda m: f"{m['kind']}")
def test_it_is_valid_by_its_schema(manifest: Manifest, version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    if "kubernetes.dask.org" not in manifest["apiVersion"]:
        schemas.validate(manifest, version, strict=True)
    for spec in pods(manifest):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        schemas.validate(pod, version, strict=True)


def test_the_operators_own_fields_are_known_to_it() -> None:
    operator = pytest.importorskip("dask_kubernetes")
    import jsonschema
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    folder = Path(operator.__file__).parent / "operator/customresources"

    def retrieve(uri: str) -> Resource[Any]:
        # Pods and services are checked by Kubernetes' own schemas above.
        own = uri.endswith("templates.yaml")
        content = yaml.safe_load((folder / "templates.yaml").read_text()) if own else ANYTHING
        return Resource.from_contents(content, default_specification=DRAFT202012)

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    checked = 0
    for manifest in manifests():
        if "kubernetes.dask.org" in manifest["apiVersion"]:
            crd = yaml.safe_load((folder / f"{manifest['kind'].lower()}.yaml").read_text())
            (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1"]
            schema = version["schema"]["openAPIV3Schema"]
            jsonschema.Draft202012Validator(schema, registry=registry).validate(manifest)
            checked += 1
    assert checked == 3


def test_kustomize_builds_it() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", K8S], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert {one["metadata"].get("namespace", "memdub") for one in built} == {"memdub"}
    images = {container["image"] for one in built for pod in pods(one) for container in pod["containers"]}
    assert images == {"memdub:cpu", "memdub:cuda"}


def test_what_is_named_is_there() -> None:
    there = {(one["kind"], one["metadata"].get("name")) for one in manifests()}
    for manifest in EVERYTHING:
        for spec in pods(manifest):
            assert ("ServiceAccount", spec["serviceAccountName"]) in there
            volumes = {one["name"] for one in spec.get("volumes", ())}
            for container in spec["containers"]:
                assert {one["name"] for one in container.get("volumeMounts", ())} <= volumes
                for source in container.get("envFrom", ()):
                    if "configMapRef" in source:
                        assert ("ConfigMap", source["configMapRef"]["name"]) in there


def test_no_pod_is_root_or_may_become_it() -> None:
    for manifest in EVERYTHING:
        for spec in pods(manifest):
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in spec["containers"]:
                assert container["securityContext"]["allowPrivilegeEscalation"] is False
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_card_is_asked_for_offered_and_only_on_nodes_that_have_one() -> None:
    (group,) = [one for one in manifests() if one["kind"] == "DaskWorkerGroup"]
    (spec,) = pods(group)
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "GPU=1" in container["args"]
    assert spec["nodeSelector"]
    gpu = [job for job in jobs() if next(pods(job)).get("nodeSelector")]
    assert len(gpu) == 1
    assert next(pods(gpu[0]))["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_no_secret_is_written_down() -> None:
    assert not [one for one in manifests() if one["kind"] == "Secret"]
    settings = next(one for one in manifests() if one["kind"] == "ConfigMap")["data"]
    assert not [name for name in settings if "PASSWORD" in name or "SECRET" in name or "KEY" in name]


def test_everything_is_refused_that_no_policy_names() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in manifests() if one["kind"] == "NetworkPolicy"}
    nothing = policies.pop("nothing")
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in policies.items():
        for rule in spec.get("ingress", ()):
            assert rule.get("from"), f"{name} lets anybody in"
    prefect = next(one for one in manifests() if one["kind"] == "Deployment")
    assert prefect["spec"]["template"]["metadata"]["labels"]["memdub/role"] == "flows"
    assert all(job["spec"]["template"]["metadata"]["labels"]["memdub/role"] == "flows" for job in jobs())
