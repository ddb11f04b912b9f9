import errno
import math
import os
import pickle

import numpy as np
import pytest
import xarray

from storage import clips
from storage.errors import CorruptArtifact, RequestError, WorkError
from tests.storage.clip_helpers import CROP, FRAMES, NAMES, specs, values, write_region


def filled(url, names=NAMES, **more):
    draft = clips.create(url, specs(names), {"identity": "obama", "fps": 25}, **more)
    for region in draft.regions(*names):
        write_region(draft, region, names=names)
    return draft


@pytest.fixture(params=["local", "spaces", "memory", "s3"])
def url(request, tmp_path):
    if request.param == "s3":
        return f"{request.getfixturevalue('s3_url')}/stores/clip.zarr"
    if request.param == "memory":
        return f"memory://{tmp_path.name}/clip.zarr"
    return str(tmp_path / ("my clips" if request.param == "spaces" else "stores") / "clip.zarr")


def test_a_clip_is_written_published_and_read_anywhere(url):
    draft = filled(url)
    with pytest.raises(RequestError, match="no published clip"):
        clips.open_clip(url)
    assert draft.gaps() == {}
    clip = draft.finish()
    assert clip.attrs == {"identity": "obama", "fps": 25}
    for name in NAMES:
        whole = values(name, clip.array(name).shape)
        np.testing.assert_array_equal(clip.read(name), whole)
        np.testing.assert_array_equal(clip.read(name, 250, 300), whole[250:300])
    assert clip.verify() == ()
    assert clip.content == clip.content_hash() == clips.open_clip(url).content
    assert not [key for key in clip.place.files() if "draft" in key or "partial" in key]


def test_xarray_shows_dimensions_coordinates_and_units(url):
    filled(url).finish()
    clip = clips.open_clip(url)
    tree = clip.tree()
    assert tree.attrs["identity"] == "obama"
    track = tree["track"].to_dataset()
    assert track.landmarks.dims == ("time", "landmark", "axis")
    assert track.landmarks.attrs["units"] == "px"
    assert track.time.attrs["units"] == "s"
    assert float(track.time[50]) == 2.0
    assert list(track.component.values) == ["pitch", "yaw", "roll", "x", "y", "z"]
    yaw = track.pose.sel(component="yaw", time=slice(1, 2)).values
    np.testing.assert_array_equal(yaw, values("track/pose", (FRAMES, 6))[25:51, 1])
    assert dict(tree["video"].sizes) == {"time": FRAMES, "y": CROP[0], "x": CROP[1], "channel": 3}


def test_open_zarr_just_works_on_a_folder(tmp_path, recwarn):
    filled(tmp_path / "clip.zarr").finish()
    track = xarray.open_zarr(tmp_path / "clip.zarr" / "track", consolidated=False)
    assert set(track.data_vars) == {"landmarks", "pose", "confidence"}
    assert set(track.coords) == {"time", "landmark", "axis", "component"}
    np.testing.assert_array_equal(track.pose.values, values("track/pose", (FRAMES, 6)))
    assert not [warning.message for warning in recwarn if "zarr" in str(warning.message).lower()]


def test_open_zarr_just_works_on_a_bucket(s3_url):
    filled(f"{s3_url}/clip.zarr").finish()
    track = xarray.open_zarr(f"{s3_url}/clip.zarr", group="track", consolidated=False)
    np.testing.assert_array_equal(track.pose.values, values("track/pose", (FRAMES, 6)))


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 100), (100, 256), (128, 384), (256, 500), (512, 601), (-256, 0), (256, 256)]
)
def test_a_misaligned_write_is_refused_and_writes_nothing(tmp_path, start, stop):
    draft = clips.create(tmp_path / "clip.zarr", specs(), {})
    assert draft.regions("track/pose") == [(0, 256), (256, 512), (512, 600)]
    with pytest.raises(RequestError, match=r"whole shards|not inside"):
        draft.write("track/pose", start, np.zeros((stop - start, 6), np.float32))
    assert draft.missing("track/pose") == draft.regions("track/pose")


def test_values_of_another_type_or_shape_are_refused(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(), {})
    with pytest.raises(RequestError, match="convert before writing"):
        draft.write("track/pose", 0, np.zeros((256, 6)))
    with pytest.raises(RequestError, match="the array holds"):
        draft.write("track/pose", 0, np.zeros((256, 7), np.float32))


def test_what_nobody_wrote_is_missing_and_not_zero(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(), {})
    assert np.isnan(draft.read("track/pose")).all()
    draft.write("track/pose", 256, np.full((256, 6), math.nan, np.float32))
    draft.write("video/crop", 256, np.zeros((256, *CROP, 3), np.uint8))
    # Shards of nothing but fill were written, and count.
    assert draft.missing("track/pose") == draft.missing("video/crop") == [(0, 256), (512, 600)]
    assert set(draft.gaps()) == set(NAMES)
    with pytest.raises(CorruptArtifact, match="never written") as caught:
        draft.finish()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("harm", ["torn", "empty", "nan"])
def test_a_draft_that_a_power_cut_spoilt_heals(url, harm):
    """What was found wrong is missing from then on, so that the next run writes it anew."""
    name = "track/confidence"
    draft = filled(url, token="recipe")
    [whole] = [values(name, (FRAMES,))]
    if harm == "nan":
        draft.write(name, 256, np.full(256, math.nan, np.float32))
    else:
        key = f"{name}/c/1"
        draft.place.write(key, draft.place.read(key)[:-9] if harm == "torn" else b"")
    with pytest.raises(CorruptArtifact, match="rows 256 to 512"):
        draft.finish()
    again = clips.create(url, specs(NAMES), {"identity": "obama", "fps": 25}, token="recipe")
    assert again.gaps() == {name: [(256, 512)]}
    again.write(name, 256, whole[256:512])
    assert again.finish().verify() == ()


def test_a_required_value_may_not_be_nan(tmp_path):
    draft = filled(tmp_path / "clip.zarr")
    confidence = values("track/confidence", (FRAMES,))
    confidence[300] = math.nan
    draft.write("track/confidence", 256, confidence[256:512])
    assert draft.verify() == ("track/confidence: rows 256 to 512 hold values that are not finite",)


def test_what_cannot_be_read_now_is_not_called_damaged(tmp_path):
    """Nobody must remove an artifact because a disk or a network was away."""
    clip = filled(tmp_path / "clip.zarr").finish()

    class Away:
        shape = clip.array("track/pose").shape

        def __getitem__(self, rows):
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    clip._open["track/pose"] = Away()
    with pytest.raises(WorkError, match="cannot be read now \\(Connection timed out\\); run again") as caught:
        clip.read("track/pose")
    assert not isinstance(caught.value, CorruptArtifact)


@pytest.mark.parametrize("harm", ["flip", "cut", "empty"])
@pytest.mark.parametrize("name", ["video/crop", "track/landmarks", "track/confidence"])
def test_harmed_bytes_are_found(tmp_path, harm, name):
    clip = filled(tmp_path / "clip.zarr").finish()
    array = clip.array(name)
    path = tmp_path / "clip.zarr" / name / ("c/1" + "/0" * (array.ndim - 1))
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes({"flip": data, "cut": data[: len(data) // 2], "empty": b""}[harm])
    problems = clips.open_clip(tmp_path / "clip.zarr").verify()
    assert len(problems) >= 1
    assert all(problem.startswith(name) and "cannot be read" in problem for problem in problems)


def test_the_digest_follows_values_and_not_their_cut(tmp_path):
    one = filled(tmp_path / "a.zarr").finish()
    two = clips.create(tmp_path / "b.zarr", [coarser(spec) for spec in specs()], {"identity": "other"})
    for region in two.regions(*NAMES):
        write_region(two, region)
    assert two.regions("track/pose") == [(0, 600)]
    assert two.finish().content == one.content
    three = filled(tmp_path / "c.zarr")
    crop = values("video/crop", (FRAMES, *CROP, 3))
    crop[599, -1, -1, -1] ^= 1
    three.write("video/crop", 512, crop[512:])
    assert three.content_hash() != one.content


def coarser(spec):
    from dataclasses import replace

    return spec if spec.values is not None else replace(spec, chunk=64, shard=1024)


def test_a_subgroup_joins_a_published_clip(url):
    filled(url, ["video/crop"]).finish()
    before = clips.open_clip(url).content
    draft = filled(url, ["track/pose", "track/confidence"], group="track")
    assert set(clips.open_clip(url).names) == {"video/crop", "video/time", "video/channel"}
    part = draft.finish()
    assert set(part.own) == {"track/pose", "track/confidence", "track/time", "track/component"}
    clip = clips.open_clip(url)
    np.testing.assert_array_equal(clip.read("track/pose"), values("track/pose", (FRAMES, 6)))
    assert clip.content == clip.content_hash() == before
    assert clips.open_clip(url, group="track").content_hash() == part.content
    assert {"video", "track"} <= set(clip.tree().children)
    with pytest.raises(RequestError, match="published already"):
        clips.create(url, specs(["track/pose"]), {}, group="track")


def test_a_subgroup_needs_its_clip(url):
    with pytest.raises(RequestError, match="no published clip"):
        clips.create(url, specs(["track/pose"]), {}, group="track")


def test_what_is_published_is_never_changed(url):
    clip = filled(url).finish()
    with pytest.raises(RequestError, match="never changed"):
        clip.write("track/pose", 0, np.zeros((256, 6), np.float32))
    with pytest.raises(RequestError, match="published already"):
        clips.create(url, specs(), {})
    with pytest.raises(RequestError, match="no unfinished clip"):
        clips.open_clip(url, "r+")
    with pytest.raises(RequestError, match="not a draft"):
        clips.discard(clip)


def test_a_draft_is_found_again_by_its_token(url):
    draft = clips.create(url, specs(), {"a": 1}, token="recipe-1")
    write_region(draft, draft.regions(*NAMES)[1])
    again = clips.create(url, specs(), {"a": 1}, token="recipe-1")
    assert again.missing("video/crop") == [(0, 256), (512, 600)]
    assert clips.open_clip(again.url, "r+").final == draft.final
    with pytest.raises(RequestError, match="something else is in the way"):
        clips.create(url, specs(), {"a": 2}, token="recipe-1")
    clips.discard(again)
    assert clips.create(url, specs(), {"a": 2}, token="recipe-1").gaps().keys() == set(NAMES)


def test_the_second_of_two_equal_drafts_finds_the_first(tmp_path):
    one, two, odd = (filled(tmp_path / "clip.zarr", token=token) for token in ("one", "two", "odd"))
    odd.write("track/confidence", 0, np.zeros(256, np.float32))
    first = one.finish()
    assert two.finish().content == first.content
    with pytest.raises(CorruptArtifact, match="different values"):
        odd.finish()
    assert [path.name for path in tmp_path.iterdir() if "two" in path.name] == []


def test_a_group_travels_by_pickle(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(), {})
    draft.array("track/pose")
    again = pickle.loads(pickle.dumps(draft))
    write_region(again, again.regions(*NAMES)[0])
    assert draft.missing("track/pose") == [(256, 512), (512, 600)]


def test_unknown_arrays_and_rows_are_one_line(tmp_path):
    clip = filled(tmp_path / "clip.zarr").finish()
    with pytest.raises(RequestError, match="no array 'track/nose'"):
        clip.read("track/nose")
    with pytest.raises(RequestError, match="not inside its 600 rows"):
        clip.read("track/pose", 0, 601)


def test_a_draft_takes_arrays_over_from_a_published_group(url):
    track = filled(url, ["track/pose", "track/confidence"]).finish()
    beside = f"{url.rsplit('/', 1)[0]}/union.zarr"
    union = clips.create(beside, specs(["track/pose", "video/crop"]), {})
    known = {"track/pose": union.take_over("track/pose", track)}
    for region in union.regions("video/crop"):
        write_region(union, region, names=["video/crop"])
    whole = union.finish(known)
    np.testing.assert_array_equal(whole.read("track/pose"), track.read("track/pose"))
    assert whole.content == whole.content_hash()
    assert whole.verify() == ()


def test_only_equal_arrays_of_published_groups_are_taken_over(tmp_path):
    draft = clips.create(tmp_path / "a.zarr", specs(["track/pose"]), {})
    with pytest.raises(RequestError, match="published"):
        draft.take_over("track/pose", clips.create(tmp_path / "b.zarr", specs(["track/pose"]), {}))
    short = clips.create(tmp_path / "c.zarr", specs(["track/pose"], frames=10), {})
    short.write("track/pose", 0, np.zeros((10, 6), np.float32))
    with pytest.raises(RequestError, match="is not"):
        draft.take_over("track/pose", short.finish())


def test_a_group_tells_what_its_arrays_are(tmp_path):
    clip = filled(tmp_path / "clip.zarr").finish()
    asked = {spec.name: spec for spec in specs()}
    for name in clip.names:
        ours = clip.spec(name)
        assert ours.describe() == asked[name].describe()
        if asked[name].values is not None:
            np.testing.assert_array_equal(ours.values, asked[name].values)


def test_writers_tell_the_digests_that_readers_find(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(), {})
    told = {name: [] for name in NAMES}
    for region in draft.regions(*NAMES):
        for name in NAMES:
            whole = values(name, draft.array(name).shape)
            told[name] += draft.write(name, region.start, whole[region.start : region.stop])
    known = {name: draft.digest(name, stretches) for name, stretches in told.items()}
    clip = draft.finish(known)
    assert set(known) < set(clip.own)
    assert clip.content == clip.content_hash()
    assert draft.digest("track/pose", told["track/pose"][1:]) is None


def test_what_is_not_finite_is_told_by_nobody(tmp_path):
    draft = clips.create(tmp_path / "clip.zarr", specs(["track/confidence"]), {})
    bad = np.full(FRAMES, np.nan, np.float32)
    assert draft.write("track/confidence", 0, bad[:512]) == []
