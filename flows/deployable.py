"""The flows as Prefect sees them: what `infra/prefect.yaml` and the Prefect UI name.

Each is the plain flow of its module, decorated; the bodies are there, not here. Importing this module
imports Prefect, which the command line avoids.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow

import flows.ingest

__all__ = ["ingest"]


@flow(name="ingest", flow_run_name="ingest {identity}", log_prints=True)
def ingest(
    identity: str, videos: list[Path] | None = None, silent_ok: bool = False, home: str | None = None
) -> list[str]:
    """Turn footage of one person into clips.

    Args:
        identity: The person's slug; a consent record must exist.
        videos: Files or folders; without them, all that lies in raw/<identity>.
        silent_ok: Accept footage without sound.
        home: Where everything lives; MEMDUB_HOME if not given.
    """
    result = flows.ingest.ingest(videos or [], identity, home=home, silent_ok=silent_ok)
    result.raise_if_refused()
    return [clip.id for clip in result.clips]
