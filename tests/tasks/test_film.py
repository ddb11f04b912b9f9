# ruff: noqa: RUF001 - letters of the phonetic alphabet look like others on purpose
import hashlib
import json
from dataclasses import replace
from fractions import Fraction

import av
import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from models.puppet import ACTION_UNITS, MOUTH
from models.puppet.motion import LIMITS
from models.puppet.phonetics import SILENCE
from storage.errors import RequestError
from tasks.film import TRUTH_SCHEMA, Script, film, rehearse, spelt, truth_beside
from tasks.speech import Voice

SCRIPT = Script(
    3, "My puppy bought five blue shoes.", size=128, supersample=1, voice=Voice("en-us", "m3", 170)
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    steps = []
    target = tmp_path_factory.mktemp("film") / "a.mp4"
    return film(SCRIPT, target, progress=lambda done, total: steps.append((done, total))), steps


@pytest.fixture(scope="module")
def table(made):
    return pq.read_table(made[0].truth)


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_film_is_a_video_with_sound_and_its_truth(made, table):
    done, steps = made
    assert steps[-1] == (done.frames, done.frames)
    assert len(steps) == table.num_rows == done.frames == round(done.duration_s * 25)
    with av.open(str(done.video)) as file:
        pictures = [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
        assert file.streams.video[0].average_rate == 25
    assert len(pictures) == done.frames
    assert pictures[0].shape == (128, 128, 3)
    assert np.std([p.mean() for p in pictures]) < 20
    with av.open(str(done.video)) as file:
        sound = np.concatenate([f.to_ndarray().mean(axis=0) for f in file.decode(audio=0)])
    assert len(sound) / 22050 == pytest.approx(done.duration_s, abs=0.1)
    assert np.abs(sound).max() > 0.1
    assert {p.name for p in done.video.parent.iterdir()} == {"a.mp4", "a.truth.parquet"}
    assert done.truth == truth_beside(done.video)


def test_truth_has_the_declared_columns_and_says_what_they_mean(made, table):
    assert table.schema.remove_metadata().equals(TRUTH_SCHEMA)
    assert table["frame"].to_pylist() == list(range(made[0].frames))
    np.testing.assert_allclose(table["time_s"].to_numpy(), np.arange(made[0].frames) / 25)
    facts = {k.decode(): v.decode() for k, v in pq.read_schema(made[0].truth).metadata.items()}
    assert facts["memdub.seed"] == "3"
    assert facts["memdub.text"] == SCRIPT.text
    assert json.loads(facts["memdub.settings"])["voice"]["variant"] == "m3"
    assert "478 points" in json.loads(facts["memdub.conventions"])["landmarks_px"]


def test_pandas_numpy_and_duckdb_read_it(made):
    frame = pq.read_table(made[0].truth).to_pandas()
    points = np.stack(frame["landmarks_px"]).reshape(-1, 478, 3)
    assert points.shape == (made[0].frames, 478, 3)
    assert np.stack(frame["mouth_vertices_mm"]).shape == (made[0].frames, 3 * len(MOUTH))
    # The face is in the picture, its nose between its eyes.
    assert ((points[:, 1, :2] > 20) & (points[:, 1, :2] < 108)).all()
    query = f"select count(*), max(AU26_r), len(any_value(landmarks_px)) from '{made[0].truth}'"
    count, jaw, length = duckdb.connect().execute(query).fetchone()
    assert (count, length) == (made[0].frames, 478 * 3)
    assert jaw > 1


def test_the_truth_is_of_a_talking_mouth(table):
    gap, phonemes = table["lip_gap"].to_numpy(), np.array(table["phoneme"].to_pylist())
    assert phonemes[0] == phonemes[-1] == SILENCE
    assert gap[0] < 0.02
    assert gap[-1] < 0.03
    assert gap.max() > 0.15
    for labial in "mpb":
        assert gap[phonemes == labial].min() < 0.02, labial
    width = table["lip_width"].to_numpy()
    assert width[phonemes == "uː"].mean() < 0.85 * width[phonemes == SILENCE].mean()
    units = np.stack([table[name].to_numpy() for name in ACTION_UNITS], axis=1)
    assert units.min() >= 0
    assert units.max() <= 5
    assert np.corrcoef(table["AU25_r"].to_numpy(), gap)[0, 1] > 0.7


def test_the_head_turns_within_bounds(table):
    turn = np.stack([table[f"rotation_{axis}_rad"].to_numpy() for axis in "xyz"], axis=1)
    assert (np.abs(turn) <= LIMITS[:3] + 1e-6).all()
    assert turn.std(axis=0).min() > 0.002
    assert 600 < table["translation_z_mm"].to_numpy().mean() < 1200


def test_lip_opening_in_the_picture_follows_the_truth(made, table):
    with av.open(str(made[0].video)) as file:
        pictures = [f.to_ndarray(format="gray") for f in file.decode(video=0)]
    points = np.stack(table.to_pandas()["landmarks_px"]).reshape(-1, 478, 3)
    patches = []
    for picture, p in zip(pictures, points, strict=True):
        # Upper lip to chin moves with the head: the patch is anchored at the upper lip.
        x, y = np.round(p[0, :2]).astype(int)
        patches.append(picture[y - 2 : y + 14, x - 8 : x + 9].astype(float))
    from_closed = [np.abs(patch - patches[0]).mean() for patch in patches]
    assert np.corrcoef(from_closed, table["lip_gap"].to_numpy())[0, 1] > 0.6


def test_the_same_script_gives_the_same_bytes_whatever_the_number_of_processes(made, tmp_path):
    again = film(SCRIPT, tmp_path / "b.mp4", workers=2)
    assert digest(again.video) == digest(made[0].video)
    assert digest(again.truth) == digest(made[0].truth)


def test_another_text_or_seed_is_another_film():
    (_, performance, _), (_, other, _) = rehearse(SCRIPT), rehearse(replace(SCRIPT, seed=4))
    assert not np.allclose(performance.poses, other.poses)
    speech, _, voice = rehearse(Script(5, "Bonjour, ma mère.", "fr", rate=Fraction(30000, 1001)))
    assert voice.language == speech.language == "fr"
    assert speech.phonemes[0].start_s == pytest.approx(0.3, abs=1e-3)


def test_a_film_that_fails_leaves_nothing(tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film(SCRIPT, tmp_path / "c.mp4", progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"size": 30},
        {"size": 129},
        {"rate": 0},
        {"seed": -1},
        {"text": "..."},
        {"text": "hello there", "longest_s": 0.5},
        {"voice": Voice("xx")},
        {"lead_s": -1},
    ],
)
def test_wrong_scripts_are_refused_before_anything_is_written(change, tmp_path):
    with pytest.raises(RequestError) as caught:
        film(replace(SCRIPT, **change), tmp_path / "d.mp4")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_target_must_be_an_mp4(tmp_path):
    with pytest.raises(RequestError, match="mp4"):
        film(SCRIPT, tmp_path / "d.avi")


def test_a_vivid_manner_is_told_and_an_ordinary_one_is_not():
    vivid = replace(SCRIPT, vivid=True)
    assert "vivid" not in spelt(SCRIPT)
    assert spelt(vivid)["vivid"] is True
    (speech, usual, _), (same, moved, _) = rehearse(SCRIPT), rehearse(vivid)
    np.testing.assert_array_equal(speech.samples, same.samples)
    assert np.abs(usual.poses - moved.poses).max() > 0.01
