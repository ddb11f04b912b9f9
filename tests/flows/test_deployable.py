"""The flows inside Prefect: the same body, the same artifacts, with Prefect's ids in the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.engine import in_prefect
from storage.errors import ConsentError, MediaError, PartlyFailed, WorkError
from storage.home import Home
from storage.ledger import Ledger
from tasks.film import Script
from tasks.film import film as film_puppet
from tests.helpers.footage import film, keep_consent
from tests.helpers.material_home import material_home


@pytest.fixture(scope="module")
def _server() -> object:
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.usefixtures("_server")
def test_ingest_runs_as_a_prefect_flow(tmp_path: Path) -> None:
    from flows import deployable

    keep_consent(tmp_path / "home")
    video = film(tmp_path / "a.mp4")
    ids = deployable.ingest("anna", [video])
    assert not in_prefect()
    ledger = Ledger(Home(tmp_path / "home").objects)
    row = ledger.find(ids[0], "anna")
    assert row is not None
    run = ledger.rows("runs").to_pylist()[0]
    assert row["flow_run_id"] == run["flow_run_id"]
    assert row["flow_run_id"]
    assert row["task_run_id"]
    assert deployable.ingest("anna", [video]) == ids
    with pytest.raises(ConsentError):
        deployable.ingest("bob", [video])


@pytest.mark.usefixtures("_server")
def test_extraction_runs_as_a_prefect_flow(tmp_path: Path) -> None:
    from flows import deployable

    home = tmp_path / "home"
    keep_consent(home)
    script = Script(seed=3, size=128, text="Puppets speak.", supersample=1)
    deployable.ingest("anna", [film_puppet(script, tmp_path / "talker.mp4").video])
    (features,) = deployable.extract(["anna"], workers=1)
    ledger = Ledger(Home(home).objects)
    made = {row["kind"]: row for row in ledger.rows("artifacts").to_pylist()}
    assert made["features"]["id"] == features
    runs = {row["flow_run_id"] for row in ledger.rows("runs").to_pylist()}
    for kind in ("faces", "track", "audio", "fit", "features"):
        assert made[kind]["flow_run_id"] in runs
        assert made[kind]["task_run_id"], kind
    assert deployable.extract(["anna"], workers=1) == [features]


@pytest.mark.usefixtures("_server")
def test_a_task_is_tried_again_for_what_can_pass_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow

    from flows import engine

    monkeypatch.setattr(engine, "BACKOFF", (0.0, 0.0))
    calls: list[str] = []

    def lost() -> str:
        calls.append("lost")
        if calls.count("lost") < 3:
            raise WorkError("a worker died")
        return "done"

    def wrong() -> None:
        calls.append("wrong")
        raise MediaError("not a video")

    @flow
    def both() -> str:
        with pytest.raises(MediaError):
            engine.call(wrong, name="wrong")
        return engine.call(lost, name="lost {in} a name")

    assert both() == "done"
    assert calls == ["wrong", "lost", "lost", "lost"]


@pytest.mark.usefixtures("_server")
def test_what_a_run_shows_is_in_the_server(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows import deployable

    keep_consent(tmp_path / "home")
    video = film(tmp_path / "a b.mp4")
    (tmp_path / "none.mp4").write_text("not a video")
    with pytest.raises(PartlyFailed):
        deployable.ingest("anna", [video, tmp_path / "none.mp4"])
    with get_client(sync_client=True) as client:
        shown = [one.data for one in client.read_artifacts() if one.key == "clips-anna"]
    # Other tests' runs have the same key, and come in any order.
    [own] = [str(data) for data in shown if "none.mp4" in str(data)]
    rows = {row["source"]: row for row in json.loads(own)}
    assert rows["a b.mp4"]["state"] == "new"
    assert rows[str(tmp_path / "none.mp4")]["state"] == "refused"
    assert rows[str(tmp_path / "none.mp4")]["reason"]


@pytest.mark.usefixtures("_server")
def test_trainings_queue_for_cards_where_the_ui_shows_it() -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client

    from flows.engine import card_limit, card_slots

    def taken() -> int:
        return client.read_global_concurrency_limit_by_name(card_limit()).active_slots

    @flow
    def training(count: int) -> int:
        with card_slots(count):
            return taken()

    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(card_limit(), 2)
        assert training(1) == 1
        assert training(2) == 2
        assert training(0) == 0, "no card is needed on a processor"
        assert taken() == 0
        client.delete_global_concurrency_limit_by_name(card_limit())
        with card_slots(1):  # no run of Prefect surrounds it: the lock alone counts
            pass

    @flow
    def unlimited() -> str:
        with card_slots(1):
            return "it runs, for no limit was made"

    assert unlimited()


@pytest.mark.usefixtures("_server")
def test_a_refresh_shows_its_tables(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows import deployable

    keep_consent(tmp_path / "home")
    film(tmp_path / "home/raw/anna/new.mp4")
    rows = deployable.refresh(["anna"], dry_run=True)
    assert [row["identity"] for row in rows] == ["anna"]
    with get_client(sync_client=True) as client:
        shown = {one.key: json.loads(str(one.data)) for one in client.read_artifacts() if one.type == "table"}
    assert [row["path"] for row in shown["refresh-files"]] == ["new.mp4"]
    assert [row["identity"] for row in shown["refresh"]] == ["anna"]


@pytest.mark.usefixtures("_server")
def test_an_evaluation_shows_its_scores_and_mouths(tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows import deployable

    ledger = Ledger(material_home(tmp_path / "home").objects)
    made = deployable.evaluate("anna", ["nearest"], preset="smoke")
    row = ledger.find(made, "anna")
    assert row is not None
    assert row["task_run_id"], "it is no task of the run"
    with get_client(sync_client=True) as client:
        shown = {one.key: str(one.data) for one in client.read_artifacts()}
    assert [row["method"] for row in json.loads(shown["scores-anna"])] == ["nearest"]
    page = shown["mouths-anna"]
    assert page.startswith("# Mouths of anna, from above: the truth, nearest")
    assert "data:image/jpeg;base64," in page
    assert "held back to judge by" in page
    assert len(page) < 100_000, "the server's database is no place for large pictures"


@pytest.mark.usefixtures("_server")
def test_a_pool_trains_by_our_deployment_and_not_by_another_of_that_name(tmp_path: Path) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.deployments import run_deployment

    from flows import deployable, pools
    from tasks.training import TrainOptions

    @flow(name="train")
    def theirs(wagon: int = 1) -> None:
        """Of somebody else's railway."""

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="cards", type="process"))
        theirs.to_deployment("a", work_pool_name="cards").apply()
        assert pools._deployment_of(client, "cards").name == "in-cards"
        ours = deployable.train.to_deployment(
            "gpu", work_pool_name="cards", tags=["memdub"], parameters={"device": "cuda"}
        )
        made = ours.apply()
        assert pools._deployment_of(client, "cards").id == made, "the one that somebody set up"
        deployment = client.read_deployment(made)
        asked = pools._parameters(Home(tmp_path), "anna", TrainOptions(), {})
        sent = run_deployment(made, parameters=asked, timeout=0)
        assert sent.parameters["device"] == "cuda", "what nobody asked for overrules nothing"
        found = pools._under_way(client, deployment, asked)
        assert found is not None
        assert found.id == sent.id
        assert pools._under_way(client, deployment, {**asked, "seed": 1}) is None
