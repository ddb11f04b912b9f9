"""`memdub evaluate`: scores of real dubs where nothing was trained, found again, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from flows import evaluate as flow
from flows import trying
from flows.extract import extract
from flows.ingest import ingest
from flows.retry import retry
from models import methods
from models.methods import Stage
from storage.errors import MediaError, WorkError
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.media import probe
from storage.runs import record_failure, run
from tasks.dubbing.stage import DubOptions
from tasks.evaluating import TOLD
from tasks.film import Script
from tasks.film import film as film_puppet
from tasks.judged import SHEET
from tests.flows.conftest import Shell, everything_in
from tests.helpers import painted
from tests.helpers.footage import film, keep_consent
from tests.helpers.material_home import FRAMES, SCOPE, features_in, material_home
from tests.helpers.painted import wav

SMOKE = ("--preset", "smoke")


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a puppet of four seconds, extracted."""
    folder = tmp_path_factory.mktemp("evaluate")
    home = folder / "home"
    text = "Peter bought five blue balls, and puppets speak of them."
    video = film_puppet(Script(seed=3, size=128, text=text, supersample=1), folder / "talk.mp4").video
    keep_consent(home, scope=SCOPE)
    ingest([video], "anna", home=str(home)).raise_if_refused()
    extract(["anna"], home=str(home), workers=0).raise_if_refused()
    return home


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home without a real face, and a method that needs none."""
    monkeypatch.setitem(methods.METHODS, painted.NAME, f"{painted.__name__}:Painted")
    return material_home(tmp_path / "home")


def table(home: Path, name: str) -> list[dict[str, Any]]:
    return Ledger(Home(home).objects).rows(name).to_pylist()


def test_methods_are_scored_where_nothing_was_trained(
    puppet: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDUB_HOME", str(puppet))
    assert memdub("evaluate", "anna", *SMOKE, "--json") == 0, memdub.err
    [made] = json.loads(memdub.out)["evaluations"]
    frames = table(puppet, "clips")[0]["frames"]
    [take] = made["takes"]
    assert take["frames"] == [round(0.8 * frames), frames]
    assert (made["split"], made["reused"]) == ("held_out", False)
    assert list(made["methods"]) == ["nearest", "memface"]
    for name, found in made["methods"].items():
        figures = {figure: one["mean"] for figure, one in found["figures"].items()}
        assert -1 <= figures["opening"] <= 1
        assert 0 < figures["lmd_centred"] < figures["lmd"] < 30
        assert 8 < figures["psnr"] < 60, name
        assert 0 < figures["ssim"] < 1
        assert 0.1 < figures["sharpness"] < 5
        assert figures["seen"] > 0.9
        assert figures["seconds"] > 0
        assert 50 < figures["memory"] < 20_000
        assert 0 < figures["pose_speed"] < 200
        assert found["figures"]["psnr"]["count"] == frames - round(0.8 * frames)
        assert take["methods"][name]["dub"] != take["methods"][name]["dub_wrong_sound"]
    # Of so short a film the expert says nothing; but the true one is asked, too.
    assert made["truth"]["figures"].keys() >= {"sync_c", "offset", "pose_speed", "leakage"}
    assert {(one["a"], one["b"]) for one in made["pairs"]} == {("nearest", "memface")}
    assert {one["figure"] for one in made["pairs"]} >= {"psnr", "lmd", "opening"}
    curves = take["curves"]
    assert len(curves["truth"]) == len(curves["memface"]) == frames - round(0.8 * frames)
    assert {one["method"] for one in take["worst"]} == {"nearest", "memface"}
    assert {one["method"] for one in made["published"]} == {"memface"}
    assert not any("its memory holds mouths of these seconds" in line for line in made["notes"])
    _check_ledger(puppet, made)
    _check_films(puppet, made, frames - round(0.8 * frames), memdub)
    sheet = cv2.imdecode(np.fromfile(made["sheet"], np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (3 * 120, 12 * 120, 3)
    assert not (puppet / "out").exists(), "films of an evaluation stay in the stores"
    assert not list((puppet / ".work").iterdir()), "somebody's speech stays behind"

    page = puppet.parent / "page"
    again = ("--clip", take["clip"][:12], "--html", page)
    assert memdub("evaluate", "anna", *SMOKE, *again) == 0, memdub.err
    assert memdub.out.startswith(f"{made['id']}  {take['clip']}, its last ")
    assert "already there" in memdub.out
    assert [line.split()[0] for line in memdub.out.splitlines()[1:4]] == ["method", "nearest", "memface"]
    assert made["sheet"] in memdub.out
    assert str(page / "index.html") in memdub.err
    kept = {path.name for path in page.iterdir()} - {"index.html", "evaluation.json"}
    assert kept == {path.name for path in (puppet / made["uri"]).iterdir()} - {TOLD, SHEET, "manifest.json"}
    last = table(puppet, "runs")[-1]
    assert (last["flow"], len(last["made"]), len(last["reused"])) == ("evaluate", 0, 5)


def test_what_is_judged_is_shown_to_no_method(person: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[DubOptions] = []

    def noted(home: Home, identity: str, sound: Path, options: DubOptions, **_: Any) -> None:
        asked.append(options)
        raise WorkError("enough is known")

    monkeypatch.setattr(trying, "dub_within", noted)
    with pytest.raises(WorkError, match="enough"):
        flow.evaluate("anna", methods=[painted.NAME], home=person.url)
    assert asked[0].without == (round(0.8 * FRAMES), FRAMES)


def _check_ledger(puppet: Path, made: dict[str, Any]) -> None:
    rows = [row for row in table(puppet, "metrics") if row["artifact"] == made["id"]]
    told = {(row["method"], row["metric"]): row for row in rows if row["split"] == "held_out"}
    assert len(told) == len(rows)
    for method, one in {**made["methods"], "truth": made["truth"]}.items():
        for figure, wanted in one["figures"].items():
            row = told.pop((method, figure))
            assert {name: row[name] for name in ("value", "low", "high", "count")} == {
                "value": wanted["mean"],
                **{name: wanted[name] for name in ("low", "high", "count")},
            }
    assert not told
    [take] = made["takes"]
    tree = lineage_of(Ledger(Home(puppet).objects), made["id"])
    dubs = {role: one["dub"] for role, one in take["methods"].items()}
    wrong = {f"{role}, wrong sound": one["dub_wrong_sound"] for role, one in take["methods"].items()}
    assert {child.role: child.id for child in tree.children} == {"truth": take["clip"], **dubs, **wrong}
    [speech] = [one for child in tree.children[1:2] for one in child.children if one.role == "speech"]
    assert [(one.role, one.id) for one in speech.children] == [("its sound", take["clip"])]
    shown = {one["picture"] for one in take["worst"]} | {one["film"] for one in take["methods"].values()}
    there = {path.name for path in (puppet / made["uri"]).iterdir()}
    assert there == {TOLD, SHEET, "manifest.json", take["truth"]["film"], *shown}


def _check_films(puppet: Path, made: dict[str, Any], frames: int, memdub: Shell) -> None:
    """They are as long as what was scored, and those of dubs say what they are."""
    [take] = made["takes"]
    for one in (take["truth"], *take["methods"].values()):
        video = probe(puppet / made["uri"] / one["film"]).video
        assert video is not None
        assert video.slots == frames
    for one in take["methods"].values():
        assert memdub("verify", puppet / made["uri"] / one["film"], "--json") == 0, memdub.err
        [told] = json.loads(memdub.out)["files"]
        assert (told["manifest"]["made_by_model"], told["artifact"]["id"]) == (True, one["dub"])
    assert memdub("verify", puppet / made["uri"] / take["truth"]["film"]) == 1
    assert "carries no manifest" in memdub.err


def test_other_speech_has_no_truth(puppet: Path, memdub: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDUB_HOME", str(puppet))
    speech = [wav(puppet.parent / "one.wav", 1.6), wav(puppet.parent / "two.wav", 2.4)]
    asked = ("evaluate", "anna", "--methods", "nearest", "--speech", speech[0], "--speech", speech[1])
    assert memdub(*asked, "--json") == 0, memdub.err
    [made] = json.loads(memdub.out)["evaluations"]
    assert [(one["sound"], one["frames"]) for one in made["takes"]] == [
        ("one.wav", [0, 40]),
        ("two.wav", [0, 60]),
    ]
    assert (made["split"], made["truth"], made["published"]) == ("driven", None, [])
    figures = made["methods"]["nearest"]["figures"]
    assert {"shake", "leakage", "leakage_share", "sync_c", "offset", "seen"} <= figures.keys()
    assert not {"psnr", "ssim", "lmd", "opening", "jitter"} & figures.keys()
    assert figures["shake"]["count"] <= 100
    assert "truth" not in made["takes"][0]["curves"]
    assert {row["split"] for row in table(puppet, "metrics") if row["artifact"] == made["id"]} == {"driven"}
    assert memdub(*asked) == 0
    assert memdub.out.splitlines()[0].endswith(
        " says one.wav, all of it: nobody knows how it would have looked: already there"
    )
    assert memdub("evaluate", "anna", "--speech", puppet / "nothing.wav") == 2
    assert memdub.err.count("\n") == 1
    assert "nothing.wav" in memdub.err


def test_without_a_face_nothing_is_known_and_that_is_said(person: Home, memdub: Shell) -> None:
    """Beside it lies a longer clip, which extraction refused: the longest that has features is taken."""
    longer = film(person.path(".").parent / "longer.mp4", seconds=9, size=(160, 120), seed=2)
    faceless = ingest([longer], "anna", home=person.url).clips[0].id
    ledger = Ledger(person.objects)
    with run(ledger, "extract", identity="anna") as this:
        error = MediaError("no face in any frame", where="longer.mp4")
        record_failure(ledger, this, stage="extract", subject=faceless, error=error, identity="anna")
    assert memdub("evaluate", "anna", "--methods", painted.NAME, "--json") == 0, memdub.err
    [made] = json.loads(memdub.out)["evaluations"]
    assert made["takes"][0]["frames"] == [round(0.8 * FRAMES), FRAMES]
    figures = made["methods"][painted.NAME]["figures"]
    assert figures["seen"]["mean"] == 0
    assert {figures[name]["mean"] for name in ("opening", "lmd", "psnr", "ssim", "jitter")} == {None}
    assert made["takes"][0]["worst"] == []
    rows = [row for row in table(person.path("."), "metrics") if row["artifact"] == made["id"]]
    # What is told of one film alone may be there: noise is taken for a face now and then.
    alone = {"leakage", "leakage_share", "blink_rate", "blink_length", "pose_spread", "pose_speed", "memory"}
    assert {row["metric"] for row in rows if row["value"] is not None} - alone == {"seen", "seconds"}
    assert memdub("evaluate", "anna", "--methods", painted.NAME) == 0
    assert memdub.out.splitlines()[2].split() == [painted.NAME, *"-------", "0.000"]


def test_requests_that_are_wrong_are_one_line_and_leave_nothing(person: Home, memdub: Shell) -> None:
    other = film(person.path(".").parent / "other.mp4", seed=4)
    keep_consent(person.path("."), "bert")
    berts = ingest([other], "bert", home=person.url).clips[0].id
    before = everything_in(person.path("."))

    def refused(*words: object, line: str) -> None:
        assert memdub("evaluate", *words) == 2, memdub.err
        assert memdub.err.count("\n") == 1, memdub.err
        assert line in memdub.err
        assert "; " in memdub.err, "the line does not say what to do"
        assert everything_in(person.path(".")) == before

    refused("anna", "--methods", "nearest,magic", line="--methods magic: no such method")
    refused("anna", "--methods", ",", line="no method")
    refused("anna", "--preset", "enormous", line="no preset")
    refused("anna", "--clip", berts, line="no clip of anna")
    refused("carl", line="carl has no consent record")
    refused("bert", line="not dub")
    keep_consent(person.path("."), "anna", '["ingest", "dub"]')
    refused("anna", "--methods", f"{painted.NAME},nearest", line="not train")


def test_a_clip_without_sound_has_nothing_to_say(tmp_path: Path, memdub: Shell) -> None:
    keep_consent(tmp_path / "home", scope=SCOPE)
    video = film(tmp_path / "silent.mp4", sound=False)
    ingest([video], "anna", home=str(tmp_path / "home"), silent_ok=True).raise_if_refused()
    assert memdub("evaluate", "anna") == 2
    assert "silent" in memdub.err or "no sound" in memdub.err


def test_what_failed_is_tried_again_as_it_was_asked_for(
    person: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"identity": "anna", "methods": ["nearest"], "preset": "smoke", "clips": ["3a"], "speech": []}
    calls: list[dict[str, Any]] = []

    def again(identity: str, **options: Any) -> Any:
        calls.append({"identity": identity, **{name: options[name] for name in asked if name in options}})
        raise WorkError("once more")

    ledger = Ledger(person.objects)
    with run(ledger, "evaluate", identity="anna", arguments=asked) as this:
        record_failure(ledger, this, stage="evaluate", subject="anna", error=WorkError("x"), identity="anna")
        this.status = "failed"
    monkeypatch.setattr(flow, "evaluate", again)
    assert [trial.became for trial in retry(home=person.url).trials] == ["failed"]
    assert calls == [asked]


def test_several_clips_are_pooled(person: Home, memdub: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("frame", True, (), general="dinet", optional=True)
    monkeypatch.setattr(painted.Painted, "stages", lambda *_: (stage,))
    other = film(person.path(".").parent / "other.mp4", seconds=FRAMES / 25, size=(160, 120), seed=3)
    features_in(person, ingest([other], "anna", home=person.url).clips[0], FRAMES, 25, {})
    assert memdub("evaluate", "anna", "--methods", painted.NAME, "--clip", "all", "--json") == 0, memdub.err
    [made] = json.loads(memdub.out)["evaluations"]
    assert len({one["clip"] for one in made["takes"]}) == len(made["takes"]) == 2
    assert made["seconds"] == pytest.approx(2 * 0.2 * FRAMES / 25)
    assert {one["truth"]["film"] for one in made["takes"]} == {"1-truth.mp4", "2-truth.mp4"}
    stranger, *others = made["notes"]
    assert stranger.startswith(f"{painted.NAME} was not trained on anna"), "it draws by general weights"
    assert others
    assert all(line.startswith("clip-") for line in others)
    recipe = json.loads(
        next(r["recipe"] for r in table(person.path("."), "artifacts") if r["id"] == made["id"])
    )
    second = made["takes"][1]
    assert recipe["inputs"]["truth 2"] == second["clip"]
    assert recipe["inputs"][f"{painted.NAME} 2"] == second["methods"][painted.NAME]["dub"]
    one, two = (take["clip"] for take in made["takes"])
    speech = wav(person.path(".").parent / "a.wav", 1.6)
    assert memdub("evaluate", "anna", "--clip", one, "--clip", two, "--speech", speech) == 2
    assert "speech goes over one clip" in memdub.err


def test_what_would_only_fail_after_the_work_is_refused_before_it(
    person: Home, memdub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything_in(person.path("."))
    speech, same = wav(tmp_path / "a.wav", 1.6), tmp_path / "same" / "a.wav"
    same.parent.mkdir()
    copy = tmp_path / "b.wav"
    for path in (same, copy):
        path.write_bytes(speech.read_bytes())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    asked = ("evaluate", "anna", "--methods", painted.NAME)
    for words, line in (
        (("--speech", speech, "--speech", same), "named twice"),
        (("--speech", speech, "--speech", copy), "two files are the same"),
        (("--html", tmp_path / "mine"), "holds something else"),
        (("--html", speech), "cannot be written"),
    ):
        assert memdub(*asked, *words) == 2, memdub.err
        assert memdub.err.count("\n") == 1, memdub.err
        assert line in memdub.err
    monkeypatch.setenv("MEMDUB_SYNCNET_WEIGHTS", str(tmp_path / "nothing.pth"))
    assert memdub(*asked) == 2, memdub.err
    assert "nothing.pth" in memdub.err
    assert everything_in(person.path(".")) == before
    assert (tmp_path / "mine" / "index.html").read_text() == "mine"
