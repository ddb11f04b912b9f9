"""Runs: what was asked for, what it made, what it reused, how it ended.

A flow opens a run; `storage.artifacts` notes in it what was made and what was found; its row is written
when it ends, also when it fails. Called by `flows` (`run`) and `storage.artifacts` (`current_run`).
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import json
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.errors import MemdubError, RequestError
from storage.ledger import Ledger
from storage.openlineage import announcer
from storage.text import printable

__all__ = ["Run", "current_run", "elsewhere", "record_failure", "run"]


@dataclass
class Run:
    """One run of a flow, while it runs."""

    flow: str
    identity: str | None
    arguments: Mapping[str, Any]
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    made: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    status: str = "done"
    id: str = ""
    above: Run | None = field(default=None, repr=False)  # the run that asked for this one

    def __post_init__(self) -> None:
        self.above = _CURRENT.get()
        self.id = f"{self.started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"

    @property
    def flow_run_id(self) -> str | None:
        return _prefect_id("FlowRunContext", "flow_run")

    def task_run_id(self) -> str | None:
        return _prefect_id("TaskRunContext", "task_run")


_CURRENT: contextvars.ContextVar[Run | None] = contextvars.ContextVar("memdub_run", default=None)


def current_run() -> Run | None:
    """The run that this work belongs to, if any."""
    return _CURRENT.get()


@contextlib.contextmanager
def run(
    ledger: Ledger, flow: str, *, identity: str | None = None, arguments: Mapping[str, Any] | None = None
) -> Iterator[Run]:
    """Everything produced inside belongs to this run. A request that was wrong leaves no row."""
    it = Run(flow, identity, arguments or {})
    events = announcer(ledger)
    ailed: BaseException | None = None
    if events is not None:
        events.started(it)
    token = _CURRENT.set(it)
    begun = time.monotonic()
    try:
        yield it
    except RequestError as error:
        it.status, ailed = "refused", error
        raise
    except Exception as error:
        it.status, ailed = "failed", error
        with contextlib.suppress(MemdubError, OSError):  # a full disk must not hide what went wrong first
            told = MemdubError(f"{type(error).__name__}: {error}")
            told = error if isinstance(error, MemdubError) else told
            record_failure(ledger, it, stage=flow, subject=identity or flow, error=told, identity=identity)
        raise
    except BaseException as error:  # ctrl-C, or Prefect ended the run: its signals are no Exceptions
        it.status, ailed = "interrupted", error
        raise
    finally:
        _CURRENT.reset(token)
        if it.status != "refused" or it.made:
            # A ledger that cannot be written must not hide what went wrong first.
            with contextlib.suppress(MemdubError, OSError) if ailed else contextlib.nullcontext():
                ledger.record("runs", _row(it, time.monotonic() - begun))
        if events is not None:
            with contextlib.suppress(MemdubError, OSError):  # a damaged ledger is told of elsewhere
                events.ended(it, ailed)


@contextlib.contextmanager
def elsewhere(told: tuple[str, str | None] | None) -> Iterator[Run]:
    """Part of a run that another process began, and whose row it writes: its id, and Prefect's run."""
    it = _Part("elsewhere", None, {})
    if told is not None:
        it.id, it.told_flow_run = told
    token = _CURRENT.set(it)
    try:
        yield it
    finally:
        _CURRENT.reset(token)


@dataclass
class _Part(Run):
    told_flow_run: str | None = None

    @property
    def flow_run_id(self) -> str | None:
        return self.told_flow_run


def record_failure(
    ledger: Ledger,
    it: Run,
    *,
    stage: str,
    subject: str,
    error: MemdubError,
    identity: str | None,
) -> None:
    """Nothing is dropped silently: what a stage refuses is a row."""
    this = {"stage": stage, "subject": printable(subject), "identity": identity}
    row = {
        "id": uuid.uuid4().hex,
        "run_id": it.id,
        **this,
        "reason": printable(error),
        "error": type(error).__name__,
        "attempt": 1 + ledger.count("failures", **this),
        "failed_at": dt.datetime.now(dt.UTC),
    }
    ledger.record("failures", row)


def _row(it: Run, seconds: float) -> dict[str, Any]:
    return {
        "id": it.id,
        "flow": it.flow,
        "identity": it.identity,
        "arguments": printable(json.dumps(it.arguments, sort_keys=True, default=str, ensure_ascii=False)),
        "status": it.status,
        "started": it.started,
        "seconds": seconds,
        "host": socket.gethostname(),
        "made": it.made,
        "reused": it.reused,
        "flow_run_id": it.flow_run_id,
        "parent_run_id": it.above.id if it.above is not None else None,
    }


def _prefect_id(context: str, attribute: str) -> str | None:
    """The id of the surrounding Prefect run; Prefect is not imported for the asking."""
    prefect = sys.modules.get("prefect.context")
    held = getattr(prefect, context).get() if prefect else None
    owner = getattr(held, attribute, None)
    return str(owner.id) if owner is not None else None
