"""What hears speech: backends that turn sound into 29 log-probabilities, 50 a second, behind one interface.

Called by `tasks.audio`, through which others reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.audio import COEFFICIENTS, mfcc
from storage.errors import RequestError
from storage.home import Home
from storage.weights import Registry, open_safetensors
from tasks._deepspeech import CONTEXT, Network, check_model

__all__ = ["BACKENDS", "AudioBackend", "DeepSpeechBackend", "EmbeddedBackend", "Sound", "find_backend"]

Sound = NDArray[np.float32]


class AudioBackend(Protocol):
    """Turns sound at 16 kHz into log-probabilities of 29 symbols, 50 rows a second.

    `version` names the weights: it belongs in the recipe of whatever was made with them. A backend is
    small and picklable; networks are loaded when a stream begins.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def stream(self, blocks: Iterable[Sound]) -> Iterator[Sound]:
        """Rows (n, 29) as they become ready; in whatever blocks the sound comes, the same rows."""
        ...


@dataclass(frozen=True)
class DeepSpeechBackend:
    """DeepSpeech 0.9.3's acoustic model, or one of its shape, fed as its own client feeds it.

    The context before the first and after the last window is zeros, the last window is filled up
    with silence, and the LSTM state goes from each batch of 16 steps to the next, from zeros on.
    """

    path: Path
    version: str = ""
    name: str = "deepspeech"

    def __post_init__(self) -> None:
        # A file of another kind is refused before any work is done.
        check_model(self.path)

    def stream(self, blocks: Iterable[Sound]) -> Iterator[Sound]:
        network, cepstra = Network(self.path), mfcc()
        held = beyond = np.zeros((CONTEXT, COEFFICIENTS), np.float32)
        for block in blocks:
            held = np.concatenate([held, cepstra.push(block)])
            while len(held) >= network.steps + 2 * CONTEXT:
                yield network.infer(_windows(held, network.steps))
                held = held[network.steps :]
        held = np.concatenate([held, cepstra.finish(), beyond])
        while (rows := len(held) - 2 * CONTEXT) > 0:
            yield network.infer(_windows(held, network.steps))[:rows]
            held = held[network.steps :]


def _windows(cepstra: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """(steps, 19, 26): each row with its neighbours; steps that there are not are zeros."""
    span = 2 * CONTEXT + 1
    have = max(0, min(steps, len(cepstra) - span + 1))
    windows = np.zeros((steps, span, cepstra.shape[1]), np.float32)
    windows[:have] = np.lib.stride_tricks.sliding_window_view(cepstra, span, axis=0)[:have].swapaxes(1, 2)
    return windows


@dataclass(frozen=True)
class EmbeddedBackend:
    """The project's own acoustic network."""

    path: Path
    version: str = ""
    name: str = "embedded"

    def stream(self, blocks: Iterable[Sound]) -> Iterator[Sound]:
        from models.acoustic import load

        tensors = open_safetensors(self.path)
        yield from load(tensors.arrays, tensors.metadata).stream(blocks)


BACKENDS: Mapping[str, tuple[str, Callable[[Path, str], AudioBackend]]] = {
    "embedded": ("acoustic", EmbeddedBackend),
    "deepspeech": ("deepspeech", DeepSpeechBackend),
}


def find_backend(name: str, home: Home | str | None = None) -> AudioBackend:
    """A backend with the weights that are here; a WeightsError says how to get them."""
    if name not in BACKENDS:
        raise RequestError(f"no audio backend is called {name!r}", do=f"use one of {', '.join(BACKENDS)}")
    weights, make = BACKENDS[name]
    found = Registry(str(home) if home is not None else None).find(weights)
    return make(found.path, found.sha256)
