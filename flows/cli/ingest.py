"""`memdub ingest`: footage in, clips out."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import conclude, duration, json_option, note, say, watching
from storage.artifacts import Artifact
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger

__all__ = ["ingest"]


@click.command()
@click.argument("videos", nargs=-1, type=click.Path())
@click.option("--identity", required=True, help="Who is seen: a short name of a-z, 0-9, '_' and '-'.")
@click.option("--consent", "record", type=click.Path(), help="Consent record to keep for them.")
@click.option("--fps", help="Frames a second of the clips, as 25 or 30000/1001; default: the footage's own.")
@click.option("--max-side", type=click.IntRange(min=64), help="Scale larger pictures down to this side.")
@click.option("--silent-ok", is_flag=True, help="Accept footage without sound.")
@json_option
def ingest(
    videos: tuple[str, ...],
    identity: str,
    record: str | None,
    fps: str | None,
    max_side: int | None,
    silent_ok: bool,
    as_json: bool,
) -> None:
    """Turn footage into clips: timed evenly, upright, checked, never changed again.

    VIDEOS are files or folders; without any, what lies in raw/IDENTITY under the home is taken.
    """
    from flows.ingest import ingest as ingest_flow
    from flows.ingest import rate_of

    result = ingest_flow(
        [_path(video, "VIDEOS") for video in videos],
        identity,
        record=None if record is None else _path(record, "--consent"),
        rate=rate_of(fps),
        max_side=max_side,
        silent_ok=silent_ok,
        watch=watching,
        tell=note,
    )
    conclude(result, lambda: _tell(Home(), result.clips) if result.clips else None, as_json=as_json)


def _path(text: str, where: str) -> Path:
    """An empty name, as from an unset variable, would be the working folder."""
    if not text:
        raise RequestError("an empty name", where=where, do="name a file or a folder")
    return Path(text)


def _tell(home: Home, clips: list[Artifact]) -> None:
    rows = {row["id"]: row for row in Ledger(home.objects).rows("clips").to_pylist()}
    for clip in clips:
        row = rows[clip.id]
        rate = row["rate_num"] / row["rate_den"]
        what = f"{row['frames']} frames, {row['width_px']}x{row['height_px']}, {rate:g} fps"
        how = "already there" if clip.reused else f"in {duration(clip.row['seconds'])}"
        say(f"{clip.id}  {row['source_name']}: {what}, {duration(row['duration_s'])} ({how})")
    note(f"{len(clips)} clip{'s' if len(clips) != 1 else ''} of {clips[0].identity}")
