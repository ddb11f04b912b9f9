"""OpenLineage events of runs, for whoever collects them: https://openlineage.io.

    MEMDUB_OPENLINEAGE=file:/var/log/memdub.jsonl    one JSON event a line, appended
    MEMDUB_OPENLINEAGE=http://127.0.0.1:5000         as Marquez takes them

Each run is a START and then a COMPLETE, FAIL or ABORT with its inputs and outputs, their digests, and the run
that asked for it; what was found and not made again is told as an output too. The record is the ledger: an
event that cannot be delivered is said once and lost. Needs `memdub[openlineage]`. Called by `storage.runs`.
"""

from __future__ import annotations

import datetime as dt
import importlib
import logging
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from storage.errors import RequestError
from storage.home import current_settings
from storage.ledger.ledger import RAW, Ledger

if TYPE_CHECKING:
    from storage.runs import Run

__all__ = ["Announcer", "announcer"]

JOBS = "memdub"
SETTING = "MEMDUB_OPENLINEAGE"
# How a run ended, in OpenLineage's words.
ENDINGS = {"done": "COMPLETE", "partly": "COMPLETE", "interrupted": "ABORT"}
# A collector that is not there must not keep the work waiting.
PATIENCE = {"timeout": 5.0, "retry": {"total": 1, "backoff_factor": 0.2, "allowed_methods": ["POST"]}}

_log = logging.getLogger("memdub")


def announcer(ledger: Ledger) -> Announcer | None:
    """Who tells of runs; None where nobody asked for it. RequestError where it was asked for in vain."""
    target = current_settings().openlineage
    return Announcer(ledger, target) if target else None


class Announcer:
    """Tells one collector of runs."""

    def __init__(self, ledger: Ledger, target: str) -> None:
        self.ledger = ledger
        try:
            self.events: Any = importlib.import_module("openlineage.client.event_v2")
            self.facets: Any = importlib.import_module("openlineage.client.facet_v2")
        except ImportError as error:
            do = "`pip install memdub[openlineage]`, or unset it"
            raise RequestError("openlineage-python is not installed", where=SETTING, do=do) from error
        self.client = _client(target)
        self.producer = f"urn:memdub:{version('memdub')}"
        self._silent = False

    def started(self, run: Run) -> None:
        """Tell that a run began."""
        self._emit(run, "START", [], [], {})

    def ended(self, run: Run, error: BaseException | None) -> None:
        """Tell how it ended, and what it was about."""
        facets = {}
        if error is not None:
            message = str(error) or type(error).__name__
            facets["errorMessage"] = self.facets.error_message_run.ErrorMessageRunFacet(message, "python")
        outputs = self._rows([*run.made, *run.reused])
        inputs = self._parents(list(outputs))
        reused = set(run.reused) - set(run.made)
        self._emit(
            run,
            ENDINGS.get(run.status, "FAIL"),
            [self._input(row) for row in inputs.values()],
            [self._output(row, name in reused) for name, row in outputs.items()],
            facets,
        )

    def _emit(
        self, run: Run, state: str, inputs: Sequence[Any], outputs: Sequence[Any], facets: dict[str, Any]
    ) -> None:
        engine = self.facets.processing_engine_run.ProcessingEngineRunFacet(version("memdub"), "memdub")
        above = {} if run.above is None else {"parent": self._parent(run.above)}
        kind = self.facets.job_type_job.JobTypeJobFacet("BATCH", "MEMDUB", "FLOW")
        event = self.events.RunEvent(
            eventTime=dt.datetime.now(dt.UTC).isoformat(),
            producer=self.producer,
            run=self.events.Run(_uuid(run), {"processing_engine": engine, **above, **facets}),
            job=self.events.Job(JOBS, _job(run), {"jobType": kind}),
            eventType=getattr(self.events.RunState, state),
            inputs=list(inputs),
            outputs=list(outputs),
        )
        try:
            self.client.emit(event)
        except Exception as error:  # whatever ails the collector is not ours
            if not self._silent:
                _log.warning("memdub: %s: events are not delivered (%s)", SETTING, error)
            self._silent = True

    def _parent(self, run: Run) -> Any:
        made = self.facets.parent_run
        return made.ParentRunFacet(made.Run(_uuid(run)), made.Job(JOBS, _job(run)))

    def _rows(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Artifacts by id; of what left the stores nothing but its digest is known."""
        rows = self.ledger.find_all([name for name in names if not name.startswith(RAW)])
        return {name: rows.get(name, {"id": name}) for name in dict.fromkeys(names)}

    def _parents(self, children: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What these were made from, and are not themselves."""
        edges = self.ledger.rows("lineage", ["child", "parent", "parent_name"])
        own = edges.filter(pc.is_in(edges["child"], value_set=pa.array(children, pa.string()))).to_pylist()
        names = {edge["parent"]: edge["parent_name"] for edge in own if edge["parent"] not in set(children)}
        found = self._rows(list(names))
        return {name: {**row, "name": names[name]} for name, row in found.items()}

    def _place(self, row: dict[str, Any]) -> tuple[str, str]:
        """Namespace and name, as OpenLineage spells files; a file from outside is known by its content."""
        if "uri" not in row:
            return "sha256", row["id"].removeprefix(RAW)
        scheme, separator, rest = self.ledger.objects.uri(row["uri"]).partition("://")
        if not separator:
            return "file", scheme
        bucket, _, key = rest.partition("/")
        return f"{scheme}://{bucket}", key

    def _facets(self, row: dict[str, Any], reused: bool = False) -> dict[str, Any]:
        digest = row.get("content_hash") or row["id"].removeprefix(RAW)
        facets = {"version": self.facets.dataset_version_dataset.DatasetVersionDatasetFacet(digest)}
        tags = {"identity": row.get("identity"), "file": row.get("name")}
        tags["reused"] = "true" if reused else None
        made = self.facets.tags_dataset
        told = [
            made.TagsDatasetFacetFields(f"memdub.{name}", value, "memdub")
            for name, value in tags.items()
            if value is not None
        ]
        return {**facets, "tags": made.TagsDatasetFacet(told)} if told else facets

    def _input(self, row: dict[str, Any]) -> Any:
        return self.events.InputDataset(*self._place(row), facets=self._facets(row))

    def _output(self, row: dict[str, Any], reused: bool) -> Any:
        made = self.facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
        counted = {"outputStatistics": made(size=row["bytes"])} if "bytes" in row else {}
        return self.events.OutputDataset(*self._place(row), counted, facets=self._facets(row, reused))


def _client(target: str) -> Any:
    client: Any = importlib.import_module("openlineage.client")
    parts = urlsplit(target)
    if parts.scheme == "file" and parts.path and not parts.netloc:
        module: Any = importlib.import_module("openlineage.client.transport.file")
        config = module.FileConfig(log_file_path=unquote(parts.path), append=True)
        return client.OpenLineageClient(transport=module.FileTransport(config))
    if parts.scheme in ("http", "https") and parts.netloc:
        module = importlib.import_module("openlineage.client.transport.http")
        config = module.HttpConfig(url=target, **PATIENCE)
        return client.OpenLineageClient(transport=module.HttpTransport(config))
    do = "use file:/path/to/events.jsonl or http://127.0.0.1:5000"
    raise RequestError("not a place for events", where=f"{SETTING}={target}", do=do)


def _job(run: Run) -> str:
    return run.flow if run.identity is None else f"{run.flow}/{run.identity}"


def _uuid(run: Run) -> str:
    """OpenLineage knows runs by UUIDs; ours is always the same for the same run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"memdub:{run.id}"))
