"""The audio-lip memory: addresses are shares, slots come to lips, and keys to the same address."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.memory.lips import AudioLipMemory, aligned, centres, stored

WIDTH, SLOTS = 24, 10


def memory(seed: int = 0, scale: float = 16.0) -> AudioLipMemory:
    torch.manual_seed(seed)
    return AudioLipMemory(SLOTS, WIDTH, scale, dropout=0.0).eval()


def mouths(rows: int = 200, kinds: int = SLOTS, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Lip features (n, C) of so many kinds, which have much in common, and what is heard with them."""
    draw = torch.Generator().manual_seed(seed)
    kind = torch.arange(rows) % kinds
    seen, heard = (torch.randn(kinds, WIDTH, generator=draw) for _ in range(2))
    common = 3 * torch.randn(WIDTH, generator=draw)
    noise = 0.05 * torch.randn(2, rows, WIDTH, generator=draw)
    return common + seen[kind] + noise[0], heard[kind] + noise[1]


def learns(tensor: Tensor) -> bool:
    return tensor.grad is not None and bool(tensor.grad.abs().max() > 0)


def test_the_papers_size() -> None:
    whole = AudioLipMemory(96, 512)
    slots, linear, join = 2 * 96 * 512, 512 * 512 + 512, 1024 * 512 + 512
    assert sum(one.numel() for one in whole.parameters()) == slots + 2 * linear + join == 1_148_416


def test_addresses_are_shares_and_know_no_length() -> None:
    one = memory()
    lips, heard = mouths(20)
    for address, longer in (
        (one.by_lips(lips), one.by_lips(7 * lips)),
        (one._addresses(one.ask(heard), one.keys), one._addresses(7 * one.ask(heard), one.keys)),
    ):
        assert address.shape == (20, SLOTS)
        assert torch.allclose(address.sum(1), torch.ones(20), atol=1e-6)
        assert (address >= 0).all()
        assert torch.allclose(address, longer, atol=1e-5)
    cosine = functional.cosine_similarity(lips[:, None], one.values[None], dim=2)
    assert torch.allclose(one.by_lips(lips), (16 * cosine).softmax(1), atol=1e-5)


def test_divergence_is_none_where_keys_are_values_and_never_negative() -> None:
    one = memory()
    lips, heard = mouths(30)
    by_lips = one.by_lips(one.see(lips))
    assert aligned(by_lips, one.by_sound(heard)) > 0.01
    with torch.no_grad():
        one.keys.copy_(one.values)
        one.ask.load_state_dict(one.see[0].state_dict())
    assert abs(aligned(by_lips, one.by_sound(lips)).item()) < 1e-6
    draw = torch.Generator().manual_seed(3)
    for _ in range(20):
        a, b = torch.randn(2, 5, SLOTS, generator=draw).mul(4).softmax(-1)
        assert aligned(a, b) >= 0
    sure = torch.eye(SLOTS)
    assert torch.isfinite(aligned(sure, sure.roll(1, 0))), "an address of exactly zero has no logarithm"


def test_who_learns_from_what() -> None:
    """Storing moves slots and not the feature that is stored; aligning moves what hears, not what sees."""
    one = memory()
    lips, heard = (rows.requires_grad_() for rows in mouths(12))
    seen = one.see(lips)
    by_lips, by_sound = one.by_lips(seen), one.by_sound(heard)
    aligned(by_lips, by_sound).backward(retain_graph=True)
    assert all(learns(each) for each in (heard, one.keys))
    assert not any(learns(each) for each in (lips, one.values))
    alone = one.values.detach().clone().requires_grad_()
    target = seen.detach().clone().requires_grad_()
    stored(target, by_lips.detach() @ alone).backward()
    assert learns(alone)
    assert not learns(target)


def test_recalling_reaches_the_slots() -> None:
    """On the key path pictures teach values, too."""
    one = memory()
    one.recall(one.by_sound(mouths(4)[1])).sum().backward()
    assert learns(one.values)


def test_filled_slots_are_used_and_recall_what_they_were_filled_with() -> None:
    random, filled = memory(), memory()
    lips, heard = mouths()
    filled.fill(lips, heard)
    said = {}
    for name, one in (("random", random), ("filled", filled)):
        told = one.see(lips)
        address = one.by_lips(told)
        kept = (stored(told, one.recall(address)) / told.var(0).mean()).item()
        said[name] = kept, one.used(address), one.used(one.by_sound(heard))
    assert said["filled"][0] < 0.25 < 1 < said["random"][0]
    assert said["filled"][1] == 1
    assert said["filled"][2] > 0.8
    assert said["random"][1] < 0.8
    # The same sound finds the same slots as the lips that it was heard with.
    near = (filled.by_lips(filled.see(lips)).argmax(1) == filled.by_sound(heard).argmax(1)).float().mean()
    assert near > 0.9


def test_what_all_lips_have_in_common_is_left_out() -> None:
    """Otherwise every cosine is nearly 1, and one slot soon takes all."""
    one = memory()
    lips, heard = mouths()
    before = functional.cosine_similarity(one.see(lips)[:99], one.see(lips)[101:])
    one.fill(lips, heard)
    seen = one.see(lips)
    assert seen.mean(0).abs().max() < 1e-4
    assert (seen.std(0) - 1).abs().max() < 0.05
    assert functional.cosine_similarity(seen[:99], seen[101:]).mean() < 0.3 < before.mean()


def test_what_is_common_is_followed_only_while_learning() -> None:
    one, (lips, _) = memory(), mouths()
    still = one.see(lips)
    assert torch.equal(one.see(lips), still)
    one.train()
    for _ in range(400):
        one.see(lips)
    moved = one.eval().see(lips)
    assert moved.mean(0).abs().max() < 0.05
    assert (moved.std(0) - 1).abs().max() < 0.05


def test_filling_is_repeatable_and_works_with_few_rows() -> None:
    lips, heard = mouths()
    one, two = memory(), memory()
    for each in (one, two):
        each.fill(lips, heard, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    few = memory()
    with torch.autocast("cpu", torch.bfloat16):
        few.fill(lips[:4], heard[:4])
    assert all(torch.isfinite(each).all() for each in few.parameters())
    assert len(few.values.unique(dim=0)) == SLOTS, "slots that are alike would stay alike for ever"


def test_centres_lie_amid_their_rows() -> None:
    lips, _ = mouths(120, 4)
    lips = lips - lips.mean(0)
    middles, which = centres(lips, 12)
    assert len(middles) == 12
    for slot in which.unique().tolist():
        cosine = functional.cosine_similarity(middles[slot][None], lips[which == slot])
        assert cosine.min() > 0.9


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_addresses_keep_their_precision(precision: torch.dtype) -> None:
    one, (lips, _) = memory(), mouths(40)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        got = one.by_lips(lips)
        again = one.recall(got)
    assert got.dtype is torch.float32
    assert torch.equal(got, one.by_lips(lips))
    assert torch.equal(again, one.recall(got))


def test_sound_learns_the_lips_address() -> None:
    one = memory()
    lips, heard = mouths()
    one.fill(lips, heard + torch.randn(heard.shape, generator=torch.Generator().manual_seed(2)))
    learner = torch.optim.Adam([one.keys, *one.ask.parameters()], 1e-2)
    by_lips = one.by_lips(one.see(lips)).detach()
    first = aligned(by_lips, one.by_sound(heard)).item()
    for _ in range(80):
        learner.zero_grad()
        aligned(by_lips, one.by_sound(heard)).backward()
        learner.step()
    assert aligned(by_lips, one.by_sound(heard)).item() < 0.2 * first
    assert isinstance(one.dropout, nn.Dropout)
