from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import clips
from storage.clips.regions import common, merged
from storage.clips.specs import CHUNK_BYTES, SHARD_BYTES, check_specs, lengths
from storage.errors import RequestError


@given(frames=st.integers(1, 400_000), row=st.sampled_from([4, 24, 5736, 196_608, 786_432, 3_000_000]))
def test_lengths_nest_and_stay_in_bounds(frames, row):
    chunk, shard = lengths((frames, row), 1)
    assert shard % chunk == 0
    assert shard & (shard - 1) == 0
    assert chunk * row <= CHUNK_BYTES or chunk == 1
    assert shard * row <= SHARD_BYTES
    assert shard < 2 * frames


@given(
    length=st.integers(1, 50_000), shards=st.lists(st.sampled_from([1, 2, 64, 256, 512, 2048]), min_size=1)
)
def test_common_regions_cover_everything_once_in_whole_shards(length, shards):
    regions = common([(f"g/{i}", length, shard) for i, shard in enumerate(shards)])
    assert merged(regions) == [(0, length)]
    assert all(region.start % shard == 0 for region in regions for shard in shards)


def test_arrays_on_two_clocks_have_no_common_regions(tmp_path):
    specs = clips.standard(["track/pose", "audio/deepspeech"], frames=100, fps=25, speech_frames=200)
    draft = clips.create(tmp_path / "clip.zarr", specs, {})
    assert draft.regions("audio/deepspeech") == [(0, 200)]
    with pytest.raises(RequestError, match="track/pose 100, audio/deepspeech 200"):
        draft.regions("track/pose", "audio/deepspeech")


def test_every_standard_array_can_be_made():
    specs = clips.standard(
        clips.STANDARD, frames=100, fps=Fraction(30000, 1001), speech_frames=9, mel_frames=9
    )
    check_specs(specs)
    shapes = {spec.name: spec.shape for spec in specs}
    assert shapes["video/crop"] == (100, 256, 256, 3)
    assert shapes["track/landmarks"] == (100, 478, 3)
    assert shapes["track/pose"] == (100, 6)
    assert shapes["track/action_units"] == (100, 17)
    assert shapes["audio/deepspeech"] == (9, 29)
    assert shapes["audio/mel"] == (9, 80)
    deng = ("identity", "expression", "texture", "rotation", "light", "translation")
    assert sum(shapes[f"fit/{name}"][1] for name in deng) == 257
    time = next(spec for spec in specs if spec.name == "track/time")
    np.testing.assert_allclose(time.values[[0, 30]], [0, 1.001])


def test_ten_minutes_are_few_files():
    specs = clips.standard(clips.STANDARD, frames=15_000, fps=25, speech_frames=30_000, mel_frames=48_000)
    files = {spec.name: 1 + -(-spec.shape[0] // spec.layout[1]) for spec in specs}
    assert files["video/crop"] == 60
    assert files["track/landmarks"] == 31
    assert files["audio/deepspeech"] == 2
    assert sum(files.values()) < 900


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "pose"}, "group/array"),
        ({"name": "track/Pose"}, "group/array"),
        ({"dims": ("time",)}, "does not fit"),
        ({"shape": (0, 6)}, "does not fit"),
        ({"chunk": 100, "shard": 256}, "whole chunks"),
        ({"name": "track/component"}, "share a dimension"),
    ],
)
def test_a_bad_specification_is_refused(change, message):
    good = {"name": "track/pose", "dtype": "float32", "shape": (600, 6), "dims": ("time", "component")}
    with pytest.raises(RequestError, match=message):
        check_specs([clips.ArraySpec(**(good | change))])


def test_one_dimension_has_one_length():
    one = clips.ArraySpec("track/a", "float32", (600,), ("time",))
    two = clips.ArraySpec("track/b", "float32", (601,), ("time",))
    with pytest.raises(RequestError, match="different dimension names"):
        check_specs([one, two])
    with pytest.raises(RequestError, match="twice"):
        check_specs([one, one])
    with pytest.raises(RequestError, match="no standard array"):
        clips.standard(["track/nose"], frames=10, fps=25)
    with pytest.raises(RequestError, match="was not given"):
        clips.standard(["audio/mel"], frames=10, fps=25)
