"""What was trained: a table of checkpoints with their figures, and how each one's loss fell.

Private to `flows.identity_page` and `flows.site`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flows.portraits import duration, when
from flows.sorting import cell, sorted_table

__all__ = ["trained"]

_WIDE, _HIGH = 130, 34
# A metric of a moment in training is called `loss @ 50`, or `play/loss @ 50` of a part of it.
_STEP = re.compile(r"loss @ (\d+)")


def trained(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The table; rows are of `artifacts` with their recipes parsed, metrics by artifact."""
    if not rows:
        return '<p class="empty">Nothing yet.</p>'
    head = [(name, "ascending") for name in ("method", "stage")]
    head += [("made", "descending"), ("took", "descending"), ("loss", ""), ("held out", "")]
    cells = [_row(row, metrics.get(row["id"], {})) for row in rows]
    return sorted_table(head, cells, left=(1, 4, 5))


def _row(row: Mapping[str, Any], told: Mapping[str, float]) -> list[str]:
    asked = row["recipe"]["parameters"]
    method, stage = str(asked.get("method", "")), str(asked.get("stage", ""))
    named = html.escape(", ".join(filter(None, (method, asked.get("preset")))))
    return [
        cell(f"{named}<small>{html.escape(row['id'])}</small>", method),
        cell(html.escape(stage), stage, "left"),
        cell(when(row["started"]), row["started"].isoformat()),
        cell(duration(row["seconds"]), row["seconds"]),
        cell(_spark(told), "", "left"),
        cell(html.escape(_figures(told)), "", "left figures"),
    ]


def _figures(told: Mapping[str, float]) -> str:
    """What is told of the whole training, and not of a moment in it."""
    kept = {name: value for name, value in told.items() if "@" not in name and "/" not in name}
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in sorted(kept.items()))


def _spark(told: Mapping[str, float]) -> str:
    """The loss by step, as a small drawing."""
    steps = {int(found[1]): value for name, value in told.items() if (found := _STEP.fullmatch(name))}
    if len(steps) < 2:
        return ""
    low, high, last = min(steps.values()), max(steps.values()), max(steps)
    places = (
        f"{_WIDE * at / max(last, 1):.1f} {3 + (_HIGH - 6) * (high - steps[at]) / max(high - low, 1e-12):.1f}"
        for at in sorted(steps)
    )
    words = f"loss from {steps[min(steps)]:.3g} to {steps[last]:.3g} in {last} steps"
    return (
        f'<svg class="spark" viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{words}">'
        f'<title>{words}</title><path d="M{"L".join(places)}"/></svg>'
    )
