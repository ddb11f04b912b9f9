"""Tables that sort by a click on a column's head. The page has to use "tables" of `flows/web`.

Called by pages. Without a script they are tables.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

__all__ = ["cell", "sorted_table"]


def sorted_table(
    head: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], kind: str = "", left: Collection[int] = ()
) -> str:
    """Rows of what `cell` makes. A head is its words, and which way it sorts first: ascending, descending,
    or not at all, which is an empty string.

    `left` numbers the columns of text; the first is one of them anyway.
    """
    top = "".join(
        f'<th scope="col" data-first="{way}"{" class=left" if at in left else ""}>'
        + (f'<button type="button">{html.escape(words)}</button>' if way else html.escape(words))
        + "</th>"
        for at, (words, way) in enumerate(head)
    )
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="table"><table class="sorted {kind}">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def cell(inside: str, value: object, kind: str = "") -> str:
    """A cell: what it shows, as HTML; what it sorts by (nothing comes last); classes."""
    styled = f' class="{kind}"' if kind else ""
    return f'<td data-value="{html.escape(str(value))}"{styled}>{inside}</td>'
