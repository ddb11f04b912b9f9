"""A dub's page: the film, what it was made over and with what, what speaks against it, where it came from.

Called by `flows.identity_page`. Reads the ledger and what was noted as the dub was made; watches nothing.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from flows.lineage_page import lineage_graph
from flows.pages import facts, page, section, video
from flows.portraits import duration, when
from storage.ledger import Ledger, lineage_of

__all__ = ["dub_page", "speeches"]

Row = Mapping[str, Any]


def dub_page(
    ledger: Ledger,
    row: Row,
    told: Mapping[str, Any],
    speech: str,
    film: str | None,
    above: Mapping[str, str],
) -> str:
    """The page of an artifact row with its recipe parsed; `film` is its address, None where none is shown."""
    shown = video(film, f"{row['identity']} says {speech}") if film else "<p>The film is not shown here.</p>"
    warnings = "".join(f"<li>{html.escape(line)}</li>" for line in told.get("warnings") or ())
    against = f'<ul class="notes">{warnings}</ul>' if warnings else "<p>Nothing was noted.</p>"
    lead = "The mouth was made by a model. The file says so itself, signed: memdub verify checks it anywhere."
    return page(
        f"{row['identity']} says {speech}",
        lead,
        [
            section("The film", shown),
            section("How it was made", facts(_made(row, told))),
            section("What speaks against it", against),
            section("Where it came from", lineage_graph(lineage_of(ledger, row["id"]))),
        ],
        above=above,
        use="site graph",
    )


def speeches(ledger: Ledger, identity: str) -> dict[str, str]:
    """The name of the sound file that each dub says."""
    edges = ledger.tables["lineage"].read(partition=f"slug={identity}").to_pylist()
    said = (edge for edge in edges if edge["role"] == "speech" and edge["parent_name"])
    return {edge["child"]: str(edge["parent_name"]) for edge in said}


def _made(row: Row, told: Mapping[str, Any]) -> dict[str, object]:
    asked = row["recipe"]["parameters"]
    known = {
        "artifact": row["id"],
        "method": asked.get("method"),
        "preset": asked.get("preset"),
        "made over": told.get("template"),
        "because": told.get("why"),
        "length": _length(told),
        "made": f"{when(row['started'])}, in {duration(row['seconds'])}",
        "on": row["host"],
        "by": f"{row['stage']} v{row['stage_version']}, {row['code_revision']}",
        **{name.replace("_", " "): f"{value:.4g}" for name, value in (told.get("figures") or {}).items()},
    }
    return {name: value for name, value in known.items() if value is not None}


def _length(told: Mapping[str, Any]) -> str | None:
    if "seconds" not in told:
        return None
    return f"{duration(told['seconds'])}, {told['frames']} frames at {told['rate']} a second"
