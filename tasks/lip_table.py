"""Learns how lips go with the embedded network's symbols, from puppets alone, and writes it down as a table.

    python -m tasks.lip_table models/offset/table.py

To be run again when the acoustic network's weights change. Puppets speak, in many voices and languages and
with some noise; their lips are known, so nothing is filmed. One core needs about two minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

from models.audio import RATE
from models.offset.lips import MOTIONS, TAPS, lip_motion, reading_windows
from models.offset.measure import SPEECH_RATE, smoothed_away
from models.puppet import Puppet, about_neck
from models.puppet.phonetics import SILENCE
from models.puppet.texts import ENGLISH_SENTENCES, OTHER_LANGUAGES
from tasks.audio import AudioBackend, find_backend
from tasks.film import Script, rehearse

__all__ = ["learn", "takes", "written"]

_FPS = 25
_SEED = 7000
# People's lips part 40 ms earlier than puppets' do: the reading of the opening is moved by a frame.
_EARLY_FRAMES = 1
# And they part less where they are rounded.
_ROUNDED = 0.3
_PAUSE_FRAMES = 3
_RIDGE = 2e5
_Take = tuple[NDArray[Any], NDArray[Any]]


def takes(backend: AudioBackend, count: int) -> Iterator[_Take]:
    """(windows, motion) at 25 frames a second of so many puppets, each saying three sentences."""
    draw = np.random.default_rng(_SEED)
    languages = [*OTHER_LANGUAGES] * 2 + ["en-us"] * 6 + ["en-gb"] * 4
    for number in range(count):
        language = languages[int(draw.integers(len(languages)))]
        sentences = OTHER_LANGUAGES.get(language, ENGLISH_SENTENCES)
        text = " ".join(draw.choice(np.asarray(sentences), 3))
        script = Script(_SEED + number, text, language, rate=_FPS)
        speech, performance, _ = rehearse(script)
        sound = librosa.resample(speech.samples, orig_sr=speech.rate, target_sr=RATE)
        noise = draw.standard_normal(len(sound)) * np.sqrt(np.mean(sound**2))
        sound = (sound + noise * 10 ** (-draw.uniform(15, 40) / 20)).astype(np.float32)
        heard = reading_windows(np.concatenate(list(backend.stream([sound]))))
        yield _at_frames(heard, len(performance)), _motion(script, performance)


def _at_frames(heard: NDArray[Any], frames: int) -> NDArray[Any]:
    # A puppet's frame is an instant: i / 25 s lies between two rows.
    at = np.clip(np.arange(frames) / _FPS * SPEECH_RATE - 0.5, 0, len(heard) - 1.001)
    low = at.astype(int)
    part = (at - low)[:, None]
    return np.asarray(heard[low] * (1 - part) + heard[low + 1] * part)


def _motion(script: Script, performance: Any) -> NDArray[Any]:
    puppet = Puppet(script.seed, script.size)
    rows = []
    for expression, offset in zip(performance.expressions, performance.poses, strict=True):
        pose = about_neck(offset[:3], puppet.rest_pose)
        pose[3:] += offset[3:]
        rows.append(puppet.truth(expression, pose).landmarks)
    motion = lip_motion(np.stack(rows))
    at = np.arange(len(motion))
    motion[:, 0] = np.interp(at + _EARLY_FRAMES, at, motion[:, 0])
    # A puppet shuts its mouth in every pause; people do not, and the table must not count on it.
    silent = np.array([symbol == SILENCE for symbol in performance.phonemes], float)
    motion[np.convolve(silent, np.ones(2 * _PAUSE_FRAMES + 1), "same") > 0] = np.nan
    return motion


def learn(data: Iterator[_Take]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The table (29, taps * 2) and how well it explains what it was learned from (correlations)."""
    heard, seen = zip(*map(_spoken, data), strict=True)
    inputs, targets = np.concatenate(heard), np.concatenate(seen)
    square = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1])
    weights = np.linalg.solve(square, inputs.T @ targets)
    read = inputs @ weights
    fit = [np.corrcoef(read[:, k], targets[:, k])[0, 1] for k in range(len(MOTIONS))]
    return weights.reshape(len(TAPS), 29, -1).swapaxes(0, 1).reshape(29, -1), np.array(fit)


def _spoken(take: _Take) -> _Take:
    """The frames in which something is said, less what changes slowly."""
    heard, motion = take
    there: NDArray[np.bool_] = np.asarray(np.isfinite(motion).all(-1))
    quick = smoothed_away(np.where(there[:, None], heard, np.nan), _FPS)[there]
    moved = smoothed_away(motion, _FPS)[there]
    moved /= moved.std(0)
    moved[:, 0] += _ROUNDED * moved[:, 1]
    return quick, moved / moved.std(0)


_HEAD = '''"""How lips stand around each symbol, in thousandths: written by `python -m tasks.lip_table`.

One line a symbol; for each of seven moments (120 ms before to 120 ms after) opening and width. Learned from
puppets; `models.offset.lips` reads it.
"""

from __future__ import annotations

__all__ = ["TABLE"]

# fmt: off
TABLE: tuple[tuple[int, ...], ...] = (
'''


def written(table: NDArray[Any]) -> str:
    """The module's text."""
    rows = np.rint(table * 1000).astype(int).tolist()
    return _HEAD + "".join(f"    ({', '.join(map(str, row))}),\n" for row in rows) + ")\n# fmt: on\n"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("name the file to write: models/offset/table.py")
    table, fit = learn(takes(find_backend("embedded"), 40))
    print("explains (opening, width): " + ", ".join(f"{r:.3f}" for r in fit))
    Path(sys.argv[1]).write_text(written(table), encoding="utf-8")


if __name__ == "__main__":
    main()
