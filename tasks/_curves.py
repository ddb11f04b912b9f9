"""How a training went, for the ledger and for TensorBoard. Called by `tasks.training` and `tasks.imports`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["metric_rows", "write_events"]

_HELD_OUT = "held_out/"
# Points of a curve that the ledger keeps: it is asked questions, and TensorBoard shows the rest.
_POINTS = 40


def metric_rows(artifact: str, identity: str | None, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the ledger's table: the best on held-out rows by name, and curves as NAME @ STEP."""
    rows = [*_figures(told)]
    for name, curve in told["losses"].items():
        split, plain = _split(name)
        rows += [(f"{plain} @ {int(step)}", split, value) for step, value in _chosen(curve)]
    return [
        {"artifact": artifact, "identity": identity, "metric": metric, "split": split, "value": float(value)}
        for metric, split, value in rows
    ]


def _figures(told: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    for name, value in told["metrics"].items():
        yield name, "held_out", value
    for name in ("steps", "best_step", "seconds"):
        yield f"training {name}", "all", told[name]


def _split(name: str) -> tuple[str, str]:
    held_out = name.startswith(_HELD_OUT)
    return ("held_out", name.removeprefix(_HELD_OUT)) if held_out else ("train", name)


def _chosen(curve: Sequence[Sequence[float]]) -> Iterator[Sequence[float]]:
    step = max(1, -(-len(curve) // _POINTS))
    kept = set(range(0, len(curve), step)) | {len(curve) - 1}
    yield from (point for number, point in enumerate(curve) if number in kept)


def write_events(folder: Path, told: Mapping[str, Any]) -> None:
    """The curves of a checkpoint as event files in `folder`/events, for `tensorboard --logdir`."""
    # Slow to import, and needed only at the end of a training.
    from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

    target = folder / "events"
    for old in target.glob("*"):
        old.unlink()  # of a run that was killed while it wrote them
    with SummaryWriter(str(target)) as writer:
        for name, curve in told["losses"].items():
            for step, value in curve:
                writer.add_scalar(name, value, int(step))
