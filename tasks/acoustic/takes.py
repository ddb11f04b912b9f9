"""Takes: 24 seconds of one voice in one room, as log-mel frames with the sound of every output frame.

Called by `tasks.acoustic.store`; the same (speaker, seed) is the same take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.acoustic.config import AcousticConfig
from models.acoustic.frontend import log_mel
from models.acoustic.symbols import NOISE, PAUSE, phones_of
from tasks.acoustic.augment import RATE, through_the_world
from tasks.acoustic.texts import sentence
from tasks.acoustic.voices import Said, Speaker, said

__all__ = ["TAKE_S", "Take", "as_frames", "nothing_said", "plain_take", "takes"]

TAKE_S = 24
_SAMPLES = TAKE_S * RATE
_FRAMES = TAKE_S * 50
_NEAR_SPEECH_FRAMES = 12


@dataclass(frozen=True)
class Take:
    """mel: (2400, bands), not normalised; phones: (1200,) numbers into PHONES; language: of SPELLINGS."""

    mel: NDArray[np.float16]
    phones: NDArray[np.uint8]
    language: str = ""


def takes(speaker: Speaker, seed: int, copies: int, config: AcousticConfig) -> list[Take]:
    """One performance, `copies` times: each copy at a speed of its own and through a world of its own."""
    draw = np.random.default_rng([seed, 0xACC])
    spoken = _performance(speaker, draw)
    return [_copy(spoken, draw, config, speaker.language) for _ in range(copies)] if spoken else []


def plain_take(
    speaker: Speaker, seed: int, timbre: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A performance as it comes, as sound and phones, for tests of what was learned."""
    draw = np.random.default_rng([seed, 0x91A1])
    return _joined(_performance(speaker, draw, timbre), 1.0, draw)


def nothing_said(babble: NDArray[np.float32], draw: np.random.Generator, config: AcousticConfig) -> Take:
    """Noise, music, hum or plain silence without a voice."""
    quiet = (1e-3 * draw.standard_normal(_SAMPLES)).astype(np.float32)
    sound = np.zeros(_SAMPLES, np.float32) if draw.random() < 0.2 else through_the_world(quiet, babble, draw)
    return Take(as_frames(sound, config), np.full(_FRAMES, NOISE, np.uint8))


def _performance(speaker: Speaker, draw: np.random.Generator, timbre: str | None = None) -> list[Said]:
    texts = [sentence(speaker.language, draw) for _ in range(9)]
    spoken: list[Said] = []
    while texts and sum(len(one.samples) / one.rate for one in spoken) < TAKE_S * 1.2:
        batch, texts = texts[:9], [sentence(speaker.language, draw) for _ in range(9)]
        more = said(speaker, batch, draw, timbre)
        if not more:
            break
        spoken += more
    return spoken


def _copy(spoken: Sequence[Said], draw: np.random.Generator, config: AcousticConfig, language: str) -> Take:
    sound, phones = _joined(spoken, float(np.exp(draw.uniform(-0.2, 0.2))), draw)
    heard = through_the_world(sound, np.flip(sound), draw)
    return Take(as_frames(heard, config), phones, language)


def _joined(
    spoken: Sequence[Said], speed: float, draw: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Sentences one after another with pauses, at a speed that moves pitch and formants along."""
    sound = np.zeros(_SAMPLES, np.float32)
    phones = np.full(_FRAMES, PAUSE, np.uint8)
    at = int(RATE * draw.uniform(0, 1.0) * (draw.random() < 0.5))
    for one in spoken:
        samples = _resampled(one.samples, one.rate * speed)
        _label(phones, one, at / RATE, speed)
        end = min(_SAMPLES, at + len(samples))
        sound[at:end] += samples[: end - at]
        pause_s = draw.exponential(0.25) if draw.random() < 0.9 else draw.uniform(0.5, 3.0)
        at = end + int(RATE * pause_s)
        if at >= _SAMPLES:
            break
    return sound, _far_from_speech(phones)


def _resampled(samples: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    moved = librosa.resample(samples, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")
    return np.asarray(moved, np.float32)


def _label(phones: NDArray[np.uint8], one: Said, start_s: float, speed: float) -> None:
    begun = 0.0
    for symbol, end in one.sounds:
        at = begun
        for phone, share in phones_of(symbol):
            until = at + share * (end - begun)
            # A frame belongs to whoever sounds at its centre.
            first, last = (round((start_s + t / speed) * 50) for t in (at, until))
            phones[min(first, len(phones)) : min(last, len(phones))] = phone
            at = until
        begun = end


def _far_from_speech(phones: NDArray[np.uint8]) -> NDArray[np.uint8]:
    speech = (phones != PAUSE).astype(np.int64)
    near = np.convolve(speech, np.ones(2 * _NEAR_SPEECH_FRAMES + 1, np.int64), "same") > 0
    return np.where(near, phones, NOISE).astype(np.uint8)


def as_frames(sound: NDArray[np.float32], config: AcousticConfig) -> NDArray[np.float16]:
    """The front end's frames, small enough to keep hours of them."""
    margin = (config.window - config.hop) // 2
    with torch.inference_mode():
        mel = log_mel(functional.pad(torch.from_numpy(sound), (margin, margin)), config)
    return mel.numpy().astype(np.float16)
