"""Cluster files, work pools, alerts: each is taken by the very code that will read it."""

from __future__ import annotations

import inspect
import json
import uuid
from pathlib import Path

import pytest
import yaml

from infra.check_store import check
from tasks.team import open_team, read_cluster
from tests.storage.conftest import s3_server, s3_url

__all__ = ["s3_server", "s3_url"]

INFRA = Path(__file__).parents[2] / "infra"


@pytest.mark.parametrize("path", sorted((INFRA / "clusters").glob("*.yaml")), ids=lambda path: path.name)
def test_a_cluster_file_is_read(path: Path) -> None:
    assert read_cluster(path).cluster_class


def test_the_local_cluster_works() -> None:
    with open_team(cluster=INFRA / "clusters/local.yaml") as team:
        assert team.size == 2
        assert team.do(sum, [1, 2], name="sum") == 3


def test_slurm_gets_the_script_that_we_mean() -> None:
    pytest.importorskip("dask_jobqueue")
    spec = read_cluster(INFRA / "clusters/slurm.yaml")
    with spec.load()(**spec.cluster_kwargs) as cluster:
        script = cluster.job_script()
    assert "#SBATCH -p cpu" in script
    assert "#SBATCH --cpus-per-task=16" in script
    assert "--nthreads 1 " in script
    assert "--nworkers 16" in script
    assert "--lifetime 225m" in script
    assert "source /shared/memdub-venv/bin/activate" in script


def test_kubernetes_knows_what_it_is_told() -> None:
    pytest.importorskip("dask_kubernetes")
    spec = read_cluster(INFRA / "clusters/kubernetes.yaml")
    known = inspect.signature(spec.load().__init__).parameters  # type: ignore[misc]
    assert set(spec.cluster_kwargs) <= set(known)


@pytest.mark.parametrize("path", sorted((INFRA / "work-pools").glob("*.json")), ids=lambda path: path.name)
def test_prefect_takes_the_work_pools_template(path: Path) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    template = json.loads(path.read_text())
    WorkPoolCreate(name="x", type="kubernetes", base_job_template=template)
    worker = pytest.importorskip("prefect_kubernetes.worker")
    theirs = worker.KubernetesWorker.get_default_base_job_template()
    assert set(template["job_configuration"]) <= set(theirs["job_configuration"])
    properties = template["variables"]["properties"]
    values = {name: told["default"] for name, told in properties.items() if "default" in told}
    job = json.loads(json.dumps(template["job_configuration"]["job_manifest"]))
    for name, value in values.items():
        job = json.loads(json.dumps(job).replace(f'"{{{{ {name} }}}}"', json.dumps(value)))
    job = json.loads(json.dumps(job).replace('"{{ env }}"', "[]").replace('"{{ labels }}"', "{}"))
    made = worker.KubernetesWorkerJobConfiguration(
        name="memdub", namespace="memdub", job_manifest=job, command="prefect flow-run execute"
    )
    assert made.job_manifest["spec"]["template"]["spec"]["containers"][0]["image"].startswith("memdub:")


def test_prefect_takes_the_alerts() -> None:
    from prefect.events.schemas.automations import AutomationCore

    text = (INFRA / "automations.yaml").read_text().replace("${BLOCK}", str(uuid.uuid4()))
    told = yaml.safe_load(text)["automations"]
    made = [AutomationCore.model_validate(one) for one in told]
    assert len({one.name for one in made}) == len(told) == 4
    for one, said in zip(made, told, strict=True):
        assert one.trigger.type == "event"
        assert {action.type for action in one.actions} == {action["type"] for action in said["actions"]}
        assert not set(said) - set(AutomationCore.model_fields), "Prefect would ignore it in silence"
        assert not set(said["trigger"]) - set(type(one.trigger).model_fields)


def test_a_store_that_keeps_conditions_is_told_from_one_that_does_not(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("infra.check_store.WRITERS", 2)
    told, kept = check(str(tmp_path))
    assert told == kept == 2 * 25
    from storage.objects import S3Objects

    write = S3Objects.write_if
    monkeypatch.setattr(
        S3Objects, "write_if", lambda self, key, data, version: write(self, key, data, None) or True
    )
    told, kept = check(f"{s3_url}/careless")
    assert told != kept
