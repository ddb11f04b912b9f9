"""Films are measured as they lie there: by the expert, by the public network, at other rates, of nobody."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.canvas import sample
from models.sync import SyncNet, load_expert
from models.sync.config import SyncConfig
from models.sync.public import PublicScore
from storage.errors import WeightsError
from storage.ledger import Ledger
from storage.media import VideoReader
from tasks import in_sync
from tasks._film_faces import faces_of, places_of, public_boxes, public_face
from tasks._film_in_time import Film, pictures_of, sound_of_film
from tasks._in_time import sound
from tasks.audio import AudioFeatures
from tasks.ears import Ear
from tasks.film import Script, film
from tasks.material import open_materials
from tasks.remember import features_of
from tests.helpers.footage import film as moving_gradient
from tests.helpers.material_home import material_home


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a small one."""
    folder = tmp_path_factory.mktemp("film")
    script = Script(seed=4, size=160, text="Peter bought five blue balls.", supersample=1)
    return film(script, folder / "a.mp4").video


@pytest.fixture(scope="module")
def expert() -> SyncNet:
    torch.manual_seed(0)
    net = SyncNet(SyncConfig.preset("smoke"))
    return load_expert({f"expert/{name}": value for name, value in net.state_dict().items()})


class Listener:
    """Stands for the public network: tells what it was given."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.samples = 0

    def __call__(self, faces: object, sound: np.ndarray) -> PublicScore:
        self.shape = np.stack(list(faces)).shape  # type: ignore[call-overload]
        self.samples = len(sound)
        return PublicScore(7.0, 6.5, 0.0)


def test_a_film_is_measured(puppet: Path, expert: SyncNet) -> None:
    public = Listener()
    told = in_sync.measured(puppet, expert, public=public)  # type: ignore[arg-type]
    assert set(told) == {"sync_c", "sync_d", "offset", "lse_c", "lse_d"}
    assert 0 < told["sync_d"] < 2  # type: ignore[operator]
    assert told["lse_c"] == 7.0
    frames = len(VideoReader(puppet))
    assert public.shape == (frames, 224, 224, 3)
    assert public.samples == frames * 640
    assert in_sync.measured(puppet, expert, 5, 20) == {"sync_c": None, "sync_d": None, "offset": None}


def test_canvases_lie_on_the_mouth(puppet: Path) -> None:
    """Where bundles would have them: lips in the middle, as wide as eyes are apart and a third."""
    faces = faces_of(puppet, 10, 30)
    assert faces.seen.all()
    assert (faces.shot == 0).all()
    at = places_of(faces, 64)
    middle = (at @ torch.tensor([32.0, 32.0, 1.0])).numpy()
    wide = np.linalg.norm(faces.landmarks[:, 33, :2] - faces.landmarks[:, 263, :2], axis=-1)
    lips = faces.landmarks[:, [13, 14], :2].mean(1)
    assert np.abs((middle - lips)[:, 0]).max() < 0.1 * wide.mean()
    assert 0.0 < ((middle - lips)[:, 1] / wide).mean() < 0.2
    assert float(at[:, :, 0].norm(dim=1).mean()) * 64 / wide.mean() == pytest.approx(1.32, abs=0.08)
    assert sample(torch.zeros(20, 160, 160, 3, dtype=torch.uint8), at, 64).shape == (20, 64, 64, 3)


def test_public_crops_are_padded_with_grey_and_wider_than_the_face() -> None:
    picture = np.full((100, 100, 3), 200, np.uint8)
    inside = public_face(picture, np.array([50.0, 40.0, 20.0]))
    assert (inside == 200).all()
    outside = public_face(picture, np.array([5.0, 40.0, 20.0]))
    assert set(np.unique(outside[:, :80])) <= {110, 200} | set(range(110, 201))
    assert (outside[:, 0] == 110).all()
    points = np.zeros((20, 478, 3), np.float32)
    points[:, 0, 0], points[:, 1, 1] = 40, 60
    points[7] += 500  # one frame gone astray
    boxes = public_boxes(points)
    assert boxes[7:13] == pytest.approx(np.tile([20.0, 30.0, 30.0], (6, 1)))


def test_other_rates_are_looked_at_25_times_a_second(tmp_path: Path) -> None:
    path = moving_gradient(tmp_path / "a.mp4", seconds=1.0, rate=50)
    here = Film(path, 10, 50.0, torch.zeros(40, 2, 3), np.zeros(40, np.int64), np.zeros((40, 478, 3), "f4"))
    assert here.at.tolist() == list(range(1, 40, 2))
    shown = np.stack(list(pictures_of(here, 2, 6)))
    wanted = np.stack(list(VideoReader(path).read(15, 22)))[::2]
    np.testing.assert_array_equal(shown, wanted)
    # The second of two frames is shown for both: a hundredth of a second later, and so is the sound.
    assert here.begin_s == pytest.approx(10 / 50 + 0.01)
    loud = np.arange(100, dtype=np.float32)  # rows of 50 a second, centred on (row + .5) / 50
    heard = AudioFeatures(np.zeros((100, 29), "f4"), np.zeros((160, 80), "f4"), loud, loud, 2.0)
    rows = sound_of_film(here, heard)[..., 29].mean(1).numpy()
    np.testing.assert_allclose(rows, 10 + here.at, rtol=1e-5)
    slow = here._replace(rate=12.5)
    assert slow.begin_s == pytest.approx(10 / 12.5)
    assert slow.at[:6].tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(
        next(iter(pictures_of(slow, 1, 2))), next(iter(VideoReader(path).read(10, 11)))
    )


def test_of_nobody_nothing_is_told(tmp_path: Path, expert: SyncNet) -> None:
    told = in_sync.measured(moving_gradient(tmp_path / "a.mp4", seconds=2), expert)
    assert told == {"sync_c": None, "sync_d": None, "offset": None}


def test_the_command_prints_a_line_a_film(
    puppet: Path, expert: SyncNet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(in_sync, "bundled_expert", lambda: expert)
    monkeypatch.delenv(in_sync.PUBLIC, raising=False)
    assert in_sync.main([str(puppet), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert set(json.loads(line)) == {"film", "sync_c", "sync_d", "offset"}
    assert in_sync.main([str(puppet.with_name("missing.mp4"))]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_public_weights_are_said_to_be_wrong(tmp_path: Path) -> None:
    assert in_sync.public_scorer({}) is None
    (tmp_path / "w").write_text("?")
    with pytest.raises(WeightsError, match="unset MEMDUB_SYNCNET_WEIGHTS"):
        in_sync.public_scorer({in_sync.PUBLIC: str(tmp_path / "w")})


def test_a_clip_with_features_is_measured_with_its_own_sound(
    tmp_path: Path, expert: SyncNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = material_home(tmp_path / "home", frames=60, track__landmarks=np.zeros((60, 478, 3)))
    sources = features_of(home, Ledger(home.objects), "anna")
    (one,) = open_materials(home, [source.features for source in sources])
    told = in_sync.measured_clip(home, one, expert)
    assert 0 < told["sync_d"] < 2  # type: ignore[operator]
    monkeypatch.setattr(in_sync, "ear_of", lambda *_: Ear("deepspeech"))
    heard: list[str] = []
    usual = in_sync.extract_audio
    monkeypatch.setattr(in_sync, "extract_audio", lambda *how: (heard.append(how[1].name), usual(*how))[1])
    assert in_sync.measured_clip(home, one, expert) != told
    assert heard == ["embedded"], "another ear's symbols mean nothing to the expert"
    own = in_sync._clip_of(Path("unread"), one)
    np.testing.assert_allclose(sound_of_film(own, in_sync._heard_of(one)), sound(one), atol=0.05, rtol=0.01)
