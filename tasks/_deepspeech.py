"""A DeepSpeech-shaped .tflite file, run by LiteRT. For `tasks.audio` only.

The official file has inputs input_node (1, 16, 19, 26), previous_state_c and previous_state_h (1, 2048) and
input_samples (512), and outputs logits (16, 29), new_state_c, new_state_h and mfccs (1, 26). Its "logits" are
probabilities, after the softmax. Tensors are found by these names, else by their shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.audio import COEFFICIENTS
from storage.errors import WeightsError

__all__ = ["CONTEXT", "SYMBOL_COUNT", "Network", "check_model"]

CONTEXT = 9
SYMBOL_COUNT = 29
_Tensor = Mapping[str, Any]


class Network:
    """One interpreter and its LSTM state: make a new one for every sound."""

    def __init__(self, path: Path) -> None:
        self._interpreter = _opened(path)
        self._places = _places(self._interpreter, path)
        self.steps = int(self._places.window["shape"][1])
        self._probabilities = False
        self.restart()
        self._probabilities = self._says_probabilities()
        self.restart()

    def restart(self) -> None:
        """Forget what was heard."""
        self._state = [np.zeros(place["shape"], np.float32) for place in self._places.state_in]

    def infer(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(steps, 2 * CONTEXT + 1, 26) MFCC to (steps, 29) log-probabilities; the state moves on."""
        told = self._raw(windows)
        if self._probabilities:
            return np.asarray(np.log(np.maximum(told, np.finfo(np.float32).tiny)))
        told = told - told.max(-1, keepdims=True)
        return np.asarray(told - np.log(np.exp(told).sum(-1, keepdims=True)), np.float32)

    def _raw(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        run, places = self._interpreter, self._places
        run.set_tensor(places.window["index"], windows[None])
        for place, state in zip(places.state_in, self._state, strict=True):
            run.set_tensor(place["index"], state)
        run.invoke()
        self._state = [run.get_tensor(place["index"]).copy() for place in places.state_out]
        told: NDArray[np.float32] = run.get_tensor(places.symbols["index"]).astype(np.float32)
        return told.reshape(self.steps, SYMBOL_COUNT)

    def _says_probabilities(self) -> bool:
        """Asked once, of noise: a file's answers are of one kind for all sounds."""
        noise = np.random.default_rng(0).normal(0, 5, (self.steps, 2 * CONTEXT + 1, COEFFICIENTS))
        told = self._raw(noise.astype(np.float32))
        return bool((told >= 0).all() and np.allclose(told.sum(-1), 1, atol=1e-2))


@dataclass(frozen=True)
class _Places:
    window: _Tensor
    state_in: Sequence[_Tensor]
    symbols: _Tensor
    state_out: Sequence[_Tensor]


def check_model(path: Path) -> None:
    """Raises a WeightsError that says what is wrong with a file of another kind."""
    _places(_opened(path, to_run=False), path)


def _opened(path: Path, to_run: bool = True) -> Any:
    # A heavy library: commands that run no such file need not load it.
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Preparing 47 MB of weights to be run fast takes a second, which a look at the file need not.
    kind = OpResolverType.AUTO if to_run else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=kind)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise WeightsError(
            f"LiteRT cannot run this file: {error}", where=path, do="get the file again and check its size"
        ) from error
    return interpreter


def _places(interpreter: Any, path: Path) -> _Places:
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    window = _one(
        ins, "input_node", lambda s: len(s) == 4 and tuple(s[2:]) == (2 * CONTEXT + 1, COEFFICIENTS)
    )
    if window is None:
        what = f"no input of windows of {2 * CONTEXT + 1} x {COEFFICIENTS} MFCC"
        raise _no_deepspeech(path, what, ins)
    symbols = _one(outs, "logits", lambda s: len(s) > 1 and s[-1] == SYMBOL_COUNT)
    steps = int(window["shape"][1])
    if symbols is None or np.prod(symbols["shape"]) != steps * SYMBOL_COUNT:
        raise _no_deepspeech(path, f"no output of {steps} rows of {SYMBOL_COUNT} symbols", outs)
    state_in, state_out = _states(ins, "previous_state", window), _states(outs, "new_state", symbols)
    if len(state_in) != 2 or [s["shape"].tolist() for s in state_in] != [
        s["shape"].tolist() for s in state_out
    ]:
        raise _no_deepspeech(path, "LSTM state c and h must go in and come out alike", [*ins, *outs])
    for place in (window, symbols, *state_in, *state_out):
        if place["dtype"] != np.float32:
            what = f"{_bare(place)} is {np.dtype(place['dtype']).name}, not float32"
            raise _no_deepspeech(path, what, [place])
    return _Places(window, state_in, symbols, state_out)


def _states(tensors: Iterable[_Tensor], name: str, other: _Tensor) -> list[_Tensor]:
    named = [found for half in "ch" for found in tensors if _bare(found) == f"{name}_{half}"]
    if len(named) == 2:
        return named
    rest = [
        t for t in tensors if t["index"] != other["index"] and len(t["shape"]) == 2 and t["shape"][0] == 1
    ]
    return [t for t in rest if t["shape"][1] != COEFFICIENTS or _bare(t) != "mfccs"]


def _one(tensors: Sequence[_Tensor], name: str, fits: Any) -> _Tensor | None:
    named = [tensor for tensor in tensors if _bare(tensor) == name]
    return next((tensor for tensor in (named or tensors) if fits(tensor["shape"])), None)


def _bare(tensor: _Tensor) -> str:
    """The name without what converters put around it: serving_default_input_node:0."""
    return str(tensor["name"]).split(":")[0].removeprefix("serving_default_")


def _no_deepspeech(path: Path, what: str, tensors: Sequence[_Tensor]) -> WeightsError:
    seen = ", ".join(f"{_bare(t)} {'x'.join(map(str, t['shape']))}" for t in tensors)
    return WeightsError(
        f"not a DeepSpeech 0.9 model: {what} (it has {seen})",
        where=path,
        do="give deepspeech-0.9.3-models.tflite",
    )
