"""The public network with random weights says what torchmetrics' copy of it says; wrong files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import lpips as theirs

from models.judges.lpips import Lpips, load_lpips


def alexnet(net: str, pretrained: bool) -> nn.Sequential:
    """What torchvision would give: its features, as its paper and ImageNet's winners have them."""
    assert net == "alexnet"
    layers: list[nn.Module] = []
    for into, out, kernel, stride, padding in ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1)):
        layers += [nn.Conv2d(into, out, kernel, stride, padding), nn.ReLU(), nn.MaxPool2d(3, 2)]
    del layers[-1]
    for into in (384, 256):
        layers += [nn.Conv2d(into, 256, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def other() -> nn.Module:
    """torchmetrics' network, at random, and with its own heads."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "_get_tv_model_features", alexnet)
        net = theirs._LPIPS(pretrained=True, pnet_rand=True, net="alex")
    for own in net.net.parameters():
        nn.init.normal_(own, std=0.05)
    return net


def file(net: nn.Module, path: Path, **changes: object) -> Path:
    """As the public package has it: with what torchmetrics does not keep."""
    scaling = {f"scaling_layer.{name}": getattr(net.scaling_layer, name) for name in ("shift", "scale")}
    tensors = {**scaling, **net.state_dict(), **changes}
    torch.save({name: one for name, one in tensors.items() if one is not None}, path)
    return path


@pytest.fixture(scope="module")
def net(other: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Lpips:
    return load_lpips(file(other, tmp_path_factory.mktemp("lpips") / "alex.pth"))


def pictures(seed: int, side: int = 64) -> Tensor:
    return torch.rand(3, 3, side, side + 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_torchmetrics_says_the_same(net: Lpips, other: nn.Module) -> None:
    a, b = pictures(0), pictures(1)
    with torch.inference_mode():
        said, wanted = net(a, b), other(a, b).flatten()
    assert said.shape == (3,)
    assert (said > 1e-3).all()
    torch.testing.assert_close(said, wanted, rtol=1e-4, atol=1e-6)


def test_alike_is_nothing_and_further_is_more(net: Lpips) -> None:
    a = pictures(0)
    assert net(a, a).tolist() == [0, 0, 0]
    said = torch.stack([net(a.lerp(pictures(1), share), a) for share in (0.1, 0.3, 0.9)])
    assert (said[0] < said[1]).all()
    assert (said[1] < said[2]).all()
    torch.testing.assert_close(net(a, pictures(1)), net(pictures(1), a))
    assert not any(one.requires_grad for one in net.parameters())


def test_older_files_without_doubled_heads_are_the_same(net: Lpips, other: nn.Module, tmp_path: Path) -> None:
    doubled = {f"lins.{k}.model.1.weight": None for k in range(5)}
    assert doubled.keys() < other.state_dict().keys()
    older = load_lpips(file(other, tmp_path / "old.pth", **doubled))
    assert older(pictures(0), pictures(1)).tolist() == net(pictures(0), pictures(1)).tolist()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"net.slice2.3.bias": None}, r"net\.slice2\.3\.bias is missing"),
        ({"lin4.model.1.weight": torch.zeros(1, 512, 1, 1)}, r"is \(1, 512, 1, 1\) and not \(1, 256, 1, 1\)"),
        ({"scaling_layer.shift": None}, "scaling_layer.shift is missing"),
        ({"lins.0.model.1.weight": torch.zeros(1, 64, 1, 1)}, r"lins\.0\.model\.1\.weight is not known"),
        ({"lin5.model.1.weight": torch.zeros(1, 512, 1, 1)}, "lin5"),
        ({"net.slice1.0.bias": torch.full((64,), torch.nan)}, "no number"),
        ({"net.slice1.0.bias": [0.0] * 64}, "missing"),
    ],
)
def test_files_of_other_networks_are_refused(
    other: nn.Module, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        load_lpips(file(other, tmp_path / "x.pth", **changes))


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run",))


def test_what_is_no_file_of_tensors_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("?")
    (tmp_path / "empty").write_bytes(b"")
    torch.save([torch.zeros(3)], tmp_path / "list")
    torch.save({"x": Evil()}, tmp_path / "code")
    for name in ("text", "empty", "list", "code", "missing"):
        with pytest.raises(ValueError, match="no weights of LPIPS") as told:
            load_lpips(tmp_path / name)
        assert "\n" not in str(told.value)
    assert capsys.readouterr().out == ""
