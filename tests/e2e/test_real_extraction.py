"""Extraction of real people: skipped where there is no footage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flows.extract import Extracted, extract
from flows.ingest import ingest
from storage import clips
from tests.helpers.footage import keep_consent

pytestmark = pytest.mark.real_footage
NAMES = ("obama_weekly_20s.mp4", "senator2_10s_256.mkv", "fullbody_10s_1080x1920.mp4")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Extracted]:
    from tests.bench.footage import real_footage

    folder = real_footage()
    if folder is None:
        pytest.skip("no real footage: set MEMDUB_FOOTAGE to a folder with video/ and audio/")
    home = tmp_path_factory.mktemp("real") / "home"
    keep_consent(home)
    ingest([folder / "video" / name for name in NAMES], "anna", home=str(home)).raise_if_refused()
    done = extract(["anna"], home=str(home), workers=2)
    done.raise_if_refused()
    return home, done


def group(result: tuple[Path, Extracted], name: str) -> clips.ClipGroup:
    home, done = result
    (one,) = (one for one in done.outcomes if one.row["source_name"] == name)
    return clips.open_clip(home / one.features.uri / "features.zarr")


@pytest.mark.parametrize("name", NAMES)
def test_the_face_is_found_in_every_frame_and_fitted(result: tuple[Path, Extracted], name: str) -> None:
    features = group(result, name)
    assert (features.read("track/confidence") > 0.5).mean() > 0.98
    assert np.nanmean(features.read("fit/error")) < 0.03
    # The crop is steady: of one scale, and nowhere jumping.
    places = features.read("track/crop_placement")
    assert np.ptp(places[:, 2]) < 1e-3
    assert np.abs(np.diff(places[:, :2], 2, axis=0)).max() < 0.02 * places[0, 2]


def test_late_sound_is_found_and_brought_in_step(result: tuple[Path, Extracted]) -> None:
    attrs = group(result, "obama_weekly_20s.mp4").attrs
    assert 5 <= attrs["offset_frames"] <= 7
    assert attrs["offset_confidence"] > 0.5
    assert attrs["sound_offset_frames"] == attrs["offset_frames"]


def test_sound_in_step_stays_where_it_is(result: tuple[Path, Extracted]) -> None:
    attrs = group(result, "senator2_10s_256.mkv").attrs
    assert abs(attrs["offset_frames"]) <= 1
    assert attrs["sound_offset_frames"] == 0


def test_letters_follow_the_voice(result: tuple[Path, Extracted]) -> None:
    """Where nobody speaks, no letter is heard."""
    features = group(result, "obama_weekly_20s.mp4")
    letters = np.exp(features.read("audio/deepspeech")[:, 1:27]).sum(1)
    voice = features.read("audio/voice")
    assert letters[voice > 0.8].mean() > letters[voice < 0.2].mean() + 0.3
