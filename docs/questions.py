"""Ten questions to a ledger, answered with DuckDB and pandas alone: nothing of memdub is imported.

    python docs/questions.py data/ledger

Every `# %%` begins a cell: editors and Jupyter (by jupytext) open this file as a notebook. What the views and
their columns mean stands in `docs/ledger.md`. A test runs each cell and checks its answer.
"""

# %% Open the ledger
import sys
from pathlib import Path

import duckdb
import pandas as pd

ledger = Path(sys.argv[1] if len(sys.argv) > 1 else "data/ledger")
con = duckdb.connect()
con.execute(f"set variable memdub_ledger = '{ledger}'")
con.execute((ledger / "catalog.sql").read_text())


def show(question: str, answer: pd.DataFrame) -> pd.DataFrame:
    """The question and the first rows of its answer."""
    rows = f"({len(answer)} rows)" if len(answer) > 20 else ""
    print(f"\n## {question} {rows}\n{answer.head(20).to_string(index=False) if len(answer) else 'none'}")
    return answer


# %% Which clips have profile views?
profiles = show(
    "Which clips have profile views?",
    con.execute("""
        select identity, clip, source_name, count(*) as frames, round(max(abs(yaw_deg)), 1) as furthest_deg,
            round(min(time_s), 2) as first_s, round(max(time_s), 2) as last_s
        from profile_frames
        join clip_quality using (identity, clip)
        group by identity, clip, source_name
        order by frames desc, clip
    """).df(),
)

# %% Where are sound and picture weakly in sync?
weak = show(
    "Where are sound and picture weakly in sync?",
    con.execute("""
        select identity, kind, artifact, method, late_frames, confidence, opening, why
        from sync_spots
        where weak
        order by identity, kind, abs(late_frames) desc, artifact
    """).df(),
)

# %% How many hours are there of everybody?
hours = show(
    "How many hours are there of everybody?",
    con.execute("""
        select identity, clips, hours, face_hours, speech_hours, retired_hours
        from hours
        order by hours desc, identity
    """).df(),
)

# %% Which method serves whom best?
best = show(
    "Which method serves whom best?",
    con.execute("""
        select identity, method, count(*) as figures_won, list(figure order by figure) as figures
        from best_methods
        group by identity, method
        order by identity, figures_won desc, method
    """).df(),
)

# %% What did this dub come from? Of the newest one; put any id, or how it begins, in its place
dub = con.execute("select coalesce(max_by(dub, (started, dub)), 'dub-') from dubs").fetchone()[0]
origins = show(
    f"What did {dub} come from?",
    con.execute(
        "select depth, kind, id, identity, name from ancestors(?) order by depth, kind, id", [dub]
    ).df(),
)

# %% What would be retrained if this clip were withdrawn? Of the clip that most memories and networks know
clip = con.execute("""
    select coalesce(min_by(parent, (-uses, parent)), 'clip-')
    from (select parent, count(*) as uses from lineage where starts_with(parent, 'clip-') group by parent)
""").fetchone()[0]
retrained = show(
    f"What would be retrained if {clip} were withdrawn?",
    con.execute(
        """
        select d.kind, d.id, d.identity, c.method, c.preset, c.stage, c.seconds
        from descendants(?) d
        left join checkpoints c on c.checkpoint = d.id
        where d.kind in ('memory', 'checkpoint') and coalesce(c.newest, true)
        order by d.kind desc, c.stage, d.id
        """,
        [clip],
    ).df(),
)

# %% What takes the disk?
disk = show(
    "What takes the disk?",
    con.execute("""
        select kind, stage, artifacts, bytes, round(100 * share, 1) as percent, outdated_bytes
        from storage_by_stage
        order by bytes desc, kind
    """).df(),
)

# %% Which artifacts are of an old version?
old = show(
    "Which artifacts are of an old version?",
    con.execute("""
        select stage, stage_version, newest_version, count(*) as artifacts, sum(bytes)::bigint as bytes,
            count(distinct identity) as people
        from outdated
        group by stage, stage_version, newest_version
        order by stage, stage_version
    """).df(),
)

# %% What failed lately?
failed = show(
    "What failed lately?",
    con.execute("""
        select failed_at, identity, stage, subject, attempts, error, reason
        from last_failures
        order by failed_at desc, subject
        limit 20
    """).df(),
)

# %% Which dubs lack an evaluation?
unjudged = show(
    "Which dubs lack an evaluation?",
    con.execute("""
        select identity, method, preset, count(*) as dubs, round(sum(speech_s) / 60, 2) as minutes,
            max_by(dub, (started, dub)) as newest
        from dubs
        where not evaluated
        group by identity, method, preset
        order by dubs desc, identity, method
    """).df(),
)

# %% Hours once more, in pandas: of clips that were committed and are not retired
made = pd.read_parquet(ledger / "artifacts", columns=["id", "kind", "stage", "bytes"])
clips = pd.read_parquet(ledger / "clips", columns=["id", "identity", "duration_s", "retired_at"])
live = clips[clips["retired_at"].isna()].merge(made[["id"]])
hours_in_pandas = show(
    "Hours once more, in pandas",
    (live.groupby("identity")["duration_s"].sum() / 3600).rename("hours").reset_index(),
)

# %% The disk once more, in pandas
disk_in_pandas = show(
    "The disk once more, in pandas",
    made.groupby(["kind", "stage"])["bytes"].agg(artifacts="count", bytes="sum").reset_index(),
)
