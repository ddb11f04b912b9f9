"""DINet: what its drawing costs, what its parts are worth, and whether it can learn one clip by heart.

    python -m tests.bench.dinet                          the paper's network against its straightforward form
    python -m tests.bench.dinet variants BUNDLE STEPS    each part off in turn, trained alike
    python -m tests.bench.dinet overfit BUNDLE STEPS     the first person's first ten seconds alone

Bundles are of the course frame64, as `python -m tasks.general HOME --method dinet --stage frame64` writes
them. One thread, processor time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor, nn

from models.dinet.blocks import folded
from models.dinet.config import DINetConfig, dinet_config
from models.dinet.network import Drawer
from models.dinet.picture import mouth
from models.dinet.training import DrawerTrainee
from models.training import TRAIN, Bundle
from models.training.devices import opened
from models.training.engine import train
from tests.bench.straightforward import straightforward

SIZES = ((208, 160), (416, 320))
WANTED = 0.25
AT_ONCE, ROUNDS = 8, 3
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "no deformation": {"deform": False},
    "no inpainting": {"inpaint": False},
    "attention": {"warp": "attention"},
    "dense flow": {"warp": "flow"},
    "told by the warp alone": {"told": False},
}
TEN_SECONDS = 250


# What a frame costs -----------------------------------------------------------------------------------


def settled(config: DINetConfig) -> Drawer:
    """The paper's network, untrained, but with norms that have seen something."""
    torch.manual_seed(0)
    drawer = Drawer(replace(config.widths, compat=True))
    for module in drawer.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    with torch.no_grad():
        drawer(
            torch.rand(4, 3, 104, 80), torch.randn(4, 5, 29), drawer.remember(torch.rand(4, 5, 3, 104, 80))
        )
    return drawer.eval()


def speed() -> bool:
    """Both forms in turns, at two sizes."""
    plain = settled(dinet_config("gpu"))
    fast = Drawer(plain.widths)
    fast.load_state_dict(plain.state_dict())
    folded(fast)
    ours = fast.to(torch.bfloat16, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    print(
        "crop       straightforward, ms   ours, ms   ratio   difference of 255: usual   largest   in float32"
    )
    good = True
    for height, width in SIZES:
        draw = torch.Generator().manual_seed(1)
        source = torch.rand(AT_ONCE, 3, height, width, generator=draw)
        told = torch.randn(AT_ONCE, 5, 29, generator=draw)
        references = torch.rand(1, 5, 3, height, width, generator=draw)
        slow, quick, away, exact = _side_by_side(plain, ours, source, told, references)
        ratio = quick / slow
        good &= ratio <= WANTED
        print(
            f"{height}x{width} {1e3 * slow:>18.0f} {1e3 * quick:>14.0f} {ratio:>8.3f}"
            f"{255 * away.mean():>26.2f} {255 * away.max():>9.1f} {255 * exact:>12.5f}"
        )
    print(f"at most {WANTED} of the time: {'yes' if good else 'no'}")
    return good


@torch.inference_mode()
def _side_by_side(
    plain: Drawer, ours: Drawer, source: Tensor, told: Tensor, references: Tensor
) -> tuple[float, float, Tensor, float]:
    """Seconds a frame of both, how far apart they are, and how far in float32."""
    kept = ours.remember(references[0][None].bfloat16())
    seen = source.bfloat16().contiguous(memory_format=torch.channels_last)
    spent, made = ([], []), [torch.empty(0), torch.empty(0)]
    for _ in range(ROUNDS):
        started = time.process_time()
        made[0] = straightforward(plain, source[:1], told[:1], references)
        between = time.process_time()
        made[1] = ours(seen, told.bfloat16(), kept)
        spent[0].append(between - started)
        spent[1].append((time.process_time() - between) / AT_ONCE)
    same = plain(source[:1], told[:1], plain.remember(references))
    exact = float((same - made[0]).abs().max())
    return min(spent[0]), min(spent[1]), (made[1][:1] - made[0]).abs(), exact


# What its parts are worth -----------------------------------------------------------------------------


def trained(bundle: Bundle, config: DINetConfig, steps: int, rows: int | None = None) -> dict[str, Any]:
    """Curves and a trainee with its best weights; `rows` keeps only the first of the bundle."""
    bundle.about = replace(bundle.about, plan={"steps": steps, "evaluate_every": max(steps // 4, 1)})
    if rows is not None:
        kept = [one._replace(split=TRAIN) for one in bundle.about.segments if one.stop <= rows]
        bundle.about = replace(bundle.about, segments=kept)
    learner = DrawerTrainee(config.course("frame64"), config, bundle, None)
    with tempfile.TemporaryDirectory() as folder, opened("cpu") as place:
        done = train(learner, Path(folder), "bench", place=place)
    own = {key.removeprefix("drawer/"): value for key, value in done.best.tensors.items()}
    learner.drawer.load_state_dict({key: value for key, value in own.items() if "/" not in key})
    learner.drawer.eval()
    return {"curves": done.curves, "judged": done.best.judged, "learner": learner}


@torch.no_grad()
def followed(learner: DrawerTrainee) -> float:
    """How much worse mouths become when others' are told: share by which the mouth's distance grows."""
    right, wrong = [], []
    for batch in learner.material.held_out(8):
        true, hole = learner._truth(batch)
        at = mouth(true.shape[-2])
        other: Mapping[str, Tensor] = {**batch, "told": batch["told"].roll(1, 0)}
        for told, found in ((batch, right), (other, wrong)):
            found.append((learner._draw(true, hole, told) - true)[..., *at].abs().mean().item())
    return float(np.mean(wrong) / np.mean(right) - 1)


def variants(path: Path, steps: int) -> bool:
    print("variant                    parameters   pixels   mouth SSIM   worse with others' mouths")
    config = dinet_config("cpu")
    for name, changes in VARIANTS.items():
        own = replace(config, widths=replace(config.widths, **changes))
        done = trained(Bundle(path), own, steps)
        size = sum(one.numel() for one in done["learner"].drawer.parameters())
        judged = done["judged"]
        told = f"{judged['pixels']:>8.4f} {judged['mouth_ssim']:>12.3f} {followed(done['learner']):>+12.1%}"
        print(f"{name:<24} {size:>12} {told}", flush=True)
    return True


def overfit(path: Path, steps: int) -> bool:
    """Perception must go on falling, and the mouth become as sharp as it is."""
    bundle = Bundle(path)
    one = next(k for k in bundle.about.segments if k.split == TRAIN)
    rows = [k for k in bundle.about.segments if k.clip == one.clip and k.stop <= one.start + TEN_SECONDS]
    done = trained(bundle, dinet_config("cpu"), steps, max(k.stop for k in rows) if rows else one.stop)
    curve = done["curves"]["draw/features"][:, 1]
    print("perception by tenths:", *(f"{float(part.mean()):.4f}" for part in curve.tensor_split(10)))
    learner = done["learner"]
    batch = learner.material.some(16, torch.Generator().manual_seed(0))
    with torch.no_grad():
        true, hole = learner._truth(batch)
        at = mouth(true.shape[-2])
        edges = [
            (one[..., *at].diff(dim=-1)).abs().mean() for one in (learner._draw(true, hole, batch), true)
        ]
    print(f"sharpness of the mouth, of the truth's: {float(edges[0] / edges[1]):.2f}")
    return bool(curve[-len(curve) // 10 :].mean() < curve[: len(curve) // 2].mean())


def main() -> int:
    torch.set_num_threads(1)
    asked = sys.argv[1:]
    if not asked or asked == ["speed"]:
        return 0 if speed() else 1
    what = {"variants": variants, "overfit": overfit}[asked[0]]
    return 0 if what(Path(asked[1]), int(asked[2])) else 1


if __name__ == "__main__":
    sys.exit(main())
