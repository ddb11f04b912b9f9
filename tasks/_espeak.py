"""The child process in which espeak-ng runs: requests in by standard input, sound and events out.

espeak-ng keeps one state for the whole process: noise, intonation and voices of an earlier sentence
change the samples of the next one, and initialising it twice can hang. So this file is run as a program
that forks once per request, each fork starting from untouched memory. Only `tasks.speech` may start it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any, BinaryIO

import espeakng_loader

__all__ = ["main", "synthesise"]

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IN_IPA = 1 | 2
_UTF8 = 1
_RANDOM_SEED = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_WORD, _SENTENCE, _PHONEME = 1, 2, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _library() -> tuple[Any, int]:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 200, data, _PHONEME_EVENTS_IN_IPA)
    if rate <= 0:
        raise OSError(f"espeak-ng did not start with its data in {data.decode()}")
    # Breath, flutter and intonation draw random numbers, which espeak-ng seeds with the clock.
    library.espeak_ng_SetRandSeed(ctypes.c_long(_RANDOM_SEED))
    return library, rate


def _as_row(event: _Event) -> list[Any]:
    # The label has eight bytes and no terminator of its own: a long one may end inside a character.
    label = event.id.string.decode("utf-8", "ignore") if event.type == _PHONEME else ""
    return [event.type, event.sample, event.text_position, label]


def synthesise(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Speak one request in this process: the header (rate, events) and 16-bit samples."""
    library, rate = _library()
    sound = bytearray()
    events: list[list[Any]] = []

    def receive(samples: Any, count: int, event: Any) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        i = 0
        while event[i].type != 0:
            if event[i].type in (_WORD, _SENTENCE, _PHONEME):
                events.append(_as_row(event[i]))
            i += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        return {"error": f"espeak-ng has no voice {request['voice']!r}"}, b""
    for parameter, name in (
        (_RATE, "rate_wpm"),
        (_VOLUME, "volume"),
        (_PITCH, "pitch"),
        (_RANGE, "pitch_range"),
    ):
        library.espeak_SetParameter(parameter, request[name], 0)
    text = request["text"].encode("utf-8") + b"\0"
    status = library.espeak_Synth(text, len(text), 0, 1, 0, _UTF8, None, None)
    if status != 0:
        return {"error": f"espeak-ng gave up on the text with status {status}"}, b""
    return {"rate": rate, "events": events, "bytes": len(sound)}, bytes(sound)


def _answer(request: dict[str, Any], out: BinaryIO) -> None:
    header, sound = synthesise(request)
    out.write(json.dumps(header).encode() + b"\n" + sound)
    out.flush()


def _answer_in_a_fork(request: dict[str, Any], out: BinaryIO) -> None:
    child = os.fork()
    if child == 0:
        try:
            _answer(request, out)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        # It died before its answer, which is written whole at the end: espeak-ng crashes on some texts.
        out.write(json.dumps({"error": f"espeak-ng crashed (signal {os.WTERMSIG(status)})"}).encode() + b"\n")
        out.flush()
    elif status != 0:
        raise SystemExit(1)


def main() -> None:
    """Answer one request a line until standard input ends."""
    for line in sys.stdin.buffer:
        _answer_in_a_fork(json.loads(line), sys.stdout.buffer)


if __name__ == "__main__":
    main()
