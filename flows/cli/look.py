"""`memdub lineage`: where something came from, without importing anything heavy."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.output import duration, json_option, note, print_json, say
from storage.errors import RequestError
from storage.home import Home
from storage.ledger import Ledger, lineage_of
from storage.ledger.query import Node, resolve
from storage.recipes import hash_file
from storage.text import check_text, printable

__all__ = ["lineage", "tell_lineage"]


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
