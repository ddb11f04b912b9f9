"""Bundles hold the rows that a stage wants: in step, cut at shots and missing faces, parted in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.canvas.framing import FACE
from models.methods import Stage
from models.morphable.builtin import builtin
from models.training import HELD_OUT, TRAIN, About, Bundle
from storage.artifacts import find
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from tasks.bundles import expression_rows, write_stage_bundle
from tasks.material import Cut, Material, open_materials, person_arrays
from tasks.remember import RememberOptions, features_of, remember
from tests.helpers.material_home import FRAMES, features_in, material_home

EXPRESSION = Stage("expression", True, ("speech", "mel", "expression", "trust", "identity"))
CANVASES = ("target", "mask", "mesh", "cover", "key", "slot_keys", "slot_patches", "slot_rows")
RENDERER = Stage("renderer", True, CANVASES, side=48)
ABOUT = About("tiny", "expression", "smoke", {})


def materials(home: Home) -> list[Material]:
    features = [one.features for one in features_of(home, Ledger(home.objects), "anna")]
    return open_materials(home, features)


def test_rows_are_in_step_with_what_is_seen(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    one = materials(home)[0]
    segments, arrays = expression_rows([one], Cut())
    assert arrays["speech"].shape == (FRAMES, 2, 31)
    assert arrays["mel"].shape == (FRAMES, 2, 80)
    np.testing.assert_array_equal(arrays["expression"], one.fit("expression"))
    symbols = one.group.read("audio/deepspeech")
    np.testing.assert_allclose(arrays["speech"][:, 0, :29], symbols[::2], atol=1e-4)
    np.testing.assert_allclose(arrays["speech"][:, 1, :29], symbols[1::2], atol=1e-4)
    np.testing.assert_allclose(arrays["speech"][:, 1, 29], one.group.read("audio/loudness")[1::2], atol=1e-4)
    # Row k of mel is centred on k / 80 s; the first half of a row on 10 ms, that is on 0.8.
    mel = one.group.read("audio/mel")
    np.testing.assert_allclose(arrays["mel"][0, 0], 0.2 * mel[0] + 0.8 * mel[1], atol=1e-5)
    assert [(s.start, s.stop, s.split) for s in segments] == [(0, 120, TRAIN), (120, 150, HELD_OUT)]


def test_at_another_rate_rows_are_still_25_a_second(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home", frames=180, rate=30)
    one = materials(home)[0]
    _, arrays = expression_rows([one], Cut())
    assert len(arrays["expression"]) == 150
    jaw = builtin().names.index("jaw_open")
    times, own = (np.arange(150) + 0.5) / 25, (np.arange(180) + 0.5) / 30
    expected = np.interp(times, own, one.fit("expression")[:, jaw])
    np.testing.assert_allclose(arrays["expression"][:, jaw], expected, atol=1e-5)


def test_sound_that_is_late_is_read_later(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    one = materials(home)[0]
    moved = Material(one.clip, one.features, one.group)
    object.__setattr__(moved.group, "attrs", {**one.group.attrs, "sound_offset_frames": 3.0})
    _, arrays = expression_rows([moved], Cut())
    symbols = one.group.read("audio/deepspeech")
    np.testing.assert_allclose(arrays["speech"][:100, 0, :29], symbols[6:206:2], atol=1e-4)


def test_runs_end_at_shots_and_missing_faces(tmp_path: Path) -> None:
    shot = np.zeros(FRAMES)
    shot[60:] = 1
    confidence = np.ones(FRAMES)
    confidence[100:110] = 0
    confidence[112] = 0  # leaves two frames alone, which are no run
    home = material_home(tmp_path / "home", track__shot=shot, track__confidence=confidence)
    segments, arrays = expression_rows(materials(home), Cut(held_out=0.1))
    runs = [(s.start, s.stop, s.split) for s in segments]
    assert runs == [(0, 60, TRAIN), (60, 100, TRAIN), (113, 135, TRAIN), (135, 150, HELD_OUT)]
    assert (arrays["trust"][100:110] == 0).all()
    assert (arrays["trust"][:60] > 0.5).all()


def test_seconds_bound_what_is_trained_on_and_leave_what_is_held_out(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    segments, _ = expression_rows(materials(home) * 2, Cut(held_out=0.2, seconds=6))
    runs = [(s.start, s.stop, s.split) for s in segments]
    assert runs == [(0, 120, TRAIN), (120, 150, HELD_OUT), (150, 180, TRAIN), (270, 300, HELD_OUT)]


def test_too_little_material_is_one_line(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    with pytest.raises(RequestError, match=r"1\.0 s with a face to train on"):
        write_stage_bundle(tmp_path / "b", home, EXPRESSION, ABOUT, materials(home), Cut(seconds=1.0))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("share", [-0.1, 0.95, float("nan")])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(RequestError, match="not a share"):
        Cut(held_out=share)


def test_another_morphable_model_is_refused(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    source = features_of(home, Ledger(home.objects), "anna")[0]
    other = features_in(home, source.clip, FRAMES, 25, {}, model="bfm")
    with pytest.raises(RequestError, match="fitted with bfm"):
        open_materials(home, [other])


def test_a_stage_that_wants_more_than_there_is_is_one_line(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    strange = Stage("expression", True, ("speech", "smell"))
    with pytest.raises(RequestError, match="lacks smell"):
        write_stage_bundle(tmp_path / "b", home, strange, ABOUT, materials(home), Cut())


def canvases(home: Home, path: Path, cut: Cut) -> Bundle:
    sources = features_of(home, Ledger(home.objects), "anna")
    memory = remember(home, "anna", sources, RememberOptions(slots=12, side=48))
    write_stage_bundle(path, home, RENDERER, ABOUT, materials(home), cut, memory=memory)
    return Bundle(path)


def test_canvases_hold_only_rows_that_are_used(tmp_path: Path) -> None:
    confidence = np.ones(FRAMES)
    confidence[50:55] = 0
    home = material_home(tmp_path / "home", track__confidence=confidence)
    bundle = canvases(home, tmp_path / "b", Cut(held_out=0.2, seconds=4))
    runs = [(s.start, s.stop, s.split, s.first) for s in bundle.about.segments]
    assert runs == [(0, 50, TRAIN, 0), (50, 100, TRAIN, 55), (100, 130, HELD_OUT, 120)]
    assert bundle["target"].shape == (130, 48, 48, 3)
    one = materials(home)[0]
    frames = [*range(50), *range(55, 105), *range(120, 150)]
    identity = person_arrays([one])["identity"]
    keys = builtin().mouth_vertices(identity, one.fit("expression")[frames])
    np.testing.assert_allclose(bundle["key"], keys.reshape(130, -1), atol=1e-3)
    middle = bundle["mask"][:, 24, 24]
    assert (middle == 255).all()
    assert (bundle["mask"][:, 0] == 0).all()
    assert bundle["mesh"].any()
    assert bundle["target"].std() > 5


def test_slots_are_rows_of_the_bundle_and_none_of_what_is_left_out(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    bundle = canvases(home, tmp_path / "b", Cut(held_out=0.2, seconds=3))
    rows = bundle["slot_rows"]
    assert 0 < len(rows) < 12
    assert rows.max() < len(bundle["target"]) == 75 + 30
    np.testing.assert_array_equal(bundle["slot_patches"], bundle["target"][rows])
    np.testing.assert_allclose(bundle["slot_keys"], bundle["key"][rows], atol=1e-3)


def test_what_the_mask_hides_is_in_nothing_but_the_target(tmp_path: Path) -> None:
    """Two films of the same motion, whose pictures differ: only targets and slots' pictures do."""
    bundles = []
    for name in ("one", "two"):
        home = material_home(tmp_path / name / "home")
        if name == "two":
            from tests.helpers.footage import film

            clip = features_of(home, Ledger(home.objects), "anna")[0].clip
            other = film(tmp_path / "other.mp4", seconds=FRAMES / 25, size=(160, 120), seed=3)
            home.path(f"{clip.uri}/clip.mp4").write_bytes(other.read_bytes())
        bundles.append(canvases(home, tmp_path / name / "b", Cut()))
    one, two = bundles
    differ = {name for name in one.arrays if not np.array_equal(one[name], two[name])}
    assert differ == {"target", "slot_patches"}


def test_a_stage_with_a_memory_needs_one(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    with pytest.raises(RequestError, match="needs a memory"):
        write_stage_bundle(tmp_path / "b", home, RENDERER, ABOUT, materials(home), Cut())


def test_features_know_their_clip(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    one = materials(home)[0]
    assert find(Ledger(home.objects), one.clip.id, "anna") is not None
    assert one.rate == 25.0


AROUND_ARRAYS = ("target", "mask", "around", "sound", "symbols", "mels", "sharp")
AROUND = Stage("talker", True, AROUND_ARRAYS, side=64, framing=FACE)


def test_a_bundle_holds_what_its_stage_asks_for_and_no_more(tmp_path: Path) -> None:
    home = material_home(tmp_path / "home")
    one = materials(home)[0]
    bundle = Bundle(write_stage_bundle(tmp_path / "b", home, AROUND, ABOUT, [one], Cut()))
    held = {name for name in bundle.arrays if bundle[name].ndim and len(bundle[name]) == FRAMES}
    assert held == set(AROUND.arrays)
    expression = one.fit("expression")
    np.testing.assert_allclose(bundle["around"][:, 2], expression, atol=2e-3)
    # Two frames before and after, and beyond the run's ends its first and last.
    np.testing.assert_allclose(bundle["around"][4, [0, 1, 3, 4]], expression[[2, 3, 5, 6]], atol=2e-3)
    np.testing.assert_allclose(bundle["around"][0, 0], expression[0], atol=2e-3)
    symbols = one.group.read("audio/deepspeech")
    np.testing.assert_allclose(bundle["sound"][:, 1, :29], symbols[1::2], atol=0.02)
    # A frame lasts two rows of symbols, and is told those of five frames' time.
    said = (symbols[0::2] + symbols[1::2]) / 2
    said -= np.log(np.exp(said).sum(1, keepdims=True))
    np.testing.assert_allclose(bundle["symbols"][10], said[8:13], atol=0.02)
    mel = one.group.read("audio/mel")
    # Frame 10 has its middle at 0.42 s, that is at row 33.6; sixteen steps lie around it.
    first = 33.6 - 7.5
    low = int(first)
    wanted = mel[low] * (low + 1 - first) + mel[low + 1] * (first - low)
    np.testing.assert_allclose(bundle["mels"][10, 0], wanted, atol=5e-3)
