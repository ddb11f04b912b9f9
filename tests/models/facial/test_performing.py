"""A performance streams, joins its windows without a jump, and is as lively as its person."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.facial.columns import BLINK, COLUMNS, POSE, Statistics
from models.facial.config_performer import AROUND, PerformerConfig
from models.facial.filters import settled, steady
from models.facial.liveliness import REACH, TILE, enlivened, lively
from models.facial.manner import Manner, fit_manner, measured
from models.facial.network_performer import Generator
from models.facial.performing import around, load_performer, perform, performed_raw, plain
from models.methods import Heard
from tests.helpers.performers import blinking, heard, in_blocks, living


def _all(net: Generator, sound: Iterator[Heard]) -> torch.Tensor:
    return torch.cat(list(perform(net, sound)))


def _mannered(net: Generator) -> Generator:
    """With a manner that shows: blinks where more than usual is expected, and gains."""
    rows = performed_raw(net, plain(heard(1500).speech))
    own = 2 * torch.randn(900, 71, generator=torch.Generator().manual_seed(1))
    own[:, BLINK] = torch.from_numpy(blinking(900, 100))
    fit_manner(net.manner, [rows], [own])
    net.manner.mean.copy_(torch.arange(71) / 10)
    return net


@pytest.mark.parametrize("rows", [25, 213, 214, 700, 1037])
def test_blocks_make_no_difference_not_by_a_bit(rows: int) -> None:
    net, whole = _mannered(living()), heard(rows)
    once = _all(net, iter([whole]))
    assert once.shape == (round(rows * 0.6), 71)
    assert torch.isfinite(once).all()
    for sizes in ((1, 2, 50), (333,), (7, 640)):
        assert torch.equal(once, _all(net, in_blocks(whole, sizes)))


def test_every_length_is_performed_once() -> None:
    """Where the last window falls back on the ones before, no row is lost or said twice."""
    net = living()
    symbols = plain(heard(600).speech)
    for rows in (1, 127, 128, 129, 243, 244, 245, 250, 371, 372, 373, 490):
        assert len(performed_raw(net, symbols[:rows])) == rows


def test_a_first_window_is_what_the_network_says() -> None:
    net = living()
    symbols = plain(heard(300).speech)
    padded = torch.cat([symbols[:1].expand(8, -1), symbols])[: 128 + AROUND - 1]
    told = net(around(padded)[None], torch.zeros(1, 71))[0]
    made = performed_raw(net, symbols)
    torch.testing.assert_close(made[:116], told[:116], atol=1e-5, rtol=1e-4)


def test_memory_does_not_grow_with_the_sound() -> None:
    net, given, taken = living(), 0, 0

    def blocks() -> Iterator[Heard]:
        nonlocal taken
        for block in in_blocks(heard(6000), (100,)):
            assert taken * 0.6 - given <= 128 + TILE + 2 * REACH + 60
            taken += len(block.speech)
            yield block

    for rows in perform(net, blocks()):
        given += len(rows)
    assert given == 3600


def test_windows_fade_into_each_other() -> None:
    """Where one window gives way to the next, nothing moves faster than windows do themselves."""
    net = living()
    made = performed_raw(net, plain(heard(2000).speech))
    steps = (made[1:] - made[:-1]).abs().amax(-1)
    near = torch.zeros(len(steps), dtype=torch.bool)
    for joint in range(116, len(made) - 128, 116):
        near[joint - 1 : joint + 13] = True
    assert near.sum() > 100
    assert steps[near].max() <= 1.5 * steps[~near].max()


def test_a_templates_own_statistics_can_be_handed_in() -> None:
    net = _mannered(living())
    own = Statistics(torch.full((71,), 3.0), torch.full((71,), 2.0))
    usual, other = _all(net, iter([heard(200)])), torch.cat(list(perform(net, iter([heard(200)]), own)))
    scored = net.manner.statistics.score(usual)
    torch.testing.assert_close(other[:, POSE], scored[:, POSE] * 2 + 3, atol=1e-4, rtol=1e-4)
    assert torch.equal(other[:, BLINK:], usual[:, BLINK:])


def test_weights_bring_the_manner_along() -> None:
    net = _mannered(living())
    tensors = {f"performer/{name}": value for name, value in net.state_dict().items()}
    again = load_performer(net.config, tensors)
    assert torch.equal(_all(again, iter([heard(400)])), _all(net, iter([heard(400)])))
    with pytest.raises(ValueError):
        load_performer(PerformerConfig.preset("cpu"), tensors)


def _wandering(rows: int, scale: float, seed: int) -> torch.Tensor:
    """Rows whose pose wanders, blinks every three seconds or so."""
    draw = np.random.default_rng(seed)
    out = np.zeros((rows, 71), np.float32)
    width = 31
    steps = draw.normal(size=(6, rows + width - 1))
    out[:, POSE] = scale * np.stack([np.convolve(x, np.hanning(width) / 4, "valid") for x in steps], 1)
    return torch.from_numpy(out)


def test_gains_bring_spread_and_speed_to_the_persons_own() -> None:
    made, own = _wandering(3000, 0.3, 1), _wandering(3000, 1.1, 2)
    own[:, POSE] += 0.2 * torch.sin(torch.arange(3000) / 2.5)[:, None]  # quicker than what is made
    manner = Manner()
    fit_manner(manner, [made], [own])
    after = measured([enlivened(made, manner)])
    wanted = measured([own])
    torch.testing.assert_close(after.spread, wanted.spread, rtol=0.1, atol=0)
    torch.testing.assert_close(after.speed, wanted.speed, rtol=0.1, atol=0)
    calm = measured([torch.cat([*lively([made], manner, moments=False, shown=True)])])
    assert (calm.spread < 0.5 * wanted.spread).all()


@pytest.mark.parametrize("every", [60, 200])
def test_blinks_come_as_often_and_last_as_long_as_the_persons_own(every: int) -> None:
    made, own = _wandering(6000, 1, 1), _wandering(3000, 1, 2)
    own[:, BLINK] = torch.from_numpy(blinking(3000, every, 5))
    made[:, BLINK] = 0.05 * made[:, 0]  # hardly anything, and never a blink
    manner = Manner()
    fit_manner(manner, [made[:3000]], [own])
    after, wanted = measured([enlivened(made, manner)[3000:]]), measured([own])
    assert after.blinks == pytest.approx(wanted.blinks, rel=0.3)
    assert after.blink_s == pytest.approx(wanted.blink_s, rel=0.2)
    assert measured([made]).blinks == 0


@pytest.mark.parametrize("loud", [0.4, 2.5])
def test_another_voice_does_not_change_the_manner(loud: float) -> None:
    """A network that answers more calmly, or more wildly, and looks aside, too."""
    made, own = _wandering(3000, 0.3, 1), _wandering(3000, 1.1, 2)
    own[:, BLINK] = torch.from_numpy(blinking(3000, 100, 5))
    made[:, BLINK] = 0.05 * made[:, 0]
    manner = Manner()
    fit_manner(manner, [made], [own])
    other = _wandering(6000, 0.3 * loud, 3) + 0.5
    after, wanted = measured([enlivened(other, manner)]), measured([own])
    torch.testing.assert_close(after.spread, wanted.spread, rtol=0.25, atol=0)
    torch.testing.assert_close(after.speed, wanted.speed, rtol=0.25, atol=0)
    assert after.blinks == pytest.approx(wanted.blinks, rel=0.1)
    assert float(enlivened(other, manner)[3000:, POSE].mean(0).abs().max()) < 0.5 * float(wanted.spread.min())


def test_blinks_come_where_they_are_expected() -> None:
    made, own = _wandering(3000, 1, 1), _wandering(3000, 1, 2)
    own[:, BLINK] = torch.from_numpy(blinking(3000, 100, 5))
    manner = Manner()
    fit_manner(manner, [made], [own])
    made[:, BLINK] = 0
    made[15::50, BLINK] = 0.1
    shut = enlivened(made, manner)[:, BLINK] > 3
    middles = torch.nonzero(shut & ~shut.roll(1))[:, 0] + 2
    assert len(middles) >= 25
    near = (middles - 15) % 50
    assert float(((near <= 3) | (near >= 47)).float().mean()) > 0.9


def test_who_never_blinks_is_not_made_to() -> None:
    made, own = _wandering(900, 1, 1), _wandering(900, 1, 2)
    made[:, BLINK] = 0.05 * made[:, 0]
    manner = Manner()
    fit_manner(manner, [made], [own])
    assert measured([enlivened(made, manner)]).blinks == 0


def test_what_comes_later_changes_nothing_but_near_it() -> None:
    net = _mannered(living())
    rows = performed_raw(net, plain(heard(500).speech))
    whole = enlivened(rows, net.manner)
    other = rows.clone()
    other[2 * TILE + REACH :] = 9
    torch.testing.assert_close(enlivened(other, net.manner)[: 2 * TILE], whole[: 2 * TILE], atol=1e-5, rtol=0)


def test_a_tremor_is_settled_and_a_nod_is_kept() -> None:
    at = torch.arange(300)[:, None] / 30
    nod = torch.sin(2 * torch.pi * 0.8 * at).expand(-1, 6)
    tremor = 0.1 * torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    after = settled(nod + tremor)[10:-10] - nod[10:-10]
    assert after.std() < 0.6 * tremor.std()
    assert (settled(nod) - nod)[10:-10].abs().max() < 0.03


def test_jitter_is_no_liveliness() -> None:
    """Pose is steadied without lead or lag, and all else is left alone."""
    told = torch.zeros(41, COLUMNS)
    told[20, 0] = 1.0
    found = steady(told)[:, 0]
    assert int(found.argmax()) == 20
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(found[:20].flip(0), found[21:], atol=1e-6)
    rows = torch.randn(300, COLUMNS, generator=torch.Generator().manual_seed(0))
    calm = steady(rows)
    assert torch.equal(calm[:, BLINK:], rows[:, BLINK:])
    assert float((calm[1:, :6] - calm[:-1, :6]).std()) < 0.6 * float((rows[1:, :6] - rows[:-1, :6]).std())
