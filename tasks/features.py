"""What workers do with a whole clip at once: write its sound features, and join all features in one group.

`tasks.extract` sends these to workers. Sound and picture are brought in step here, and only here: what is
resampled to the video's frames is read where it belongs, and the group says by how much it was moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage import clips
from storage.artifacts import Made
from storage.clips import ClipGroup
from tasks.audio import AudioBackend, extract_audio, frames_from_speech
from tasks.chunks import open_draft
from tasks.offset import Offset, clip_offset, correction_s
from tasks.preflight import Preflight, preflight
from tasks.threads import one_thread

__all__ = ["Joined", "join", "write_audio"]

# Array at 50 a second -> the same, a row a frame.
RESAMPLED = {
    "audio/deepspeech": "audio/deepspeech_frames",
    "audio/loudness": "audio/loudness_frames",
    "audio/voice": "audio/voice_frames",
}


@one_thread()
def write_audio(video: Path, target: Path, backend: AudioBackend, attrs: Mapping[str, Any]) -> None:
    """The group `audio`: one worker writes it whole."""
    features = extract_audio(video, backend)
    arrays = features.arrays()
    specs = clips.standard(
        arrays,
        frames=1,
        fps=attrs["fps"],
        speech_frames=len(features.deepspeech),
        mel_frames=len(features.mel),
    )
    told = {**attrs, "speech": backend.name, "speech_sha256": backend.version}
    draft = open_draft(target, specs, told)
    if draft.writable:
        for name, values in arrays.items():
            draft.write(name, 0, values)
        draft.finish()


@dataclass(frozen=True)
class Joined:
    """What was found out while joining."""

    measured: Offset
    moved_s: float
    report: Preflight

    def made(self, features: str, audio: str, identity: str, fps: float) -> Made:
        """As the ledger has it: figures, and in the lineage how far the sound was moved."""
        frames = self.moved_s * fps
        figures = {
            "offset_frames": self.measured.frames,
            "offset_confidence": self.measured.confidence,
            "sound_moved_frames": frames,
            **self.report.figures(),
        }
        metrics = [
            {
                "artifact": features,
                "identity": identity,
                "metric": name,
                "split": "all",
                "value": float(value),
            }
            for name, value in figures.items()
        ]
        if not self.moved_s:
            return Made(metrics=metrics)
        way = "earlier" if self.moved_s > 0 else "later"
        role = f"heard {abs(frames):.1f} frames {way}"
        moved = {"child": features, "parent": audio, "role": role, "parent_name": None}
        return Made(metrics=metrics, lineage=[moved])


@one_thread()
def join(
    parts: Mapping[str, str],
    faces: str,
    video: Path,
    target: Path,
    listener: AudioBackend,
    offset: float | None,
    attrs: Mapping[str, Any],
) -> Joined:
    """The group `features`, of the groups at these addresses. `offset`: frames that a user knows better."""
    groups = {kind: clips.open_clip(url) for kind, url in parts.items()}
    fps = float(attrs["fps"])
    measured = _measured(groups, video, listener, fps)
    moved_s = correction_s(measured) if offset is None else offset / fps
    report = preflight(groups["track"], groups["audio"], fps, offset=measured)
    told = {
        **attrs,
        "sound_offset_frames": moved_s * fps,
        "offset_frames": measured.frames,
        "offset_confidence": measured.confidence,
        "faces_at_once": _faces_at_once(clips.open_clip(faces)),
        "warnings": list(report.warnings),
        "preflight": list(report.told),
    }
    _write(groups, target, moved_s, fps, told)
    return Joined(measured, moved_s, report)


def _faces_at_once(faces: ClipGroup) -> int:
    return int((faces.read("faces/score") > 0).sum(1).max())


def _measured(groups: Mapping[str, ClipGroup], video: Path, listener: AudioBackend, fps: float) -> Offset:
    return clip_offset(groups["track"], groups["audio"], fps, video=video, backend=listener)


def _write(
    groups: Mapping[str, ClipGroup], target: Path, moved_s: float, fps: float, attrs: Mapping[str, Any]
) -> None:
    frames = groups["track"].array("track/confidence").shape[0]
    parts = {name: group for group in groups.values() for name in group.own}
    new = [s for s in clips.standard(RESAMPLED.values(), frames=frames, fps=fps) if s.name not in parts]
    draft = open_draft(target, [*(group.spec(name) for name, group in parts.items()), *new], attrs)
    if not draft.writable:
        return
    known = {name: draft.take_over(name, group) for name, group in parts.items()}
    for source, name in RESAMPLED.items():
        rows = groups["audio"].read(source)
        read = frames_from_speech(rows, frames, fps, moved_s, log_probabilities=rows.ndim > 1)
        draft.write(name, 0, read.astype(np.float32, copy=False))
    draft.finish(known)
