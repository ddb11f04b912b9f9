"""What workers do with a whole clip at once: write its sound features, and join all features in one group.

`tasks.extract` sends these to workers. Sound and picture are brought in step here, and only here: what is
resampled to the video's frames is read where it belongs, and the group says by how much it was moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import clips
from storage.clips import ClipGroup
from storage.errors import RequestError
from tasks.audio import AudioBackend, extract_audio
from tasks.chunks import one_thread

__all__ = ["write_audio"]


def write_audio(video: Path, target: Path, backend: AudioBackend, attrs: Mapping[str, Any]) -> None:
    """The group `audio`: one worker writes it whole."""
    one_thread()
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
    draft = _new(target, specs, told)
    for name, values in arrays.items():
        draft.write(name, 0, values)
    draft.finish()


def _new(target: Path, specs: Any, attrs: Mapping[str, Any]) -> ClipGroup:
    """A draft that is begun anew whatever a killed run left: it is written in one go."""
    import shutil

    for left in target.parent.glob(f"*{target.name}*"):
        shutil.rmtree(left)
    return clips.create(target, specs, attrs)
