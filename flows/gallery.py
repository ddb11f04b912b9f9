"""A memory as a page: every remembered mouth, from shut to open, from narrow to wide.

Called by the flow `remember`, and by reports.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.pages import page

__all__ = ["gallery", "gallery_grid", "gallery_strip"]

F32 = NDArray[np.float32]

_STYLE = """<style>
.mouths { display: grid; grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); gap: 6px; }
.mouths img { width: 100%; aspect-ratio: 1; border-radius: 8px; display: block; object-fit: cover; }
.mouths figure { margin: 0; min-width: 0; }
.mouths figcaption { font-size: 11px; margin: 2px 0 4px; white-space: nowrap; overflow: hidden; }
h2 small { color: var(--soft); font-weight: 400; }
@media (max-width: 640px) { .mouths { grid-template-columns: repeat(4, 1fr); gap: 4px; } }
</style>"""
_SIDE, _QUALITY = 112, 84
# Vertices of the lips' inner ring, above and below its middle, and the corners of the outer one.
_ABOVE, _BELOW, _CORNERS = 25, 35, (0, 10)
_ROWS = (("shut", 0.0), ("ajar", 2.5), ("half open", 6.0), ("open", 11.0))


def gallery(
    identity: str, memory: Any, *, most: int | None = None, above: Mapping[str, str] | None = None
) -> str:
    """The page of a `tasks.remember.Remembered`; of more mouths than `most`, so many that differ."""
    slots = len(memory.keys)
    apart = memory.told.get("distance_mm", 0.0)
    films = len(memory.clips)
    lead = (
        f"{slots} mouths out of {films} clip{'s' if films != 1 else ''}; no two of them are more alike than "
        f"{apart:.2f} mm. Under each: how far the lips are open, and how wide."
    )
    if most is not None and slots > most:
        lead += f" {most} of them are shown."
        memory = _fewer(memory, most)
    return page(f"What is remembered of {identity}", lead, [_STYLE, gallery_grid(memory)], above=above)


def gallery_strip(memory: Any, most: int) -> str:
    """A few mouths from shut to open; needs the page's style."""
    few = _fewer(memory, most)
    opening, width = shapes(few.keys)
    cells = "".join(_cell(few, int(slot), opening, width) for slot in np.argsort(opening, kind="stable"))
    return f'{_STYLE}<div class="mouths">{cells}</div>'


def _fewer(memory: Any, most: int) -> Any:
    """The same with `most` mouths, evenly chosen by how far they are open."""
    order = np.argsort(shapes(memory.keys)[0], kind="stable")
    kept = order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)]
    each = ("keys", "patches", "points", "turn", "clip", "frame", "sharpness", "confidence")
    return memory._replace(**{name: getattr(memory, name)[kept] for name in each})


def gallery_grid(memory: Any) -> str:
    """The pictures in groups by opening, the widest last in each; needs the page's style."""
    opening, width = shapes(memory.keys)
    parts = []
    edges = [low for _, low in _ROWS] + [np.inf]
    for number, (name, low) in enumerate(_ROWS):
        above = opening >= low if number else np.ones(len(opening), bool)
        mine = np.flatnonzero(above & (opening < edges[number + 1]))
        if not len(mine):
            continue
        mine = mine[np.argsort(width[mine], kind="stable")]
        cells = "".join(_cell(memory, int(slot), opening, width) for slot in mine)
        parts.append(
            f'<section><h2>{name} <small>{len(mine)}</small></h2><div class="mouths">{cells}</div></section>'
        )
    return _STYLE + "".join(parts)


def shapes(keys: F32) -> tuple[F32, F32]:
    """Opening and width (M,) of mouths (M, 40, 3), millimetres."""
    opening = np.linalg.norm(keys[:, _ABOVE] - keys[:, _BELOW], axis=1)
    width = np.linalg.norm(keys[:, _CORNERS[0]] - keys[:, _CORNERS[1]], axis=1)
    return opening, width


def _cell(memory: Any, slot: int, opening: F32, width: F32) -> str:
    told = f"{opening[slot]:.1f} · {width[slot]:.0f} mm"
    clip, frame = memory.clips[int(memory.clip[slot])], int(memory.frame[slot])
    title = html.escape(f"{clip}, frame {frame}")
    data = base64.b64encode(_jpeg(_mouth(memory.patches[slot]))).decode()
    return (
        f'<figure title="{title}"><img alt="{told}" loading="lazy" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{told}</figcaption></figure>"
    )


def _mouth(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a canvas that people want to see: lips and what moves with them."""
    side = canvas.shape[0]
    low, high = round(0.2 * side), round(0.8 * side)
    return canvas[round(0.14 * side) : round(0.74 * side), low:high]


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    import cv2

    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    parameters: Sequence[int] = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
    return bytes(cv2.imencode(".jpg", small[..., ::-1], parameters)[1].tobytes())
