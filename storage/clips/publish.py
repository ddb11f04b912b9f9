"""Makes a checked draft visible, in one step, once."""

from __future__ import annotations

from collections.abc import Mapping

from storage.clips.check import Report, examine
from storage.clips.drafts import discard, open_clip
from storage.clips.flushing import flush
from storage.clips.group import ClipGroup
from storage.clips.marks import MARK, note_key, read_mark, write_group
from storage.errors import CorruptArtifact, RequestError

__all__ = ["publish"]


def publish(draft: ClipGroup, known: Mapping[str, str] | None = None) -> ClipGroup:
    """Check the draft and move it where readers look. Two equal drafts of one clip become one clip.

    Arrays whose digests are `known`, since they were taken over from a published group, are not read again.
    """
    if not draft.writable:
        raise RequestError("this is published already", where=draft.url)
    report = examine(draft, known)
    if report.problems:
        for name, row in report.spoilt:
            # A power cut tears what the disk had not taken yet; what is there would never be written anew.
            draft.unwrite(name, row)
        more = f" and {len(report.problems) - 3} more" if len(report.problems) > 3 else ""
        raise CorruptArtifact(
            f"not whole: {'; '.join(report.problems[:3])}{more}", where=draft.url, do="write what is missing"
        )
    if draft.final.local is None:
        _mark(draft, report)
        draft.place.delete(note_key(draft.group))
    else:
        _move(draft, report)
    return open_clip(draft.final.url, group=draft.group, storage_options=draft.final.options)


def _mark(draft: ClipGroup, report: Report) -> None:
    """Write the group's metadata, its own last: until then no reader takes the folder for a group."""
    for inner in sorted({name.split("/")[0] for name in draft.own} - {draft.group}):
        write_group(draft.place, inner, {})
    marked = {
        **draft.attrs,
        MARK: {"content_hash": report.content_hash, "arrays": dict(sorted(report.digests.items()))},
    }
    write_group(draft.place, draft.group, marked)


def _move(draft: ClipGroup, report: Report) -> None:
    place, final = draft.place.local, draft.final.local
    assert place is not None
    assert final is not None
    _mark(draft, report)
    for left in place.rglob("*.partial"):
        left.unlink()
    (place / note_key(draft.group)).unlink()
    source, target = (place / draft.group, final / draft.group) if draft.group else (place, final)
    flush(source)
    try:
        source.rename(target)
    except OSError:
        # Another writer of the same clip was first. Its values count; ours must be the same.
        mark = read_mark(draft.final, draft.group)
        if mark is None:
            raise
        if mark[MARK]["content_hash"] != report.content_hash:
            raise CorruptArtifact("another writer published different values", where=target) from None
    discard(draft)
