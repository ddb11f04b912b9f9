"""What the methods' own papers print of themselves, to be shown beside what is measured here.

    published(["memface", "dinet"])           # rows, in the order of the methods

Their films, crops, landmarks and networks are theirs: such figures are of the same kind as ours and not of
the same scale, so that nothing is ranked by them. A method without rows has no figures that are known here.
Values are strings as printed. Called by `tasks.judged` and by pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.judging.figures import named

__all__ = ["published"]

_MEMFACE = "Tang et al., Memories are One-to-Many Mapping Alleviators, arXiv 2212.05005, 2022, {}"
_MEMFACE_MAIN = _MEMFACE.format("main comparison, as its project page shows it")
_MEMFACE_NEW = _MEMFACE.format("adaptation to new speakers, as its project page shows it")
_SYNCTALKFACE = "Park et al., SyncTalkFace, AAAI 2022, table 1"
_DINET = "Zhang et al., DINet, AAAI 2023, table 1"
# Neither the crop nor what distances are shares of is told.
_LANDMARKS = "; LMD in a unit of its own"


class _Table(NamedTuple):
    """A method's own line of a printed table."""

    method: str
    source: str
    data: str
    figures: Mapping[str, str]


_TABLES = (
    _Table("memface", _MEMFACE_MAIN, "Obama", {"lse_c": "6.022", "lse_d": "8.419"}),
    _Table("memface", _MEMFACE_NEW, "new speaker, 15 s", {"lse_c": "5.385", "lse_d": "9.003"}),
    _Table("memface", _MEMFACE_NEW, "new speaker, 30 s", {"lse_c": "6.058", "lse_d": "8.431"}),
    _Table("memface", _MEMFACE_NEW, "new speaker, 60 s", {"lse_c": "5.643", "lse_d": "8.874"}),
    _Table(
        "synctalkface",
        _SYNCTALKFACE,
        "LRW, words",
        {"psnr": "33.126", "ssim": "0.893", "lmd": "1.253", "lse_d": "7.013", "lse_c": "6.619"},
    ),
    _Table(
        "synctalkface",
        _SYNCTALKFACE,
        "LRS2, sentences",
        {"psnr": "32.529", "ssim": "0.876", "lmd": "1.387", "lse_d": "6.352", "lse_c": "7.925"},
    ),
    _Table(
        "dinet",
        _DINET,
        "HDTF",
        {"ssim": "0.9425", "psnr": "30.0082", "lpips": "0.0289", "lse_d": "8.3771", "lse_c": "6.8416"},
    ),
    _Table(
        "dinet",
        _DINET,
        "MEAD-Neutral",
        {"ssim": "0.9204", "psnr": "29.1177", "lpips": "0.0459", "lse_d": "7.5157", "lse_c": "7.2603"},
    ),
)


def published(methods: Sequence[str]) -> list[dict[str, str]]:
    """Rows of these methods: method, figure (a name of `FIGURES`) and its label, value, source, data."""
    return [row for name in methods for table in _TABLES if table.method == name for row in _rows(table)]


def _rows(table: _Table) -> list[dict[str, str]]:
    return [
        {
            "method": table.method,
            "figure": figure,
            "label": named(figure).label,
            "value": value,
            "source": table.source,
            "data": table.data + (_LANDMARKS if figure == "lmd" else ""),
        }
        for figure, value in table.figures.items()
    ]
