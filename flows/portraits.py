"""What pages show of a person: stills of clips, mouths, films; each only where the person agreed to its use.

Private to the pages of the site. What may not be shown, or cannot be read, is said instead.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
from collections.abc import Mapping, Sequence
from typing import Any

from storage import consent
from storage.artifacts import of_row
from storage.errors import ConsentError, MemdubError, WorkError
from storage.home import Home
from storage.ledger import Ledger, asking

__all__ = ["at_their_best", "duration", "film_tile", "reason_against", "still", "tile", "when"]

_WIDE, _QUALITY = 320, 80
# Eyes open before all, then turned to the camera; of frames that are alike, one from the clip's middle.
_AT_THEIR_BEST = """
    select f.clip, arg_min(
        f.frame,
        (
            f.au45::double
            + 2 * (abs(f.rotation_x_rad::double) + abs(f.rotation_y_rad::double))
            + abs(f.frame / c.frames - 0.5),
            f.frame
        )
    )
    from frames f
    join clip_stages s on s.artifact = f.artifact and s.kind = 'track'
    join clips c on c.id = f.clip
    where f.identity = ? and f.confidence > 0.5 and isfinite(f.au45)
    group by f.clip
"""


def reason_against(home: Home, identity: str, purpose: consent.Purpose) -> str | None:
    """Why what this purpose is for may not be shown; None where it may."""
    try:
        consent.require(home, identity, purpose)
    except (ConsentError, WorkError) as error:
        return error.what
    return None


def at_their_best(ledger: Ledger, identity: str) -> dict[str, int]:
    """By clip that was tracked, the frame to show it by: who blinks or looks away is not shown so."""
    with asking(ledger, "frames", "clip_stages", "clips") as connection:
        return dict(connection.execute(_AT_THEIR_BEST, [identity]).fetchall())


def still(home: Home, clip: Mapping[str, Any], frame: int | None = None) -> str | None:
    """A picture of a clip (its middle, if not said) as an address that holds it; None if unreadable."""
    import cv2

    from storage.media import VideoReader
    from tasks.extract import video_of

    try:
        with video_of(home, of_row(clip)) as path:
            reader = VideoReader(path, threads="NONE")
            at = len(reader) // 2 if frame is None else frame
            (picture,) = reader.read(at, at + 1)
    except (MemdubError, OSError, ValueError):
        return None
    high = max(1, round(picture.shape[0] * _WIDE / picture.shape[1]))
    small = cv2.resize(picture, (_WIDE, high), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def tile(
    title: str,
    lines: Sequence[str],
    *,
    picture: str | None = None,
    link: str = "",
    more: tuple[str, Sequence[str]] = ("", ()),
) -> str:
    """A card, with its picture if it has one; of a link the whole card is the link. `more` unfolds."""
    image = f'<img alt="" loading="lazy" src="{picture}">' if picture else ""
    told = "".join(f"<span>{html.escape(line)}</span>" for line in lines)
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in more[1])
    folded = (
        f"<details><summary>{html.escape(more[0])}</summary><ul>{listed}</ul></details>" if listed else ""
    )
    inside = f'{image}<div class="words"><b>{html.escape(title)}</b>{told}{folded}</div>'
    if link:
        return f'<a class="tile" href="{html.escape(link)}">{inside}</a>'
    return f'<div class="tile">{inside}</div>'


def film_tile(title: str, lines: Sequence[str], *, film: str | None, link: str) -> str:
    """A card with a film that plays in it, and a link to its page."""
    player = (
        f'<video src="{html.escape(film)}#t=0.5" controls playsinline preload="metadata" '
        f'aria-label="{html.escape(title)}"></video>'
        if film
        else '<div class="none">no film</div>'
    )
    told = "".join(f"<span>{html.escape(line)}</span>" for line in lines)
    words = f'<a href="{html.escape(link)}"><b>{html.escape(title)}</b></a>{told}'
    return f'<div class="tile">{player}<div class="words">{words}</div></div>'


def when(moment: dt.datetime) -> str:
    """A moment as pages tell it."""
    return f"{moment:%Y-%m-%d %H:%M}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
