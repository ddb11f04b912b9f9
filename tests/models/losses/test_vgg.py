"""The user's own VGG-16: read from either kind of file, pinned by the recipe, refused in a line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.losses import Perception
from models.losses.vgg import VARIABLE, VggPerception, perception_of, vgg_digest

SHAPES = (
    (0, 3, 64),
    (2, 64, 64),
    (5, 64, 128),
    (7, 128, 128),
    (10, 128, 256),
    (12, 256, 256),
    (14, 256, 256),
)


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights with torchvision's names and shapes, and some that are not looked at."""
    draw = torch.Generator().manual_seed(seed)
    found = {"classifier.6.bias": torch.zeros(10), "features.17.bias": torch.zeros(512)}
    for number, into, width in SHAPES:
        scale = (2 / (9 * into)) ** 0.5
        found[f"features.{number}.weight"] = torch.randn(width, into, 3, 3, generator=draw) * scale
        found[f"features.{number}.bias"] = torch.zeros(width)
    return found


@pytest.fixture(params=[".safetensors", ".pth"])
def file(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / f"my vgg{request.param}"
    save_file(state(), path) if request.param == ".safetensors" else torch.save(state(), path)
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def planned() -> dict:
    return {"parameters": {"perception": {"vgg16": vgg_digest()}}}


def test_a_recipe_names_the_file_and_gets_it(file: Path) -> None:
    assert vgg_digest() == hashlib.sha256(file.read_bytes()).hexdigest()
    look = perception_of(planned())
    assert isinstance(look, VggPerception)
    assert torch.equal(look.layers[6].weight, state()["features.14.weight"])
    assert not any(parameter.requires_grad for parameter in look.parameters())
    assert type(perception_of({"parameters": {}})) is Perception, "planned without, trained without"


def test_it_is_a_distance() -> None:
    look, draw = VggPerception(state()), torch.Generator().manual_seed(3)
    x = torch.rand(2, 3, 48, 48, generator=draw) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    assert look(x, x) == 0
    assert look(blurred, x) > look(0.9 * x + 0.1 * blurred, x) > 0
    made = blurred.clone().requires_grad_()
    look(made, x).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    corner = x.clone()
    corner[:, :, :8, :8] = 0
    weight = torch.zeros(2, 1, 48, 48)
    weight[:, :, 24:, 24:] = 1
    assert look(corner, x, weight) < 0.05 * look(corner, x, 1 - weight)


def test_another_file_than_was_planned_with_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = planned()
    save_file(state(1), file.with_name("other.safetensors"))
    monkeypatch.setenv(VARIABLE, str(file.with_name("other.safetensors")))
    with pytest.raises(ValueError, match="not the VGG-16 that was planned with"):
        perception_of(recipe)
    monkeypatch.delenv(VARIABLE)
    assert vgg_digest() is None
    with pytest.raises(ValueError, match="set MEMDUB_VGG_WEIGHTS to that file"):
        perception_of(recipe)


class Trap:
    def __reduce__(self) -> tuple:
        return (print, ("code of a foreign file runs",))


@pytest.mark.parametrize("how", ["missing", "cut", "shape", "text", "code"])
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    path = tmp_path / ("a.safetensors" if how == "cut" else "a.pth")
    monkeypatch.setenv(VARIABLE, str(path))
    if how == "cut":
        save_file(state(), path)
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "shape":
        torch.save({**state(), "features.7.weight": torch.zeros(128, 64, 3, 3)}, path)
    elif how == "text":
        path.write_text("hello")
    elif how == "code":
        torch.save({"features.0.weight": Trap()}, path)
    with pytest.raises(ValueError, match=r"names no file|cannot be used|more than tensors") as caught:
        vgg_digest()
    assert "\n" not in str(caught.value)
    assert "runs" not in capsys.readouterr().out
