"""The ledger's tables, declared once: names, types, units and keys.

Column names are snake_case and end in their unit. `key` names the columns that say what a row is: a
second row with the same key replaces the first. Called by `storage.ledger` and by whoever documents it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from storage.openface import ACTION_UNITS

__all__ = ["TABLES", "TableSpec"]

Partition = Literal["slug", "month"]


@dataclass(frozen=True)
class TableSpec:
    """One table: its columns, what identifies a row, how its folder is divided."""

    name: str
    about: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition: Partition
    # Rows by the thousand for one artifact lie in a file of their own, named by that artifact.
    per_artifact: bool = False


def _schema(*fields: tuple[str, pa.DataType, str]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, metadata={"about": about}) for name, kind, about in fields])


_WHEN = pa.timestamp("us", tz="UTC")

_ARTIFACTS = _schema(
    ("id", pa.string(), "kind and hash of the recipe"),
    ("kind", pa.string(), "clip, track, audio, fit, memory, checkpoint, dub, evaluation"),
    ("identity", pa.string(), "whose face or voice this is; null for general artifacts"),
    ("uri", pa.string(), "where the bytes lie, relative to the home"),
    ("content_hash", pa.string(), "SHA-256 over the stored files' names and hashes"),
    ("bytes", pa.int64(), "size of the stored files"),
    ("recipe", pa.string(), "JSON: kind, stage, version, parameters, inputs, raw sources"),
    ("method", pa.string(), "of what a method made: which; null also in rows from before this column"),
    ("preset", pa.string(), "with it: smoke, cpu, gpu, ..."),
    ("stage", pa.string(), "what made it"),
    ("stage_version", pa.int32(), "rises when a stage's result changes"),
    ("code_revision", pa.string(), "version of memdub, and the commit where known"),
    ("started", _WHEN, "when the work began"),
    (
        "seconds",
        pa.float64(),
        "from its turn to its commit by the clock, without waits for a card; of resumed work the last part",
    ),
    ("host", pa.string(), "machine that did it"),
    ("run_id", pa.string(), "row in `runs`"),
    ("flow_run_id", pa.string(), "Prefect's flow run, where there was one"),
    ("task_run_id", pa.string(), "Prefect's task run, where there was one"),
)

_LINEAGE = _schema(
    ("child", pa.string(), "artifact that was made"),
    ("parent", pa.string(), "artifact it was made from, or sha256:<hash> of a raw file"),
    ("role", pa.string(), "what the parent was to the child"),
    ("parent_name", pa.string(), "the raw file's name when it was read; null for artifacts"),
)

_CLIPS = _schema(
    ("id", pa.string(), "artifact id of the clip"),
    ("identity", pa.string(), "who is seen"),
    ("source_name", pa.string(), "name of the file it came from"),
    ("source_sha256", pa.string(), "content of that file"),
    ("source_bytes", pa.int64(), "size of that file"),
    ("source_container", pa.string(), "container format"),
    ("source_codec", pa.string(), "picture codec"),
    ("source_frames", pa.int64(), "frames in the file"),
    ("source_variable_rate", pa.bool_(), "whether its frame times were uneven"),
    ("source_rotation_deg", pa.int32(), "rotation metadata, already applied in the clip"),
    ("source_audio_codec", pa.string(), "sound codec; null when silent"),
    ("frames", pa.int64(), "frames in the clip"),
    ("rate_num", pa.int32(), "frames a second, numerator"),
    ("rate_den", pa.int32(), "frames a second, denominator"),
    ("duration_s", pa.float64(), "frames divided by rate"),
    ("width_px", pa.int32(), "upright, square pixels"),
    ("height_px", pa.int32(), "upright, square pixels"),
    ("silent", pa.bool_(), "no sound in the source"),
    ("sound_rate_hz", pa.int32(), "sample rate of the clip's sound"),
    ("sound_channels", pa.int32(), "channels of the clip's sound"),
    ("retired_at", _WHEN, "when its last file in `raw/` was found gone; null for clips that are worked with"),
)

_SOURCES = _schema(
    ("identity", pa.string(), "in whose folder it lies"),
    ("path", pa.string(), "relative to `raw/<identity>/`"),
    ("bytes", pa.int64(), "size"),
    ("mtime_ns", pa.int64(), "when the file says it was changed, nanoseconds since 1970"),
    ("inode", pa.int64(), "the file system's number of it; 0 where there is none"),
    ("sha256", pa.string(), "its content"),
    ("hashed_at", _WHEN, "when its content was last read"),
    ("state", pa.string(), "done; quarantined: refused, and not tried again before it changes; gone"),
    ("clip", pa.string(), "clip that was made of it"),
    ("reason", pa.string(), "why it is quarantined"),
    ("first_seen", _WHEN, ""),
    ("changed_at", _WHEN, "when state, content or clip became what they are"),
    ("run_id", pa.string(), "row in `runs` that found it so"),
)

_FRAMES = pa.schema(
    [
        pa.field("clip", pa.string(), metadata={"about": "artifact id of the clip"}),
        pa.field("artifact", pa.string(), metadata={"about": "track these rows came with"}),
        pa.field("identity", pa.string()),
        pa.field("frame", pa.int32(), metadata={"about": "from 0"}),
        pa.field("time_s", pa.float64()),
        pa.field("confidence", pa.float32(), metadata={"about": "0 to 1; 0 where there is no face"}),
        pa.field("sharpness", pa.float32()),
        *(pa.field(f"rotation_{axis}_rad", pa.float32()) for axis in "xyz"),
        *(pa.field(f"translation_{axis}_mm", pa.float32()) for axis in "xyz"),
        *(pa.field(f"au{unit:02d}", pa.float32(), metadata={"about": "0 to 5"}) for unit in ACTION_UNITS),
    ]
)

_METRICS = _schema(
    ("artifact", pa.string(), "what was measured"),
    ("identity", pa.string(), "whose it is; null for general artifacts"),
    ("metric", pa.string(), "what was counted, with its unit"),
    ("method", pa.string(), "of an evaluation: which method this is of, or truth; else null"),
    ("split", pa.string(), "train, held_out, all; driven: an evaluation by other speech"),
    ("value", pa.float64(), "a mean where it has bounds"),
    ("low", pa.float64(), "of an evaluation: 95 % of such means lie above this; null where one cannot tell"),
    ("high", pa.float64(), "and below this"),
    ("count", pa.int64(), "of an evaluation: frames that are known of it"),
)

_FAILURES = _schema(
    ("id", pa.string(), "of this failure"),
    ("run_id", pa.string(), "row in `runs`"),
    ("identity", pa.string(), "whom it was about"),
    ("stage", pa.string(), "what refused or broke"),
    ("subject", pa.string(), "clip id or file name"),
    ("reason", pa.string(), "the one line the user saw"),
    ("error", pa.string(), "class of the error"),
    ("attempt", pa.int32(), "from 1"),
    ("failed_at", _WHEN, ""),
)

_RUNS = _schema(
    ("id", pa.string(), "sorts by time"),
    ("flow", pa.string(), "ingest, extract, train, dub, ..."),
    ("identity", pa.string(), "whom it was for; null when several"),
    ("arguments", pa.string(), "JSON"),
    ("status", pa.string(), "done, partly, failed, interrupted; refused: some was made before"),
    ("started", _WHEN, ""),
    ("seconds", pa.float64(), ""),
    ("host", pa.string(), ""),
    ("made", pa.list_(pa.string()), "artifacts committed by this run, or sha256:<hash> of what it exported"),
    ("reused", pa.list_(pa.string()), "artifacts found in the ledger and taken as they were"),
    ("flow_run_id", pa.string(), "Prefect's flow run, where there was one"),
    ("parent_run_id", pa.string(), "run that asked for this one; null for what a person asked for"),
)

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        TableSpec("artifacts", "one row an artifact, written last", _ARTIFACTS, ("id",), "slug"),
        TableSpec("lineage", "what was made from what", _LINEAGE, ("child", "parent", "role"), "slug"),
        TableSpec("clips", "one row a clip", _CLIPS, ("id",), "slug"),
        TableSpec(
            "sources", "what a refresh saw in `raw/`, one row a file", _SOURCES, ("identity", "path"), "slug"
        ),
        TableSpec("frames", "one row a frame", _FRAMES, ("artifact", "frame"), "slug", per_artifact=True),
        TableSpec("metrics", "long form", _METRICS, ("artifact", "metric", "method", "split"), "slug"),
        TableSpec("failures", "what a stage refused, and why", _FAILURES, ("id",), "month"),
        TableSpec("runs", "what ran, what it made, what it reused", _RUNS, ("id",), "month"),
    )
}
