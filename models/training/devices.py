"""Where training happens: one processor, or several of one machine, each with its share of every batch.

Several are torch's own DistributedDataParallel under torchrun. Fabric and accelerate stand on the same,
and `models` has to train where only torch, numpy and safetensors are installed. Private to `training`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

__all__ = ["Place", "device_of", "find_device", "opened"]


@dataclass(frozen=True)
class Place:
    """One of `world` processes that train together, and its processor."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process judges, saves and speaks for all."""
        return self.rank == 0

    def joined(self, module: nn.Module) -> nn.Module:
        """The module, with gradients averaged over all processes."""
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        # Turns leave some networks out: who got no gradient must not be waited for.
        return DistributedDataParallel(module, device_ids=ids, find_unused_parameters=True)

    def share(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This process's part of a batch, on its processor."""
        part = {
            name: value[self.rank * len(value) // self.world : (self.rank + 1) * len(value) // self.world]
            for name, value in batch.items()
        }
        if self.device.type == "cpu":
            return part
        # What was expanded has one place for many rows, which pinning would write to many times.
        whole = {name: value.contiguous() for name, value in part.items()}
        return {name: value.pin_memory().to(self.device, non_blocking=True) for name, value in whole.items()}

    def agreed(self, *told: float) -> tuple[float, ...]:
        """What the leading process says; all must ask."""
        if self.world == 1:
            return told
        values = torch.tensor(told, dtype=torch.float64, device=self.device)
        dist.broadcast(values, 0)
        return tuple(values.tolist())

    def mean(self, told: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars of the same names, over all processes; all must ask."""
        if self.world == 1:
            return told
        values = torch.stack([value.reshape(()) for value in told.values()]) / self.world
        dist.all_reduce(values)
        return dict(zip(told, values.unbind(), strict=True))

    def any(self, told: bool) -> bool:
        """Whether any process says so; all must ask."""
        if self.world == 1:
            return told
        value = torch.tensor([float(told)], device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())


@contextlib.contextmanager
def opened(wanted: str = "auto") -> Iterator[Place]:
    """The place to train at: auto, cpu, cuda or cuda:1; torchrun says how many processes there are."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = find_device(wanted, int(os.environ.get("LOCAL_RANK", "0")))
    with _repeatable(device):
        if world == 1:
            yield Place(device)
            return
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield Place(device, rank, world)
        finally:
            dist.destroy_process_group()


@contextlib.contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On a GPU sums come in the order of the moment unless asked for another; a CPU needs no asking."""
    if device.type != "cuda":
        yield
        return
    # Read when cuBLAS is first used; what a user has set counts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.cuda.set_device(device)
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def device_of(module: nn.Module) -> torch.device:
    """Where a network's parameters are."""
    return next(module.parameters()).device


def find_device(wanted: str, local: int = 0) -> torch.device:
    """The processor of this name; ValueError where there is none."""
    there = torch.cuda.is_available()
    if wanted == "auto":
        wanted = "cuda" if there else "cpu"
    if wanted.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"no device is called {wanted!r}; use auto, cpu, cuda or cuda:1")
    if wanted.startswith("cuda") and not there:
        raise ValueError(f"device {wanted}: torch sees no GPU here; use cpu")
    try:
        device = torch.device(f"cuda:{local}" if wanted == "cuda" else wanted)
    except RuntimeError:
        raise ValueError(f"no device is called {wanted!r}; use auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and device.index >= (cards := torch.cuda.device_count()):
        raise ValueError(f"device {device}: torch sees GPUs cuda:0 to cuda:{cards - 1} here")
    return device
