"""Sentences, voices and what happens to them before the network hears them."""

# ruff: noqa: RUF001 - letters of the phonetic alphabet
from __future__ import annotations

import shutil

import numpy as np
import pytest

from models.acoustic import AcousticConfig
from models.acoustic.symbols import NOISE, PAUSE, PHONES
from tasks.acoustic import augment
from tasks.acoustic.phones import ALPHABETS, ipa
from tasks.acoustic.takes import TAKE_S, nothing_said, plain_take, takes
from tasks.acoustic.texts import SPELLINGS, sentence
from tasks.acoustic.voices import HELD_OUT_TIMBRES, said, speakers

RATE = augment.RATE
ESPEAK = {voice.voice: voice for voice in speakers(("espeak",))}


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("language", SPELLINGS)
def test_sentences_differ_and_end(language: str) -> None:
    found = [sentence(language, draw(seed)) for seed in range(20)]
    assert len(set(found)) > 15
    assert all(text[-1] in ".?!。？！" for text in found)


def test_there_is_a_text_for_every_voice() -> None:
    assert {voice.language for voice in speakers()} <= set(SPELLINGS)
    assert {"en-us", "fr-fr", "de", "cmn"} <= set(ESPEAK)


def test_phones_of_other_alphabets() -> None:
    assert ipa("arpabet", "ow") == "oʊ"
    assert ipa("czech", "r~") == "rʒ"
    assert {ipa(alphabet, "pau") for alphabet in ALPHABETS} == {"_"}
    assert ipa("sampa", "m") == "m"


@pytest.mark.parametrize("voice", [v for v in speakers() if v.engine != "espeak"], ids=lambda v: v.name)
def test_installed_synthesizers_tell_their_times(voice: object) -> None:
    spoken = said(voice, [sentence(voice.language, draw(1))], draw())  # type: ignore[arg-type, attr-defined]
    assert spoken
    ends = [end for _, end in spoken[0].sounds]
    assert ends == sorted(ends)
    assert abs(ends[-1] - len(spoken[0].samples) / spoken[0].rate) < 0.25


@pytest.mark.parametrize("language", ["en-us", "cmn"])
def test_phones_are_where_the_sound_is(language: str) -> None:
    sound, phones = plain_take(ESPEAK[language], 5)
    assert (len(sound), len(phones)) == (TAKE_S * RATE, TAKE_S * 50)
    loud = np.sqrt((sound.reshape(len(phones), -1) ** 2).mean(1))
    vowels = np.array([name.startswith("vowel") for name in PHONES])[phones]
    silent = (phones == PAUSE) | (phones == NOISE)
    assert np.median(loud[vowels]) > 20 * np.median(loud[silent])
    sibilants = np.array(["/fricative/voiceless" in name for name in PHONES])[phones]
    crossings = (np.diff(np.sign(sound)) != 0).astype(float)
    crossings = np.append(crossings, 0).reshape(len(phones), -1).mean(1)
    assert np.median(crossings[sibilants]) > 2 * np.median(crossings[vowels])


def test_the_same_seed_is_the_same_take() -> None:
    config = AcousticConfig()
    one, two = (takes(ESPEAK["de"], 4, 2, config) for _ in range(2))
    assert all(
        np.array_equal(a.mel, b.mel) and np.array_equal(a.phones, b.phones)
        for a, b in zip(one, two, strict=True)
    )
    assert not np.array_equal(one[0].mel, one[1].mel)


def test_held_out_timbres_are_not_drawn() -> None:
    from tasks.acoustic.voices import _timbres

    assert not set(_timbres()) & set(HELD_OUT_TIMBRES)
    assert len(_timbres()) > 30


WORLDS = {
    "room": augment._room,
    "colour": augment._coloured,
    "compressor": augment._compressed,
    "codec": augment._coded,
    "noise": lambda sound, rng: augment._noisy(sound, sound[::-1], rng, (3.0, 40.0)),
    "all": lambda sound, rng: augment.through_the_world(sound, sound[::-1], rng),
}


@pytest.mark.parametrize("world", WORLDS)
def test_worlds_keep_time(world: str) -> None:
    """What a recording goes through moves no sound: the labels would be wrong."""
    sound = plain_take(ESPEAK["en-us"], 2)[0][: 6 * RATE]
    for seed in range(6):
        heard = WORLDS[world](sound, draw(seed))
        assert heard.shape == sound.shape
        assert heard.dtype == np.float32
        assert np.isfinite(heard).all()
        envelopes = [
            np.log10((x[: len(x) // 80 * 80].reshape(-1, 80) ** 2).mean(1) + 1e-8) for x in (heard, sound)
        ]
        a, b = (np.diff(np.convolve(e, np.ones(4) / 4, "same")) for e in envelopes)
        likeness = [np.dot(a[20:-20], np.roll(b, shift)[20:-20]) for shift in range(-12, 13)]
        assert abs(int(np.argmax(likeness)) - 12) <= 2, f"moved by {int(np.argmax(likeness)) - 12} x 5 ms"


def test_nothing_said_is_labelled_so() -> None:
    config = AcousticConfig()
    for seed in range(4):
        take = nothing_said(draw(seed).standard_normal(RATE).astype(np.float32), draw(seed), config)
        assert (take.phones == NOISE).all()
        assert np.isfinite(take.mel).all()


def test_espeak_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert {voice.engine for voice in speakers()} == {"espeak"}
