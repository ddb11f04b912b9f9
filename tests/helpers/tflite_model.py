"""Writes small .tflite files of DeepSpeech 0.9.3's signature, and computes in numpy what they should say.

The graph is DeepSpeech's in small: a dense layer on each step's window of MFCC, an LSTM unrolled over the
steps, a softmax over 29 symbols that is named "logits"; beside it the model's own MFCC front end, made of
TensorFlow's two audio operators. `state` is the width (2048 in the official file).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from numpy.typing import NDArray

__all__ = ["DeepSpeechShape", "Graph", "write_deepspeech"]

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
}
_OPTIONS = {
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "RESHAPE": schema.ReshapeOptionsT,
    "SPLIT": schema.SplitOptionsT,
    "CONCATENATION": schema.ConcatenationOptionsT,
    "MUL": schema.MulOptionsT,
    "ADD": schema.AddOptionsT,
    "SOFTMAX": schema.SoftmaxOptionsT,
}


class Graph:
    """One subgraph, built operator by operator; tensors are their numbers."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.description = 3, "test"
        self.model.subgraphs, self.model.buffers = [self.graph], [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph.tensors, self.graph.operators = [], []
        self._codes: dict[str, int] = {}

    def tensor(self, name: str, shape: Sequence[int], kind: str = "float32", data: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), _TYPES[kind], 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, kind).tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, data: Any, kind: str = "float32") -> int:
        data = np.asarray(data, kind)
        return self.tensor(f"constant_{len(self.graph.tensors)}", data.shape, kind, data)

    def weights(self, data: NDArray[np.float32], small: bool) -> int:
        """A matrix, as 8-bit numbers and one scale if small: the runtime then rounds inputs as it runs."""
        if not small:
            return self.constant(data)
        scale = float(np.abs(data).max()) / 127
        made = self.constant(np.rint(data / scale), "int8")
        told = schema.QuantizationParametersT()
        told.scale, told.zeroPoint = np.array([scale], np.float32), np.array([0], np.int64)
        self.graph.tensors[made].quantization = told
        return made

    def _code(self, name: str) -> int:
        if name not in self._codes:
            code = schema.OperatorCodeT()
            number = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.version = 3 if name == "FULLY_CONNECTED" else 1
            if number == schema.BuiltinOperator.CUSTOM:
                code.customCode = name
            self._codes[name] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[name]

    def add(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **settings: Any) -> None:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._code(name), list(inputs), list(outputs)
        if name in _OPTIONS:
            made.builtinOptions = _OPTIONS[name]()
            made.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[name].__name__[:-1])
            for key, value in settings.items():
                setattr(made.builtinOptions, key, value)
        elif settings:
            made.customOptions = np.frombuffer(flexbuffers.Dumps(settings), np.uint8)
            made.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
        self.graph.operators.append(made)

    def write(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


@dataclass(frozen=True)
class DeepSpeechShape:
    """The numbers of one such model, its weights from a seed."""

    state: int = 8
    steps: int = 16
    context: int = 9
    features: int = 26
    symbols: int = 29
    seed: int = 0
    softmax: bool = True
    # More dense layers before the LSTM: the official model has three more, and weights of 8 bits.
    deeper: int = 0
    small_weights: bool = False

    @property
    def window(self) -> int:
        return (2 * self.context + 1) * self.features

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        rng, width = np.random.default_rng(self.seed), self.state
        sizes = {
            "dense": (width, self.window),
            "dense_bias": (width,),
            "lstm": (4 * width, 2 * width),
            "lstm_bias": (4 * width,),
            "out": (self.symbols, width),
            "out_bias": (self.symbols,),
            **{f"deep_{i}": (width, width) for i in range(self.deeper)},
        }
        scale = {"dense": 0.02, "lstm": 0.6, "out": 2.0}
        return {
            name: (rng.standard_normal(size) * scale.get(name, 0.3)).astype(np.float32)
            for name, size in sizes.items()
        }

    def infer(self, windows: NDArray[Any], state: tuple[Any, Any]) -> tuple[NDArray[Any], tuple[Any, Any]]:
        """What the network says to (n, window) MFCC windows, row by row: probabilities and the new state."""
        w, (c, h), rows = self.weights, state, []
        for window in windows:
            x = np.maximum(w["dense"] @ window + w["dense_bias"], 0)
            for i in range(self.deeper):
                x = np.maximum(w[f"deep_{i}"] @ x + w["dense_bias"], 0)
            gates = (w["lstm"] @ np.concatenate([x, h]) + w["lstm_bias"]).reshape(4, -1)
            enter, forget, out = 1 / (1 + np.exp(-gates[[0, 2, 3]]))
            c = forget * c + enter * np.tanh(gates[1])
            h = out * np.tanh(c)
            rows.append(w["out"] @ h + w["out_bias"])
        logits = np.array(rows)
        return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), (c, h)


def write_deepspeech(path: Path, shape: DeepSpeechShape | None = None, **renamed: str) -> Path:
    """The file; `renamed` gives tensors other names than the official ones."""
    shape = shape or DeepSpeechShape()
    g, width, w = Graph(), shape.state, shape.weights

    def named(name: str, *size: int) -> int:
        return g.tensor(renamed.get(name, name), size)

    windows = named("input_node", 1, shape.steps, 2 * shape.context + 1, shape.features)
    state_c, state_h = named("previous_state_c", 1, width), named("previous_state_h", 1, width)
    samples = named("input_samples", 512)
    flat = x = g.tensor("flat", (shape.steps, shape.window))
    g.add("RESHAPE", [windows, g.constant([shape.steps, shape.window], "int32")], [flat])
    for i, name in enumerate(["dense", *(f"deep_{i}" for i in range(shape.deeper))]):
        source, x = (x if i else flat), g.tensor(f"x{i}", (shape.steps, width))
        dense = [source, g.weights(w[name], shape.small_weights), g.constant(w["dense_bias"])]
        g.add("FULLY_CONNECTED", dense, [x], fusedActivationFunction=schema.ActivationFunctionType.RELU)
    steps = [g.tensor(f"x_{i}", (1, width)) for i in range(shape.steps)]
    g.add("SPLIT", [g.constant(0, "int32"), x], steps, numSplits=shape.steps)
    lstm, bias = g.weights(w["lstm"], shape.small_weights), g.constant(w["lstm_bias"])
    hidden, c, h = [], state_c, state_h
    for i, step in enumerate(steps):
        last = i == shape.steps - 1
        new_c = named("new_state_c", 1, width) if last else g.tensor(f"c_{i}", (1, width))
        new_h = named("new_state_h", 1, width) if last else g.tensor(f"h_{i}", (1, width))
        _cell(g, width, (step, c, h), (lstm, bias), (new_c, new_h))
        hidden.append(new_h)
        c, h = new_c, new_h
    joined = g.tensor("hidden", (shape.steps, width))
    g.add("CONCATENATION", hidden, [joined], axis=0)
    logits = named("logits", shape.steps, shape.symbols)
    raw = g.tensor("raw", (shape.steps, shape.symbols)) if shape.softmax else logits
    g.add("FULLY_CONNECTED", [joined, g.constant(w["out"]), g.constant(w["out_bias"])], [raw])
    if shape.softmax:
        g.add("SOFTMAX", [raw], [logits], beta=1.0)
    mfccs = named("mfccs", 1, 26)
    _front_end(g, samples, mfccs)
    return g.write(path, [windows, state_c, state_h, samples], [logits, c, h, mfccs])


def _cell(
    g: Graph, width: int, ins: tuple[int, int, int], weights: tuple[int, int], outs: tuple[int, int]
) -> None:
    (x, c, h), (new_c, new_h) = ins, outs
    t = [g.tensor(f"t_{len(g.graph.tensors)}_{i}", (1, width)) for i in range(11)]
    both, gates = g.tensor("both", (1, 2 * width)), g.tensor("gates", (1, 4 * width))
    g.add("CONCATENATION", [x, h], [both], axis=1)
    g.add("FULLY_CONNECTED", [both, *weights], [gates])
    g.add("SPLIT", [g.constant(1, "int32"), gates], t[:4], numSplits=4)
    for source, target, name in ((0, 4, "LOGISTIC"), (1, 5, "TANH"), (2, 6, "LOGISTIC"), (3, 7, "LOGISTIC")):
        g.add(name, [t[source]], [t[target]])
    g.add("MUL", [t[4], t[5]], [t[8]])
    g.add("MUL", [t[6], c], [t[9]])
    g.add("ADD", [t[8], t[9]], [new_c])
    g.add("TANH", [new_c], [t[10]])
    g.add("MUL", [t[7], t[10]], [new_h])


def _front_end(g: Graph, samples: int, mfccs: int) -> None:
    """As DeepSpeech 0.9.3 exports it: one window of 512 samples to 26 coefficients."""
    column, power = g.tensor("column", (512, 1)), g.tensor("spectrogram", (1, 1, 257))
    cepstra = g.tensor("cepstra", (1, 1, 26))
    g.add("RESHAPE", [samples, g.constant([512, 1], "int32")], [column])
    g.add("AudioSpectrogram", [column], [power], window_size=512, stride=320, magnitude_squared=True)
    limits = {"upper_frequency_limit": 8000.0, "lower_frequency_limit": 20.0}
    counts = {"filterbank_channel_count": 40, "dct_coefficient_count": 26}
    g.add("Mfcc", [power, g.constant(16000, "int32")], [cepstra], **limits, **counts)
    g.add("RESHAPE", [cepstra, g.constant([1, 26], "int32")], [mfccs])
