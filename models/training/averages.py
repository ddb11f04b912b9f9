"""Moving averages of networks: what is judged and saved. Private to `training`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["Averages", "tensors_of"]


def tensors_of(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and saved buffers by NETWORK/PARAMETER; not copies."""
    return {
        f"{name}/{part}": value
        for name, network in networks.items()
        for part, value in network.state_dict().items()
    }


class Averages:
    """Averages of some networks over their last steps."""

    def __init__(self, networks: Mapping[str, nn.Module], averaged: Sequence[str], steps: float) -> None:
        strange = sorted(set(averaged) - set(networks))
        if strange:
            raise ValueError(f"to be averaged, but no network: {strange[0]!r}")
        chosen = {name: networks[name] for name in averaged} if steps > 0 else {}
        self._live = tensors_of(chosen)
        self.values = {name: value.detach().clone() for name, value in self._live.items()}
        self._steps = steps

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """After a step: what is young follows fast, so that the beginning is soon forgotten."""
        if not self.values:
            return
        keep = min(1 - 1 / max(self._steps, 1.0), (step + 1) / (step + 10))
        floating = [name for name, value in self.values.items() if value.dtype.is_floating_point]
        torch._foreach_lerp_(
            [self.values[name] for name in floating], [self._live[name] for name in floating], 1 - keep
        )
        for name in self.values.keys() - set(floating):
            self.values[name].copy_(self._live[name])

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The networks hold their averages while this lasts."""
        kept = {name: value.detach().clone() for name, value in self._live.items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self._live[name].copy_(value)
