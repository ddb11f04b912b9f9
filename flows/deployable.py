"""The flows as Prefect sees them: what `infra/prefect.yaml` and the Prefect UI name.

Each is the plain flow of its module, decorated; the bodies are there, not here. Importing this module
imports Prefect, which the command line avoids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prefect import flow

import flows.extract
import flows.ingest
from tasks.chain import ExtractOptions

__all__ = ["extract", "ingest"]


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


@flow(name="extract", flow_run_name="extract {identities}", log_prints=True)
def extract(
    identities: list[str] | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    speech: Literal["embedded", "deepspeech"] = "embedded",
    limit: int | None = None,
    home: str | None = None,
) -> list[str]:
    """Extract features of clips: speech, face, morphable model, in step.

    Args:
        identities: The people's slugs; everyone with consent if not given.
        workers: Processes on this machine; one a core if not given.
        dask_address: A Dask scheduler to use instead of workers of our own.
        speech: The acoustic network.
        limit: At most so many clips.
        home: Where everything lives; MEMDUB_HOME if not given.
    """
    result = flows.extract.extract(
        identities or [],
        options=ExtractOptions(speech=speech),
        workers=workers,
        dask_address=dask_address,
        limit=limit,
        home=home,
    )
    result.raise_if_refused()
    return [one.features.id for one in result.outcomes]
