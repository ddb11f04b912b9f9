"""The flow `verify`: what a file says of itself, whether that holds, and whether this home made it.

Called by the command line. Writes nothing, and needs no consent: it tells whoever has the file already.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.errors import WorkError
from storage.home import Home
from storage.ledger import Ledger
from storage.recipes import hash_file

if TYPE_CHECKING:
    from tasks.manifest import Examined

__all__ = ["Verified", "verify"]


@dataclass(frozen=True)
class Verified:
    """One file."""

    path: Path
    sha256: str
    examined: Examined | None
    known: dict[str, Any] | None  # the artifact that this very file is a copy of
    recipe_known: bool  # whether the recipe that it names is in the ledger

    @property
    def holds(self) -> bool:
        return self.examined is not None and not self.examined.problems

    def as_dict(self) -> dict[str, Any]:
        found = self.examined
        told: dict[str, Any] = {"path": str(self.path), "sha256": self.sha256, "holds": self.holds}
        told["manifest"] = None
        if found is not None:
            told["manifest"] = {
                "problems": list(found.problems),
                "signer": found.signer,
                "trusted": found.trusted,
                "generator": found.generator,
                "made_by_model": found.made_by_model,
                **dict(found.claim),
            }
        told["artifact"] = None if self.known is None else {k: self.known[k] for k in ("id", "kind", "uri")}
        return {"files": [{**told, "recipe_in_ledger": self.recipe_known}]}

    def error(self) -> WorkError | None:
        """What is wrong, in one line."""
        if self.examined is None:
            what, do = "carries no manifest: nothing is known of how it was made", "ask who gave it to you"
            if self.known is not None:
                what = f"carries no manifest, though it is a copy of {self.known['id']}"
            return WorkError(what, where=self.path, do=do)
        if self.examined.problems:
            told = "; ".join(self.examined.problems)
            return WorkError(f"does not hold: {told}", where=self.path, do="get it again from who made it")
        return None

    def lines(self) -> list[str]:
        """For people."""
        found = self.examined
        if found is None:
            return []
        made = "made by a model" if found.made_by_model else "not said to be made by a model"
        trust = (
            "a certificate trusted here" if found.trusted else "a certificate that nobody here vouches for"
        )
        lines = [f"{self.path}: {made}, with {found.generator}"]
        lines += [f"  {name}: {found.claim[name]}" for name in ("recipe", "method") if name in found.claim]
        lines += [f"  {role}: {one}" for role, one in found.claim.get("ingredients", {}).items()]
        if not found.problems:
            lines.append(f"  signature and bytes hold; signed by {found.signer} ({trust})")
        if self.known is not None:
            lines.append(
                f"  in this home's ledger: {self.known['id']}, made {self.known['started']:%Y-%m-%d}"
            )
        elif self.recipe_known:
            lines.append("  this home's ledger has its recipe, but not these very bytes")
        else:
            lines.append("  this home's ledger does not know it")
        return lines


def verify(path: str | Path, *, home: str | None = None) -> Verified:
    """Examine one file."""
    from tasks.credentials import certificate_of
    from tasks.manifest import examine

    place, path = Home(home), Path(path)
    examined = examine(path, certificate_of(place))
    sha256 = hash_file(path)
    ledger = Ledger(place.objects)
    known = _artifact_of(ledger, sha256)
    recipe = "" if examined is None else str(examined.claim.get("recipe", ""))
    return Verified(path, sha256, examined, known, bool(recipe) and ledger.find(recipe) is not None)


def _artifact_of(ledger: Ledger, sha256: str) -> dict[str, Any] | None:
    """The artifact that this content left the stores as."""
    edges = ledger.rows("lineage").to_pylist()
    parents = [edge["parent"] for edge in edges if edge["child"] == f"sha256:{sha256}"]
    found = (ledger.find(parent) for parent in parents)
    return next((row for row in found if row is not None), None)
