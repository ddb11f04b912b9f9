"""The weights that the package carries: found, small, and about lips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.acoustic import SYMBOLS, AcousticNet, load
from models.acoustic.symbols import BLANK, PHONES, SPACE
from storage.weights import Registry, open_safetensors
from tasks.acoustic.takes import plain_take
from tasks.acoustic.voices import HELD_OUT_TIMBRES, speakers

MILLION = 10**6


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> AcousticNet:
    found = Registry(tmp_path_factory.mktemp("home")).find("acoustic")
    content = open_safetensors(found.path)
    return load(content.arrays, content.metadata)


def test_the_registry_knows_them(tmp_path: Path) -> None:
    found = Registry(tmp_path).find("acoustic")
    assert found.origin == "bundled"
    assert found.path.stat().st_size == found.weights.size
    assert found.path.stat().st_size < 10 * MILLION
    card = found.path.with_name(str(found.weights.card)).read_text()
    assert "How it was measured" in card


def silent_share(symbols: np.ndarray) -> float:
    best = symbols.argmax(1)
    return float(((best == SPACE) | (best == BLANK)).mean())


def test_silence_and_noise_are_no_speech(net: AcousticNet) -> None:
    draw = np.random.default_rng(0)
    assert silent_share(net(np.zeros(160_000, np.float32))) > 0.98
    for level in (0.0003, 0.003, 0.1):
        assert silent_share(net(level * draw.standard_normal(160_000).astype(np.float32))) > 0.9


@pytest.mark.parametrize("language", ["en-us", "fr-fr", "de", "cmn"])
def test_lips_are_told_apart_in_voices_never_heard(net: AcousticNet, language: str) -> None:
    """The letters of closed lips are likelier in p, b and m than elsewhere; a in open vowels."""
    voice = next(one for one in speakers(("espeak",)) if one.voice == language)
    sound, phones = plain_take(voice, 7, HELD_OUT_TIMBRES[0])
    symbols = net(sound)
    spoken = phones > 1
    assert silent_share(symbols[spoken]) < 0.15
    closed = np.array([name.startswith(("bilabial/stop", "bilabial/nasal")) for name in PHONES])[phones]
    opened = np.array([name.startswith(("vowel/0.85", "vowel/1/")) for name in PHONES])[phones]
    lips = np.exp(symbols[:, [SYMBOLS.index(letter) for letter in "pbm"]]).sum(1)
    jaw = np.exp(symbols[:, SYMBOLS.index("a")])
    assert lips[closed].mean() > 3 * lips[spoken & ~closed].mean()
    assert jaw[opened].mean() > 3 * jaw[spoken & ~opened].mean()


def test_a_whisper_of_the_same_is_the_same(net: AcousticNet) -> None:
    voice = speakers(("espeak",))[0]
    sound, _ = plain_take(voice, 3)
    assert np.abs(net(0.01 * sound) - net(sound)).mean() < 0.02
