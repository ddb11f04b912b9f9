"""Whether an object store keeps what memdub's ledger builds on: of two conditional writes, one wins.

    AWS_ENDPOINT_URL=http://127.0.0.1:9000 python infra/check_store.py s3://bucket/scratch

Some processes raise one counter as often as they can, each time only if nobody else did meanwhile. On a
store that ignores the condition, or looks before it writes, rises are lost.
"""

from __future__ import annotations

import multiprocessing
import sys
import uuid

from storage.objects import open_objects

WRITERS, RISES = 6, 25


def rise(url: str, key: str) -> None:
    """Count up by RISES."""
    objects = open_objects(url)
    done = 0
    while done < RISES:
        held = objects.read(key)
        assert held is not None
        with objects.exclusive("check"):
            done += objects.write_if(key, str(int(held[0]) + 1).encode(), held[1])


def check(url: str) -> tuple[int, int]:
    """Rises that were told to have succeeded, and those that the counter shows."""
    objects, key = open_objects(url), f"check/{uuid.uuid4().hex}"
    assert objects.write_if(key, b"0", None)
    if objects.write_if(key, b"7", None):
        return 1, 0  # If-None-Match is ignored
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=rise, args=(url, key)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    held = objects.read(key)
    objects.delete([key])
    return WRITERS * RISES, int(held[0]) if held else 0


def main() -> int:
    told, counted = check(sys.argv[1])
    good = told == counted
    print(f"{sys.argv[1]}: {told} conditional writes, {counted} kept: {'good' if good else 'NOT usable'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
