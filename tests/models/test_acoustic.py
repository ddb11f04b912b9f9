"""The acoustic network: its front end, its streaming, its symbols."""

# ruff: noqa: RUF001 - letters of the phonetic alphabet
from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.acoustic import SYMBOLS, AcousticConfig, AcousticNet, Network, load
from models.acoustic.frontend import log_mel, mel_matrix, normalise
from models.acoustic.symbols import BLANK, NOISE, PAUSE, PHONES, SPACE, lip_gap_of, phones_of, symbols_of
from storage import clips

SMALL = AcousticConfig(width=12, bottleneck=6, dilations=(1, 2), tile=40, mean_reach=30)


def network(config: AcousticConfig = SMALL, seed: int = 0) -> AcousticNet:
    torch.manual_seed(seed)
    return AcousticNet(Network(config))


def speechlike(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes."""
    draw = np.random.default_rng(seed)
    count = round(seconds * 16000)
    knots = np.arange(0, count + 4000, 2000)
    level = np.interp(np.arange(count), knots, draw.uniform(0.02, 1, len(knots)))
    return (0.1 * level * draw.standard_normal(count)).astype(np.float32)


def test_symbols_are_the_stores() -> None:
    assert SYMBOLS == clips.SYMBOLS
    assert (SYMBOLS[SPACE], SYMBOLS[BLANK], len(SYMBOLS)) == (" ", "<blank>", 29)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (319, 1), (320, 1), (321, 2), (16000, 50)])
def test_fifty_frames_a_second(samples: int, frames: int) -> None:
    out = network()(speechlike(2)[:samples])
    assert out.shape == (frames, 29)
    assert out.dtype == np.float32


def test_rows_are_log_probabilities() -> None:
    out = network()(speechlike(3))
    assert np.allclose(np.exp(out).sum(1), 1.0, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_blocks_do_not_matter_by_a_bit(seed: int) -> None:
    sound, net = speechlike(5.3, seed), network()
    draw = np.random.default_rng(seed)
    blocks = np.split(sound, np.sort(draw.integers(0, len(sound), 25)))
    assert np.array_equal(np.concatenate(list(net.stream(blocks))), net(sound))


def test_tiles_leave_no_seam() -> None:
    """The whole sound through the network at once, which tiles must equal at every border."""
    sound, net = speechlike(4), network()
    config, reach = net.config, 2 * net.config.reach
    mel = log_mel(functional.pad(torch.from_numpy(sound), (120, 120)), config)
    padded = functional.pad(normalise(mel, config), (0, 0, reach, reach))
    with torch.inference_mode():
        whole = net.network(padded[None])[1][0, net.config.reach : -net.config.reach].numpy()
    assert len(whole) > 4 * net.config.tile
    assert np.abs(whole - net(sound)).max() < 1e-4


def test_little_sound_is_held_back() -> None:
    """Rows come while sound comes: what waits is a tile, what it looks at, and a piece of sound."""
    net, given, frames = network(), [], 0

    def blocks() -> Iterator[np.ndarray]:
        for _ in range(120):
            given.append(50)
            yield speechlike(1)

    held = 0
    for rows in net.stream(blocks()):
        frames += len(rows)
        held = max(held, sum(given) - frames) if len(given) < 120 else held
    assert frames == 6000
    assert held < 4 * net.config.tile + net.config.mean_reach


@pytest.mark.parametrize("decibels", [-40, -20, 6])
def test_level_does_not_matter(decibels: float) -> None:
    sound, net = speechlike(4), network()
    assert np.abs(net((sound * 10 ** (decibels / 20)).astype(np.float32)) - net(sound)).max() < 2e-3


def test_a_microphones_colour_hardly_matters() -> None:
    """A steady gain of each band is taken off."""
    mel = torch.randn(800, SMALL.bands, generator=torch.Generator().manual_seed(0))
    colour = torch.linspace(-3, 3, SMALL.bands)
    assert (normalise(mel + colour, SMALL) - normalise(mel, SMALL)).abs().mean() < 0.05


def test_a_click_is_heard_where_it_was() -> None:
    """Frame k is centred on (k + .5) * 20 ms: what a click changes is centred on the click."""
    net = network(AcousticConfig(width=12, bottleneck=6, dilations=(1,), tile=40))
    quiet = speechlike(3) * 0.01
    for at_s in (1.01, 1.49, 2.03):
        loud = quiet.copy()
        loud[round(at_s * 16000)] += 1.0
        changed = np.abs(net(loud) - net(quiet)).sum(1)
        around = np.arange(len(changed)) * 0.02 + 0.01
        near = np.abs(around - at_s) < 0.12
        assert abs((changed[near] * around[near]).sum() / changed[near].sum() - at_s) < 0.02


def test_silence_and_harmed_samples_are_finite() -> None:
    sound = np.zeros(32000, np.float32)
    assert np.isfinite(network()(sound)).all()
    sound[100:200] = np.nan
    sound[300] = np.inf
    assert np.isfinite(network()(sound)).all()


def test_mel_bands_hear_their_own_pitch() -> None:
    """A sine at a band's middle is loudest there, also in the narrow bands at the bottom."""
    config = AcousticConfig()
    matrix = mel_matrix(config)
    assert torch.allclose(matrix.sum(0), torch.ones(config.bands))
    for band in (5, 20, 40, 60):
        hertz = float((matrix[:, band] * torch.linspace(0, 8000, 257)).sum())
        sine = torch.sin(2 * math.pi * hertz * torch.arange(4000) / 16000)
        assert abs(int(log_mel(sine, config).mean(0).argmax()) - band) <= 1


def test_weights_come_back() -> None:
    net = network()
    arrays = {name: value.numpy() for name, value in net.network.state_dict().items()}
    again = load(arrays, net.config.as_metadata())
    assert np.array_equal(again(speechlike(1)), net(speechlike(1)))
    with pytest.raises(ValueError, match="lacking"):
        load(
            {name: value for name, value in arrays.items() if name != "entry.weight"},
            net.config.as_metadata(),
        )
    with pytest.raises(ValueError, match="header"):
        load(arrays, {})


@pytest.mark.parametrize(
    ("symbol", "letter"),
    [
        ("p", "p"),
        ("m", "m"),
        ("f", "f"),
        ("ɑ", "a"),
        ("i", "i"),
        ("u", "u"),
        ("y", "y"),
        ("w", "w"),
        ("ə", "'"),
    ],
)
def test_sounds_go_to_letters_with_their_mouth(symbol: str, letter: str) -> None:
    (phone, share), *more = phones_of(symbol)
    assert not more
    assert share == 1.0
    assert SYMBOLS[int(np.argmax(symbols_of(phone)))] == letter


def test_every_phone_is_shared_out_whole() -> None:
    for phone in range(len(PHONES)):
        assert math.isclose(sum(symbols_of(phone)), 1.0, rel_tol=1e-6)
        assert 0.0 <= lip_gap_of(phone) <= 1.0
    assert symbols_of(PAUSE)[SPACE] == symbols_of(NOISE)[BLANK] == 1.0


@pytest.mark.parametrize("symbol", ["tʃ", "eɪ", "ts.h", "onɡ", "œ̃", "?", "", "_", "ǂ", "ɧ", "ʡ", "mʲ", "xyz"])
def test_any_symbol_is_some_phone(symbol: str) -> None:
    found = phones_of(symbol)
    assert math.isclose(sum(share for _, share in found), 1.0, rel_tol=1e-6)
    assert all(0 <= phone < len(PHONES) for phone, _ in found)


def test_lips_of_phones_are_in_order() -> None:
    gaps = [lip_gap_of(phones_of(symbol)[0][0]) for symbol in ("m", "f", "u", "i", "e", "a")]
    assert gaps == sorted(gaps)
