"""The explicit memory: what it keeps differs more than chance, and what it finds is nearest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.memory.explicit import (
    blend,
    excluded,
    first_temperature,
    gates,
    nearest,
    select,
    smallest,
)
from models.memory.reading import found, sized


def mouths(frames: int = 900, seed: int = 0) -> np.ndarray:
    """Keys (F, 24) that wander smoothly, as those of a film do: neighbours are alike."""
    draw = np.random.default_rng(seed)
    steps = draw.standard_normal((frames, 6)).cumsum(0)
    steps -= np.linspace(0, 1, frames)[:, None] * steps[-1]
    return (steps @ draw.standard_normal((6, 24)) + 0.01 * draw.standard_normal((frames, 24))).astype("f4")


def by_chance(keys: np.ndarray, count: int) -> float:
    draw = np.random.default_rng(5)
    return float(np.mean([smallest(keys[draw.choice(len(keys), count, replace=False)]) for _ in range(10)]))


def brute(keys: np.ndarray) -> float:
    apart = np.sqrt(((keys[:, None] - keys[None]) ** 2).mean(-1))
    return float(apart[~np.eye(len(keys), dtype=bool)].min())


def test_selection_beats_chance_and_only_gets_better() -> None:
    keys = mouths()
    chosen = select(keys, 60, seed=1)
    assert chosen.distance == pytest.approx(brute(keys[chosen.rows]), rel=1e-3)
    assert chosen.distance >= 2 * by_chance(keys, 60)
    assert (np.diff(chosen.history) > -1e-6).all()
    assert len(set(chosen.rows.tolist())) == 60
    assert (np.diff(chosen.rows) > 0).all()
    assert np.array_equal(chosen.rows, select(keys, 60, seed=1).rows)


def test_no_swap_would_help_any_more() -> None:
    keys = mouths(200)
    chosen = select(keys, 20, rounds=50)
    kept = keys[chosen.rows]
    for row in set(range(200)) - set(chosen.rows.tolist()):
        for slot in range(20):
            other = kept.copy()
            other[slot] = keys[row]
            assert brute(other) <= chosen.distance * (1 + 1e-3)


def test_duplicates_are_not_kept_twice() -> None:
    keys = mouths(80).repeat(5, 0)
    assert select(keys, 40).distance > 0.01


def test_fewer_frames_than_slots_are_all_kept() -> None:
    keys = mouths(12)
    assert select(keys, 300).rows.tolist() == list(range(12))
    assert smallest(keys[:1]) == 0


def test_gates_keep_what_is_sharp_sure_frontal_and_steady() -> None:
    frames = 60
    keys = mouths(frames).reshape(frames, 8, 3) * 0.1
    told = {
        "sharpness": np.full(frames, 0.5, "f4"),
        "confidence": np.full(frames, 0.9, "f4"),
        "error": np.full(frames, 0.01, "f4"),
        "rotation": np.zeros((frames, 3), "f4"),
    }
    told["sharpness"][3], told["confidence"][5], told["error"][7] = 0.1, 0.2, 0.3
    told["rotation"][9, 1] = np.radians(33)
    keys[20] += 9
    keys[30] = np.nan
    kept = gates(keys, **told, least=10)
    assert np.flatnonzero(~kept).tolist() == [3, 5, 7, 9, 20, 30]
    assert gates(keys, **told, least=55)[9], "turned heads rather than no memory"
    told["confidence"][:] = 0
    assert not gates(keys, **told, least=10).any()


@pytest.mark.parametrize("slots", [7, 300, 2000])
def test_the_nearest_are_found(slots: int) -> None:
    draw = torch.Generator().manual_seed(slots)
    keys = torch.randn(slots, 12, generator=draw) + 50
    asked = torch.randn(40, 12, generator=draw) + 50
    distances, which = nearest(asked, keys, 4)
    apart = ((asked[:, None] - keys[None]) ** 2).mean(-1).sqrt()
    least, true = apart.topk(4, 1, largest=False)
    assert torch.allclose(distances, least, atol=1e-3)
    assert torch.equal(which, true)


def test_a_row_does_not_see_itself_nor_its_neighbours() -> None:
    rows, slots = torch.tensor([10, 100]), torch.tensor([3, 5, 10, 15, 16, -1])
    hidden = excluded(rows, slots, 5)
    assert hidden.tolist() == [[False, True, True, True, False, False], [False] * 6]
    keys = torch.arange(6.0)[:, None].repeat(1, 3)
    distances, which = found(keys[[2, 2]], keys, 2, hidden)
    assert which[0].tolist() == [4, 0] or which[0].tolist() == [0, 4]
    assert which[1, 0] == 2
    assert distances.shape == (2, 3)


def test_weights_never_jump() -> None:
    """Along a way through the keys, a slot's weight is gone before another takes its place."""
    draw = torch.Generator().manual_seed(2)
    keys = torch.randn(50, 6, generator=draw)
    a, b = torch.randn(2, 6, generator=draw)
    way = torch.lerp(a, b, torch.linspace(0, 1, 4000)[:, None])
    distances, which = found(way, keys, 3)
    weights = torch.zeros(len(way), 50).scatter(1, which, blend(distances, torch.tensor(0.3)))
    assert torch.allclose(weights.sum(1), torch.ones(len(way)), atol=1e-4)
    assert (weights[1:] - weights[:-1]).abs().max() < 0.02
    assert len(which.flatten().unique()) > 4


def test_too_few_slots_are_read_all_the_same() -> None:
    keys = torch.tensor([[0.0], [1.0]])
    distances, which = found(torch.tensor([[0.2]]), keys, 3)
    weights = blend(distances, torch.tensor(1.0))
    assert which[:, :2].tolist() == [[0, 1]]
    assert which.shape == (1, 3)
    assert weights.sum() == pytest.approx(1)
    assert weights[0, 2] == 0, "who is not there counts for nothing"
    lonely = blend(torch.full((1, 4), torch.inf), torch.tensor(1.0))
    assert (lonely == 0).all()


def test_the_first_temperature_gives_the_nearest_its_share() -> None:
    keys = torch.from_numpy(mouths(300))
    distances, _ = found(keys[::3] + 0.1, keys[1::3], 3)
    weights = blend(distances, torch.tensor(first_temperature(distances, 0.6)))
    assert weights[:, 0].median().item() == pytest.approx(0.6, abs=0.05)


def test_pictures_change_their_size() -> None:
    patches = torch.full((3, 32, 32, 3), 77, dtype=torch.uint8)
    assert sized(patches, 32) is patches
    assert (sized(patches, 16) == 77).all()
    assert sized(patches, 16).shape == (3, 16, 16, 3)


def test_fewer_slots_than_are_read_leave_gradients_whole() -> None:
    temperature = torch.tensor(1.0, requires_grad=True)
    inf = float("inf")
    weights = blend(torch.tensor([[1, inf, inf, inf], [inf, inf, inf, inf], [1, 2, 3, 4.0]]), temperature)
    weights[:, 0].sum().backward()
    assert weights[0].tolist() == [1, 0, 0]
    assert weights[1].tolist() == [0, 0, 0]
    assert float(weights[2].sum()) == pytest.approx(1)
    assert temperature.grad is not None
    assert torch.isfinite(temperature.grad)
