"""A clip's arrays as one object: planned by region, written and read by name, checked, published.

`drafts` makes these; see there for the life of one. A published clip is never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from storage.clips.arrays import open_array
from storage.clips.digests import STRETCH, Stretches, array_digest
from storage.clips.flushing import flush_soon
from storage.clips.marks import content_of
from storage.clips.places import Place
from storage.clips.regions import Region, check_aligned, common, cut
from storage.clips.specs import ArraySpec
from storage.errors import CorruptArtifact, RequestError, WorkError

__all__ = ["ClipGroup"]


@dataclass(frozen=True)
class ClipGroup:
    """Arrays of one clip, by name (`track/landmarks`). Pickles: hand it to workers."""

    place: Place
    final: Place
    group: str
    attrs: Mapping[str, Any]
    own: tuple[str, ...]
    names: tuple[str, ...]
    writable: bool
    token: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    _open: dict[str, zarr.Array[Any]] = field(default_factory=dict, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    @property
    def content(self) -> str | None:
        """The content hash with which this was published."""
        return content_of({name: self.digests[name] for name in self.own}) if self.digests else None

    @property
    def url(self) -> str:
        """Where the bytes are now: the draft's place, until it is published."""
        return self.place.url

    def array(self, name: str) -> zarr.Array[Any]:
        """The zarr array itself, for reading; writing goes through `write`."""
        if name not in self._open:
            if name not in self.names:
                raise RequestError(f"no array {name!r} here: {', '.join(self.names)}", where=self.url)
            self._open[name] = open_array(self.place.at(name), read_only=not self.writable)
        return self._open[name]

    def spec(self, name: str) -> ArraySpec:
        """What the array is, so that another group can have one like it."""
        array = self.array(name)
        dims = tuple(str(dim) for dim in array.metadata.dimension_names or ())  # type: ignore[union-attr]
        told = dict(array.attrs)
        is_coordinate = dims == (name.split("/")[1],)
        dtype = "string" if array.dtype.kind in "TOU" else str(array.dtype)
        return ArraySpec(
            name,
            dtype,
            tuple(array.shape),
            dims,
            str(told.get("units", "")),
            str(told.get("long_name", "")),
            bool(told.get("finite")),
            int(array.chunks[0]),
            self._shard(name),
            np.asarray(array[:]) if is_coordinate else None,
        )

    def regions(self, *names: str) -> list[Region]:
        """What may be written at a time: whole shards of every named array."""
        return common([(name, self.array(name).shape[0], self._shard(name)) for name in names])

    def write(self, name: str, start: int, values: NDArray[Any]) -> list[str]:
        """Put `values` at `start`: whole shards, or up to the array's end; same type and shape.

        Returns the digests of their stretches for `digest`; none where the shards are too small to tell.
        """
        if not self.writable:
            raise RequestError("a published clip is never changed", where=self.url)
        array = self.array(name)
        if values.dtype != array.dtype or values.shape[1:] != array.shape[1:]:
            raise RequestError(
                f"got {values.dtype} {values.shape}, the array holds {array.dtype} {array.shape}",
                where=f"{self.url}/{name}",
                do="convert before writing",
            )
        region = Region(start, start + len(values))
        check_aligned(f"{self.url}/{name}", region, array.shape[0], self._shard(name))
        array[region.start : region.stop] = values
        self._flush_soon(name, region)
        if region.start % STRETCH or (array.attrs.get("finite") and not np.isfinite(values).all()):
            return []
        stretches = Stretches()
        stretches.feed(values)
        return stretches.finish()

    def unwrite(self, name: str, row: int) -> None:
        """Have the shard with this row missing again."""
        if not self.writable:
            raise RequestError("a published clip is never changed", where=self.url)
        self.place.delete(f"{name}/{self._file(name, row)}")

    def _flush_soon(self, name: str, region: Region) -> None:
        """Have the disk take the bytes while more are made: `finish` would have to wait for them."""
        if self.place.local is None:
            return
        for start in range(region.start, region.stop, self._shard(name)):
            flush_soon(self.place.local / name / self._file(name, start))

    def digest(self, name: str, stretches: Sequence[str]) -> str | None:
        """The array's digest from what all its writers returned, in order; None where some told nothing."""
        array = self.array(name)
        if len(stretches) != -(-array.shape[0] // STRETCH):
            return None
        return array_digest(name, array, stretches)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows `start` to `stop`; what a draft lacks reads as missing (NaN, 0 in pictures)."""
        array = self.array(name)
        stop = array.shape[0] if stop is None else stop
        if not 0 <= start <= stop <= array.shape[0]:
            raise RequestError(f"{start} to {stop} is not inside its {array.shape[0]} rows", where=name)
        try:
            return np.asarray(array[start:stop])
        except OSError as error:
            # Nothing is known of the bytes, so nothing is said against them.
            what = f"rows {start} to {stop} cannot be read now ({error.strerror or error})"
            raise WorkError(what, where=f"{self.url}/{name}", do="run again") from error
        except (ValueError, RuntimeError) as error:
            raise CorruptArtifact(
                f"rows {start} to {stop} cannot be read: {error}",
                where=f"{self.url}/{name}",
                do="remove the artifact's folder and make it again",
            ) from error

    def missing(self, name: str) -> list[Region]:
        """Regions of an array that nobody wrote: what is left for a run that goes on."""
        return self._missing(name, self.place.at(name).files())

    def gaps(self) -> dict[str, list[Region]]:
        """What is missing of every own array that lacks any, by one listing."""
        files = self.place.files()
        found = {name: self._missing(name, _below(files, name)) for name in self.own}
        return {name: regions for name, regions in found.items() if regions}

    def _missing(self, name: str, files: set[str]) -> list[Region]:
        regions = cut(self.array(name).shape[0], self._shard(name))
        return [region for region in regions if self._file(name, region.start) not in files]

    def _file(self, name: str, row: int) -> str:
        """Where the shard with this row lies, below its array."""
        return f"c/{row // self._shard(name)}" + "/0" * (self.array(name).ndim - 1)

    def _shard(self, name: str) -> int:
        array = self.array(name)
        return int((array.shards or array.chunks)[0])

    def take_over(self, name: str, source: ClipGroup) -> str:
        """Have a published group's array as our own, by link where the disk can; returns its digest."""
        if not self.writable or source.writable:
            raise RequestError("a draft takes arrays over from a published group", where=self.url)
        ours, theirs = self.array(name), source.array(name)
        if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
            raise RequestError(f"{theirs.dtype} {theirs.shape} is not {ours.dtype} {ours.shape}", where=name)
        self._open.pop(name)
        self.place.at(name).take(source.place.at(name))
        return source.digests[name]

    def finish(self, known: Mapping[str, str] | None = None) -> ClipGroup:
        """Check everything, then make it visible in one step: the published clip, open for reading.

        `known` has the digests of arrays that were taken over, or that their writers told: these are not
        read again.
        """
        from storage.clips.publish import publish

        return publish(self, known)

    def content_hash(self) -> str:
        """SHA-256 over names, types, dimensions, units and *values*: the same whoever wrote them, and however
        they are cut or compressed. Reads everything, and so checks every chunk's checksum too."""
        from storage.clips.check import examine

        return examine(self).content_hash

    def verify(self) -> tuple[str, ...]:
        """What is wrong with the stored arrays, one line each; empty when all is well."""
        from storage.clips.check import examine

        return examine(self).problems

    def tree(self) -> Any:
        """The published clip as an `xarray.DataTree`, lazily."""
        import xarray

        return xarray.open_datatree(
            self.place.store(read_only=True),  # type: ignore[arg-type]
            engine="zarr",
            consolidated=False,
        )


def _below(files: set[str], name: str) -> set[str]:
    return {key[len(name) + 1 :] for key in files if key.startswith(f"{name}/")}
