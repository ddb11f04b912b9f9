"""`memdub status`, `lineage`: looking at what there is, without importing anything heavy."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import duration, json_option, note, print_json, say, size, table
from flows.status import Status, survey
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.ledger.query import Node, resolve
from storage.recipes import hash_file
from storage.text import check_text, printable

__all__ = ["lineage", "status", "tell_lineage", "tell_status"]


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Who is here, what exists, what ran, what failed."""
    found = survey(Home())
    if as_json:
        print_json(found.as_dict())
        return
    tell_status(found)


def tell_status(found: Status) -> None:
    """The home at a glance."""
    say(f"Home {found.home}: {found.artifacts} artifacts, {size(found.bytes)}")
    if not found.identities:
        say("Nobody is here yet: memdub demo, or memdub ingest VIDEO --identity NAME --consent FILE")
        return
    say()
    kinds = sorted({kind for person in found.identities for kind in person.counts} - {"clip"})
    columns = ["identity", "clips", "footage", *kinds, "size", "consent"]
    rows = [
        [
            person.name,
            person.counts.get("clip", 0),
            duration(person.clip_seconds),
            *(person.counts.get(kind, 0) for kind in kinds),
            size(person.bytes),
            person.consent,
        ]
        for person in found.identities
    ]
    table(columns, rows, right=tuple(range(1, len(columns) - 1)))
    if found.runs:
        say()
        table(
            ["run", "flow", "identity", "status", "made", "reused", "took"],
            [
                [
                    r["id"],
                    r["flow"],
                    r["identity"],
                    r["status"],
                    r["made"],
                    r["reused"],
                    duration(r["seconds"]),
                ]
                for r in found.runs
            ],
            right=(4, 5, 6),
        )
    if found.failures:
        say()
        table(
            ["failed", "stage", "what"], [[f["failed_at"], f["stage"], f["reason"]] for f in found.failures]
        )


@click.command()
@click.argument("what", metavar="ID_OR_FILE")
@click.option("--down", is_flag=True, help="What was made from it, instead of what it was made from.")
@click.option("--html", type=click.Path(), help="Also write it as a picture.")
@json_option
def lineage(what: str, down: bool, html: str | None, as_json: bool) -> None:
    """Where did this come from? An artifact by (the beginning of) its id, or any file by its content."""
    page = None if html is None else _page(html)
    home = Home()
    ledger = Ledger(home.objects)
    name = _name_of(home, ledger, what)
    # A file from outside was made from nothing that we know: what was made from it is the answer.
    down = down or (name.startswith("sha256:") and not _has_origin(ledger, name))
    tree = lineage_of(ledger, name, down=down)
    if page is not None:
        from flows.lineage_page import lineage_page

        try:
            page.write_text(lineage_page(tree, down=down), encoding="utf-8")
        except OSError as error:
            raise _no_page(page, f"cannot be written ({error.strerror})") from error
        note(f"{page} written")
    if as_json:
        print_json({"lineage": tree.as_dict()})
    else:
        tell_lineage(tree)


def tell_lineage(tree: Node) -> None:
    """The tree, as `tree` and `git log --graph` draw them."""
    say("\n".join(_lines(tree)))


def _name_of(home: Home, ledger: Ledger, what: str) -> str:
    path = Path(what)
    try:
        is_there, is_file = bool(what) and path.exists(), path.is_file()
    except OSError:
        is_there = is_file = False
    if is_there and home.is_local and path.resolve().is_relative_to(home.path("stores")):
        parts = path.resolve().relative_to(home.path("stores")).parts
        if len(parts) < 2:
            raise RequestError("holds artifacts but is none", where=path, do="name one of them")
        return resolve(ledger, parts[1])
    if not is_file:
        if not check_text(what, "lineage"):
            raise RequestError("an empty name", where="lineage", do="name an artifact or a file")
        return resolve(ledger, what)
    try:
        name = f"sha256:{hash_file(path)}"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise RequestError(what, where=path, do="check its permissions") from error
    known = ledger.rows("lineage", ["parent", "child"])
    if name in known["parent"].to_pylist() or name in known["child"].to_pylist():
        return name
    raise RequestError("nothing in this home was made from this file", where=path, do="ingest it first")


def _page(text: str) -> Path:
    """Where the page goes; what is wrong with the place is said before anything is done."""
    page = Path(text)
    if not text or page.is_dir():
        raise _no_page(page, "is a folder")
    if not page.parent.is_dir():
        raise _no_page(page, "its folder does not exist")
    return page


def _no_page(page: Path, what: str) -> RequestError:
    return RequestError(what, where=f"--html {printable(page)}", do="name a file in a folder that exists")


def _has_origin(ledger: Ledger, name: str) -> bool:
    return name in ledger.rows("lineage", ["child"])["child"].to_pylist()


def _lines(node: Node, above: str = "", last: bool = True, top: bool = True) -> list[str]:
    branch = "" if top else f"{above}{'└── ' if last else '├── '}"
    lines = [f"{branch}{_label(node)}"]
    below = "" if top else f"{above}{'    ' if last else '│   '}"
    for i, child in enumerate(node.children):
        lines += _lines(child, below, i == len(node.children) - 1, top=False)
    return lines


def _label(node: Node) -> str:
    role = f"{node.role}: " if node.role else ""
    if node.kind == "raw file":
        return f"{role}{node.row.get('name') or 'a file'} ({node.id[:19]}...)"
    if node.kind == "missing":
        return f"{role}{node.id} (no longer in the ledger)"
    row = node.row
    made = (
        f"{row['stage']} v{row['stage_version']}, {row['started']:%Y-%m-%d %H:%M}, {duration(row['seconds'])}"
    )
    above = " (sources as above)" if node.repeated else ""
    return f"{role}{node.id}  {row['identity'] or ''} [{made}]{above}"
