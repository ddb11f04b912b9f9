"""The state of a training that was interrupted: all that going on bit for bit takes. Private to `training`.

Two generations are kept, so that a state that a dying machine damaged costs a minute and not a night.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.training import files

__all__ = ["State", "load_state", "optimiser_tensors", "reached", "restore_optimiser", "save_state"]

_KEY = "memdub.state"
_CURRENT, _BEFORE = "state.safetensors", "state.before.safetensors"


@dataclass
class State:
    """`told` are numbers, `tensors` by PART/NAME: network, average, best, optimiser/NAME, curve."""

    fingerprint: str
    step: int
    told: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of one part, by the rest of their names."""
        return {
            key.removeprefix(f"{name}/"): value
            for key, value in self.tensors.items()
            if key.startswith(f"{name}/")
        }

    def put(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.tensors |= {f"{name}/{key}": value for key, value in tensors.items()}


def save_state(folder: Path, state: State) -> None:
    """Written beside and moved: a kill leaves the old state or the new one."""
    told = {"fingerprint": state.fingerprint, "step": state.step, "told": state.told}
    fresh, current = folder / f"{_CURRENT}.new", folder / _CURRENT
    files.write(fresh, _KEY, told, state.tensors)
    if current.exists():
        current.replace(folder / _BEFORE)
    fresh.replace(current)


def load_state(folder: Path, fingerprint: str) -> tuple[State | None, list[str]]:
    """The last whole state, and what is to be said about it; ValueError if it is of another training."""
    said: list[str] = []
    for name in (f"{_CURRENT}.new", _CURRENT, _BEFORE):
        path = folder / name
        if not path.exists():
            continue
        try:
            told, tensors = files.read(path, _KEY)
        except ValueError as error:
            said.append(f"damaged state: {error}")
            continue
        if told["fingerprint"] != fingerprint:
            what = "is the state of another training (other data, configuration or seed)"
            raise ValueError(f"{path}: {what}; choose another folder, or remove it")
        if said:
            said.append(f"goes on from the state before it, step {told['step']}")
        return State(fingerprint, told["step"], told["told"], tensors), said
    if said:
        said.append("no whole state is left: training begins anew")
    return None, said


def reached(folder: Path) -> tuple[int, int]:
    """The step of the last state, and of how many; ValueError where there is none."""
    told = files.read_header(folder / _CURRENT, _KEY)
    return int(told["step"]), int(told["told"]["steps"])


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers, by PARAMETER'S NUMBER/KEY. Its settings come with the recipe."""
    return {
        f"{number}/{key}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for number, kept in optimiser.state_dict()["state"].items()
        for key, value in kept.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Back into an optimiser of the same parameters."""
    kept: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        at, _, key = name.partition("/")
        kept.setdefault(int(at), {})[key] = value
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    for number, values in kept.items():
        for key, value in values.items():
            like = parameters[number]
            if key != "step" and value.shape == like.shape:
                # As the optimiser itself would lay it out: channels last where the weights are.
                values[key] = torch.empty_like(like, dtype=value.dtype).copy_(value)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": kept})
