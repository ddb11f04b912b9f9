"""A stretch of a film as a film of its own, with its sound: what a page shows of what was scored.

    cut(film, 480, 600, target)
    cut_dub(home, dub, film, 480, 600, target)        # signed: it says what it is, as the whole dub does

Pictures are coded anew. Called by `tasks.judged`.
"""

from __future__ import annotations

from pathlib import Path

from storage.artifacts import Artifact
from storage.home import Home
from storage.media import MediaWriter, SoundReader, VideoReader, probe
from tasks.credentials import credentials_of
from tasks.manifest import Claim, Ingredient, sign
from tasks.threads import one_thread
from tasks.trials import recipe_told

__all__ = ["cut", "cut_dub"]

_SOUND_RATE, _CRF = 48_000, 16


@one_thread()
def cut(film: Path, first: int, stop: int, target: Path, late_s: float = 0.0) -> Path:
    """Frames `first` to `stop`, and the sound of that time, or of so much later, where it comes late."""
    video = VideoReader(film)
    heard, rate = None, None
    if probe(film).audio is not None:
        rate = _SOUND_RATE
        begin, end = (float(at / video.rate) + late_s for at in (first, stop))
        heard = SoundReader(film, rate).read(max(begin, 0.0), max(end, 0.0))
    with MediaWriter(target, video.size, video.rate, rate, crf=_CRF) as out:
        if heard is not None:
            out.write_sound(heard)
        for picture in video.read(first, stop):
            out.write_frame(picture)
    return target


def cut_dub(home: Home, dub: Artifact, film: Path, first: int, stop: int, target: Path) -> Path:
    """The same of a dub: it stays known for one, by whom it was made and from what."""
    bare = cut(film, first, stop, target.with_name(f"bare-{target.name}"))
    method = str(recipe_told(dub)["parameters"]["method"])
    sign(bare, target, Claim(dub.id, method, [Ingredient("film", dub.id, "video/mp4")]), credentials_of(home))
    bare.unlink()
    return target
