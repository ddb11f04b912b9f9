"""Speech of any kind is heard as features are, on disk, and what cannot be heard is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from storage.errors import MediaError
from tasks.audio import extract_audio, find_backend
from tasks.dubbing.hearing import Hearing, listen
from tests.helpers.footage import film
from tests.helpers.painted import wav


def hear(path: Path) -> Hearing:
    return listen(path, find_backend("embedded"), path.with_suffix(".heard"))


@pytest.mark.parametrize(
    ("seconds", "rate", "channels", "width"),
    [(0.2, 16_000, 1, 2), (7.31, 48_000, 2, 3), (11.0, 44_100, 1, 2)],
)
def test_the_same_as_features(tmp_path: Path, seconds: float, rate: int, channels: int, width: int) -> None:
    path = wav(tmp_path / "a.wav", seconds, rate=rate, channels=channels, width=width)
    heard = hear(path)
    assert heard.seconds == pytest.approx(seconds, abs=0.001)
    blocks, wanted = list(heard.blocks()), extract_audio(path, find_backend("embedded"))
    for name, values in (
        ("speech", wanted.deepspeech),
        ("loudness", wanted.loudness),
        ("voice", wanted.voice),
    ):
        joined = torch.cat([getattr(block, name) for block in blocks]).numpy()
        np.testing.assert_array_equal(joined, values)
    mel = torch.cat([block.mel for block in blocks if block.mel is not None]).numpy()
    np.testing.assert_array_equal(mel, wanted.mel)


def test_a_whole_hearing_is_not_heard_again(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", 1.0)
    first = hear(path)
    path.unlink()
    assert hear(path) == first


def test_what_is_not_there_cannot_be_heard(tmp_path: Path) -> None:
    silent = wav(tmp_path / "silent.wav", 1.0, gain=0.0)
    with pytest.raises(MediaError, match=r"silent\.wav: is silent"):
        hear(silent)
    (tmp_path / "broken.wav").write_bytes(wav(tmp_path / "b.wav", 1.0).read_bytes()[:30])
    with pytest.raises(MediaError):
        hear(tmp_path / "broken.wav")
    with pytest.raises(MediaError, match="has no sound"):
        hear(film(tmp_path / "mute.mp4", sound=False))
    with pytest.raises(MediaError, match="too short"):
        hear(wav(tmp_path / "click.wav", 0.02))


def test_soft_speech_is_warned_of(tmp_path: Path) -> None:
    assert any(
        "quiet" in line or "no speech" in line
        for line in hear(wav(tmp_path / "a.wav", 4, gain=0.003)).warnings
    )
