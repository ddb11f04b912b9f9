"""Text that the world can hold: names of files need not be text, but ledger, JSON and terminals need it.

Anyone may call this.
"""

from __future__ import annotations

import re

from storage.errors import RequestError

__all__ = ["check_text", "printable"]

# How Python spells the bytes of a file name that are no UTF-8.
_SURROGATES = re.compile("[\ud800-\udfff]")


def printable(value: object) -> str:
    """The value as text, with the sign for "no character" where it is none."""
    return _SURROGATES.sub("\ufffd", str(value))


def check_text(text: str, where: str) -> str:
    """The text itself; raises RequestError if there are bytes in it that are no text."""
    if _SURROGATES.search(text):
        raise RequestError("not UTF-8 text", where=where, do=f"check what was typed: {printable(text)[:60]}")
    return text
