"""Takes on disk, the training loop, the weights' file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.acoustic import AcousticConfig, AcousticNet, Network, load
from models.acoustic.symbols import PHONES
from storage.errors import WorkError
from storage.weights import open_safetensors
from storage.weights.table import bundled
from tasks.acoustic import store
from tasks.acoustic.export import list_weights, save_weights
from tasks.acoustic.store import Plan, Shard, make, shards
from tasks.acoustic.training import Recipe, train

SMALL = AcousticConfig(width=16, bottleneck=8, dilations=(1, 2))
PLAN = Plan.of_this_machine(0.02, takes_a_shard=2, engines=("espeak",))


def made_up(takes: int = 6, seed: int = 0) -> Shard:
    """Phones that are heard as a bump at a place of their own: easy to learn."""
    draw = np.random.default_rng(seed)
    phones = np.repeat(draw.integers(0, len(PHONES), (takes, 150)), 8, axis=1).astype(np.uint8)
    centre = 2 + 60 * phones.repeat(2, axis=1)[..., None] / len(PHONES)
    mel = -10 + 6 * np.exp(-((np.arange(64) - centre) ** 2) / 8) + draw.normal(0, 0.3, (takes, 2400, 64))
    return Shard(mel.astype(np.float16), phones, np.array(["en", "fr"] * (takes // 2)))


def test_shards_are_made_once_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    place = make(PLAN, SMALL, tmp_path, lambda done, of: told.append((done, of)))
    files = sorted(place.glob("*.npz"))
    assert told == [(i + 1, len(files)) for i in range(len(files))]
    first = next(shards(place))
    assert first.mel.shape == (2, 2400, 64)
    assert first.phones.shape == (2, 1200)
    files[0].unlink()
    kept = files[-1].stat().st_mtime_ns
    make(PLAN, SMALL, tmp_path)
    again = next(shards(place))
    assert np.array_equal(first.mel, again.mel)
    assert np.array_equal(first.phones, again.phones)
    assert len(files) == 1 or files[-1].stat().st_mtime_ns == kept
    monkeypatch.setattr(store, "takes", lambda *_: [])
    with pytest.raises(WorkError, match="no voice says anything"):
        make(Plan(0.01, PLAN.voices, seed=9, takes_a_shard=2, silent_share=0.0), SMALL, tmp_path)


def test_more_hours_are_more_of_the_same_data() -> None:
    longer = Plan.of_this_machine(1.0, takes_a_shard=2, engines=("espeak",))
    assert longer.key(SMALL) == PLAN.key(AcousticConfig())
    assert longer.key(AcousticConfig(bands=40)) != PLAN.key(AcousticConfig())


def test_training_learns_and_is_repeatable() -> None:
    torch.set_num_threads(1)
    recipe = Recipe(60, batch=2, rate=5e-3, averaged_steps=10, bf16=False)
    one = train([made_up()], SMALL, recipe)
    two = train([made_up()], SMALL, recipe)
    assert np.mean(one.losses[-5:]) < 0.7 * np.mean(one.losses[:5])
    assert one.losses == two.losses
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.network.state_dict().values(), two.network.state_dict().values(), strict=True)
    )


def test_training_goes_on_from_a_network() -> None:
    torch.set_num_threads(1)
    start = Network(SMALL)
    with torch.no_grad():
        start.symbols.bias[3] = 7.0
    more = train([made_up()], SMALL, Recipe(2, batch=2, rate=1e-4, averaged_steps=2), start=start)
    assert more.network.symbols.bias[3] > 6.9
    assert start.symbols.bias[3] == 7.0


def test_saved_weights_say_the_same(tmp_path: Path) -> None:
    network = Network(SMALL).eval()
    file = save_weights(network, tmp_path / "models" / "weights" / "acoustic.safetensors", {"steps": 3})
    content = open_safetensors(file)
    sound = (0.1 * np.random.default_rng(0).standard_normal(32000)).astype(np.float32)
    net = load(content.arrays, content.metadata)
    assert np.abs(net(sound) - AcousticNet(network)(sound)).max() < 0.02
    assert '"steps": 3' in content.metadata["training"]
    list_weights(file, file.parent / "weights.json", "for lips", "acoustic.md")
    lines = (file.parent / "weights.json").read_text()
    assert str(file.stat().st_size) in lines
    assert not list(file.parent.glob("*.part"))


def test_the_packages_list_names_its_files() -> None:
    (found,) = [weights for weights in bundled() if weights.name == "acoustic"]
    assert found.path is not None
    assert found.path.is_file()
