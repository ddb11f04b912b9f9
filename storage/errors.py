"""The errors of memdub: one hierarchy, one line each, one exit status each.

MemdubError                     exit status 1
  WorkError                     1  the work failed; the request was right
    Broken                      1  and would fail again: a mistake of ours, or somebody ended it
    CorruptArtifact             1  stored bytes are not what the ledger says
    LeaseLost                   1  another process took this recipe over
    PartlyFailed                1  some items of a batch were refused; the rest are done
  RequestError                  2  the request is wrong; nothing was done
    MediaError                  2  a media file cannot be used
    ConsentError                2  the identity's consent record does not allow this
    WeightsError                2  weights are absent, unsafe or not what was pinned
    HomeError                   2  the home cannot be used as asked
      NoSpace                   2  the home has too little room

Anyone may raise these. `models` may not import this module: it raises ValueError, and tasks translate.
"""

from __future__ import annotations

__all__ = [
    "Broken",
    "ConsentError",
    "CorruptArtifact",
    "HomeError",
    "LeaseLost",
    "MediaError",
    "MemdubError",
    "NoSpace",
    "PartlyFailed",
    "RequestError",
    "WeightsError",
    "WorkError",
]


class MemdubError(Exception):
    """Says what is wrong, where, and what to do, in one line."""

    exit_status = 1

    def __init__(self, what: str, *, where: object = None, do: str | None = None) -> None:
        super().__init__(what, where, do)
        self.what = what
        self.where = None if where is None else str(where)
        self.do = do

    def __str__(self) -> str:
        head = self.what if self.where is None else f"{self.where}: {self.what}"
        line = head if self.do is None else f"{head}; {self.do}"
        return " ".join(line.split())

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders in Dask and Prefect: keyword arguments must survive pickling.
        return (_rebuild, (type(self), self.what, self.where, self.do))


def _rebuild(kind: type[MemdubError], what: str, where: str | None, do: str | None) -> MemdubError:
    return kind(what, where=where, do=do)


class WorkError(MemdubError):
    """The work failed; the request was right."""


class Broken(WorkError):
    """The same again would fail again: a mistake of ours, or somebody ended it on purpose."""


class CorruptArtifact(WorkError):
    """Stored bytes are not what the ledger says."""


class LeaseLost(WorkError):
    """Another process took this recipe over."""


class PartlyFailed(WorkError):
    """Some items of a batch were refused; the rest are done."""


class RequestError(MemdubError):
    """The request is wrong; nothing was done."""

    exit_status = 2


class MediaError(RequestError):
    """A media file cannot be used."""


class ConsentError(RequestError):
    """The identity's consent record does not allow this."""


class WeightsError(RequestError):
    """Weights are absent, unsafe or not what was pinned."""


class HomeError(RequestError):
    """The home cannot be used as asked."""


class NoSpace(HomeError):
    """The home has too little room."""
