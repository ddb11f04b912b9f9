"""Which frames are scored, as the recipes of checkpoints say it; what is told of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from storage.artifacts import Artifact, Made, produce
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger
from storage.media import read_sound
from storage.recipes import Recipe
from tasks.extract import video_of
from tasks.material import Material, open_materials
from tasks.remember import RememberOptions, features_of, remember
from tasks.trials import Trial, redrawn, scored, sounds_of, strangers
from tests.helpers.material_home import FRAMES, material_home, two_clips


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Anna with two clips."""
    return two_clips(tmp_path_factory.mktemp("evaluating"))


@pytest.fixture
def clips(home: Home) -> list[Material]:
    return open_materials(home, [one.features for one in features_of(home, Ledger(home.objects), "anna")])


def made(home: Home, kind: str, parameters: dict, inputs: dict[str, str]) -> Artifact:
    def note(workspace: Path) -> Made:
        (workspace / "note").write_text(kind)
        return Made()

    return produce(home, Recipe(kind, kind, 1, parameters, inputs), note, identity="anna")


def trial(home: Home, *trained: tuple[Material, float], memory: Artifact | None = None) -> Trial:
    """A method that was trained in as many stages: on which clip, and what share of it was held back."""
    inputs = {} if memory is None else {"memory": memory.id}
    for number, (clip, share) in enumerate(trained):
        told = {"held_out": share, "stage": number}
        checkpoint = made(home, "checkpoint", told, {"features 0": clip.features.id})
        inputs[f"checkpoint {number}"] = checkpoint.id
    dub = made(home, "dub", {}, inputs)
    return Trial("some", dub, dub)


def test_what_training_held_back_is_scored(home: Home, clips: list[Material]) -> None:
    found = scored(
        home, clips[0], [trial(home, (clips[0], 0.2), (clips[0], 0.4)), trial(home, (clips[0], 0.3))]
    )
    assert (found.start, found.stop, found.split) == (round(0.8 * FRAMES), FRAMES, "held_out"), (
        "of all, the least"
    )
    assert found.why == "its last 1.2 s, held back to judge by"
    assert found.notes == ("1.2 s are few: scores of less than 5 s wander",)


def test_a_clip_that_nobody_trained_on_is_scored_whole(home: Home, clips: list[Material]) -> None:
    found = scored(home, clips[0], [trial(home, (clips[1], 0.2))])
    assert (found.start, found.stop, found.split) == (0, FRAMES, "held_out")
    assert "none of it was trained on" in found.why
    unknown = made(home, "checkpoint", {"held_out": 0.2}, {"features 0": "features-of-some-clip"})
    dub = made(home, "dub", {}, {"checkpoint 0": unknown.id})
    assert scored(home, clips[0], [Trial("some", dub, dub)]).start == round(0.8 * FRAMES)
    # As soon as one method knows the clip, all are scored where that one is judged.
    both = scored(home, clips[0], [trial(home, (clips[1], 0.2)), trial(home, (clips[0], 0.2))])
    assert both.start == round(0.8 * FRAMES)


def test_where_nothing_was_held_back_that_is_said(home: Home, clips: list[Material]) -> None:
    found = scored(home, clips[0], [trial(home, (clips[0], 0.2)), trial(home, (clips[0], 0.0))])
    assert (found.start, found.stop, found.split) == (0, FRAMES, "all")
    assert found.why == "all of it, and training held nothing of it back"


def test_without_any_training_it_is_the_usual_share(home: Home, clips: list[Material]) -> None:
    found = scored(home, clips[0], [trial(home)])
    assert (found.start, found.split) == (round(0.8 * FRAMES), "held_out")
    assert found.why.endswith("nothing was trained")


def test_what_a_method_was_shown_is_not_scored(home: Home, clips: list[Material]) -> None:
    hidden = made(home, "dub", {"without": [round(0.7 * FRAMES), FRAMES]}, {})
    found = scored(home, clips[0], [Trial("some", hidden, hidden)])
    assert (found.start, found.stop, found.split) == (round(0.7 * FRAMES), FRAMES, "held_out")
    shown = made(home, "dub", {"without": None}, {})
    assert scored(home, clips[0], [Trial("some", shown, shown)]).split == "all"


def test_mouths_that_a_memory_has_of_these_seconds_are_counted(home: Home, clips: list[Material]) -> None:
    sources = features_of(home, Ledger(home.objects), "anna")
    memory = remember(home, "anna", sources, RememberOptions(slots=40, side=48))
    group = zarr.open_group(home.path(memory.uri) / "memory.zarr", mode="r")
    number = list(group.attrs["clips"]).index(clips[0].clip.id)
    own = (group["memory/clip"][:] == number) & (group["memory/frame"][:] >= round(0.8 * FRAMES))
    assert own.any()
    found = scored(home, clips[0], [trial(home, (clips[0], 0.2), memory=memory)])
    assert found.notes[0] == f"some: its memory holds mouths of these seconds too, {own.sum()} of {len(own)}"
    early = remember(home, "anna", sources, RememberOptions(slots=40, side=48, share=0.8))
    assert len(scored(home, clips[0], [trial(home, (clips[0], 0.2), memory=early)]).notes) == 1


def test_who_draws_a_person_by_general_weights_alone_is_named(home: Home) -> None:
    def drawn(method: str, general: dict[str, str]) -> Trial:
        told = {"method": method, "preset": "cpu", "general": general}
        return Trial(method, made(home, "dub", told, {}))

    [line] = strangers([drawn("dinet", {"frame": "aa"}), drawn("dinet", {}), drawn("memface", {"ear": "bb"})])
    assert line.startswith("dinet was not trained on anna")
    assert line.endswith("`memdub train anna --method dinet`")


@pytest.mark.parametrize("late", [3.3, -3.3])
def test_a_sound_out_of_step_is_brought_in_step(tmp_path: Path, late: float) -> None:
    home = material_home(tmp_path / "home")
    [source] = features_of(home, Ledger(home.objects), "anna")
    group = zarr.open_group(home.path(source.features.uri) / "features.zarr", mode="r+")
    group.attrs["sound_offset_frames"] = late
    [material] = open_materials(home, [source.features])
    found = scored(home, material, [trial(home, (material, 0.0))])
    assert (found.start, found.stop) == ((0, FRAMES - 4) if late > 0 else (4, FRAMES))
    own, wrong = (read_sound(path, 16_000) for path in sounds_of(home, material, tmp_path))
    assert len(own) == len(wrong) == FRAMES * 640
    with video_of(home, material.clip) as video:
        filmed = read_sound(video, 16_000)
    # No whole number of its tone's periods: any other shift would show.
    shift, inner = round(late * 640), np.arange(8_000, 80_000)
    np.testing.assert_allclose(own[inner], filmed[inner + shift], atol=1e-4)
    np.testing.assert_allclose(wrong, np.roll(own, 32_000), atol=1e-4)


def test_too_short_a_clip_is_refused(
    home: Home, clips: list[Material], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Material, "sound_late_s", FRAMES / 25)
    with pytest.raises(RequestError, match="too short to be scored"):
        scored(home, clips[0], [trial(home)])


def test_frames_in_which_a_method_shows_the_truth_count_for_nobody(home: Home, clips: list[Material]) -> None:
    yaw = np.abs(clips[0].fit("rotation")[:, 1])
    assert 0.1 < yaw.max() < 0.3
    free, bound = (made(home, "dub", {"yaw_limit": limit}, {}) for limit in (1.0, float(yaw.max()) / 2))
    assert redrawn(clips[0], [Trial("some", free, free)]).all()
    assert len(scored(home, clips[0], [Trial("some", free, free)]).notes) == 1
    both = [Trial("some", free, free), Trial("other", bound, bound)]
    drawn = redrawn(clips[0], both)
    assert not drawn[yaw > float(yaw.max()) / 2].any()
    found = scored(home, clips[0], both)
    aside = int((~drawn[found.start :]).sum())
    assert aside > 0
    assert found.notes[-1].startswith(f"{aside} of {found.stop - found.start} frames count for nobody")
