"""The report on a clip: figures that were put in come out, and each trouble is said in plain words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.offset import Offset
from storage.clips import create, standard
from storage.ledger.schemas import TABLES
from tasks.preflight import WANTS, Figures, frames_table, preflight, warnings_of
from tests.helpers.features_group import FRAMES, MISSING, made_up

GOOD = Figures(
    duration_s=180,
    face_share=1.0,
    face_px=400,
    mouth_px=260,
    size_ratio=1.1,
    yaw_low_deg=-12,
    yaw_high_deg=14,
    pitch_low_deg=-8,
    pitch_high_deg=6,
    turned_share=0.0,
    sharpness=0.6,
    shots=1,
    voice_share=0.9,
    loudness_lufs=-23,
)


def offset(frames: float = 0.2, confidence: float = 0.99) -> Offset:
    return Offset(frames, frames / 25, confidence, 0.2, np.zeros(1), np.zeros(1))


def test_a_good_clip_has_no_warnings():
    assert warnings_of(GOOD, offset()) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"face_share": 0.0}, "no face was found"),
        ({"face_share": 0.7}, "no face in 30%"),
        ({"voice_share": 0.01}, "hardly anybody speaks"),
        ({"voice_share": 0.2}, "nobody speaks in 80%"),
        ({"loudness_lufs": -55}, "very quiet"),
        ({"sharpness": 0.1}, "blurred"),
        ({"turned_share": 0.5}, "30 degrees in 50%"),
        ({"size_ratio": 1.9}, "factor of 1.9"),
        ({"shots": 3}, "3 shots"),
    ],
)
def test_each_trouble_is_said(changed, said):
    (line,) = warnings_of(replace(GOOD, **changed), offset())
    assert said in line


def test_offsets_are_said_as_what_they_are():
    (late,) = warnings_of(GOOD, offset(6.0))
    assert "late by 6.0 frames (240 ms)" in late
    assert "corrected" in late
    (unsure,) = warnings_of(GOOD, offset(9.0, 0.1))
    assert "cannot be told" in unsure
    assert warnings_of(replace(GOOD, voice_share=0.0), offset(9.0, 0.1)) != unsure


def test_figures_of_a_group(tmp_path):
    track = made_up(tmp_path / "track.zarr")
    rows = 120
    audio = create(
        tmp_path / "audio.zarr",
        standard(["audio/voice", "audio/loudness"], frames=FRAMES, fps=25, speech_frames=rows),
        {"fps": 25.0},
    )
    audio.write("audio/voice", 0, (np.arange(rows) < 90).astype(np.float32))
    audio.write("audio/loudness", 0, np.where(np.arange(rows) < 90, -20, -80).astype(np.float32))
    report = preflight(track, audio.finish(), 25.0, offset=offset())
    told = report.measured
    assert told.duration_s == pytest.approx(FRAMES / 25)
    assert told.face_share == pytest.approx(1 - len(MISSING) / FRAMES)
    assert told.voice_share == pytest.approx(0.75)
    assert told.loudness_lufs == pytest.approx(-20)
    points = track.read("track/landmarks_68")
    assert told.face_px == pytest.approx(np.nanmedian(np.ptp(points[..., 1], axis=1)), rel=0.01)
    yaw = np.degrees(track.read("track/pose")[:, 1])
    assert told.yaw_high_deg == pytest.approx(np.nanpercentile(yaw, 98), abs=0.1)
    assert report.figures()["preflight_duration_s"] == pytest.approx(2.4)
    assert set(report.methods) == set(WANTS)
    assert any("wants 120 s" in line for line in report.methods["facial"])
    assert len(report.told) >= 5 + len(WANTS)


def test_nobody_and_nothing(tmp_path):
    """A clip without a face, without a voice: still a report."""
    specs = standard(
        ["track/confidence", "track/landmarks_68", "track/pose", "track/shot", "track/sharpness"],
        frames=50,
        fps=25,
    )
    track = create(tmp_path / "t.zarr", specs, {"fps": 25.0})
    for name, values in {
        "track/confidence": np.zeros(50, np.float32),
        "track/landmarks_68": np.full((50, 68, 2), np.nan, np.float32),
        "track/pose": np.full((50, 6), np.nan, np.float32),
        "track/shot": np.zeros(50, np.int32),
        "track/sharpness": np.full(50, np.nan, np.float32),
    }.items():
        track.write(name, 0, values)
    names = ["audio/voice", "audio/loudness"]
    audio = create(tmp_path / "a.zarr", standard(names, frames=50, fps=25, speech_frames=100), {"fps": 25.0})
    audio.write("audio/voice", 0, np.zeros(100, np.float32))
    audio.write("audio/loudness", 0, np.full(100, -100, np.float32))
    unsure = replace(offset(0, 0), reason="nothing is said")
    report = preflight(track.finish(), audio.finish(), 25.0, offset=unsure)
    assert report.warnings[0] == "no face was found"
    assert all(np.isfinite(value) for value in report.figures().values())
    assert all(report.methods.values())


def test_frames_are_rows_of_the_ledger(tmp_path):
    track = made_up(tmp_path / "track.zarr")
    table = frames_table(track, clip="clip-1", artifact="track-1", identity="anna")
    assert table.schema.equals(TABLES["frames"].schema)
    rows = table.to_pylist()
    assert len(rows) == FRAMES
    assert rows[5]["frame"] == 5
    assert rows[5]["time_s"] == pytest.approx(0.2)
    pose, units = track.read("track/pose"), track.read("track/action_units")
    assert rows[5]["rotation_y_rad"] == pytest.approx(pose[5, 1])
    assert rows[5]["translation_z_mm"] == pytest.approx(pose[5, 5])
    assert rows[5]["au45"] == pytest.approx(units[5, 16])
    assert rows[MISSING[2]]["rotation_y_rad"] is None
    assert rows[MISSING[2]]["confidence"] == 0


def test_the_report_says_nothing_twice(tmp_path):
    track = made_up(tmp_path / "track.zarr")
    names = ["audio/voice", "audio/loudness"]
    audio = create(
        tmp_path / "a.zarr", standard(names, frames=FRAMES, fps=25, speech_frames=120), {"fps": 25.0}
    )
    audio.write("audio/voice", 0, np.ones(120, np.float32))
    audio.write("audio/loudness", 0, np.full(120, -20, np.float32))
    group = audio.finish()
    for one in (offset(6.0), offset(0.1), offset(9.0, 0.1)):
        told = preflight(track, group, 25.0, offset=one).told
        assert sum("ms)" in line for line in told) == 1
