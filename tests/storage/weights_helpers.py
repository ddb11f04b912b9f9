"""Small weights files of each kind, and a server on the loopback interface that misbehaves on request."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from safetensors.numpy import save

ARRAYS = {"layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "layer.bias": np.ones(3, np.float16)}
TFLITE = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 8
TENSORS = save(ARRAYS, {"made_by": "tests"})


class Bomb:
    """Unpickling this raises: no test may ever come to that."""

    def __reduce__(self):
        return (exec, ("raise AssertionError('a pickle was loaded')",))


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


def numpy_bytes(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def tarred(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


PICKLES = {
    **{f"protocol {n}": pickle.dumps(Bomb(), protocol=n) for n in range(6)},
    "torch zip": zipped(data__pkl=pickle.dumps(Bomb()), version=b"3"),
    "zip under another name": zipped(weights__bin=pickle.dumps(Bomb())),
    "long pickle in a zip": zipped(weights=pickle.dumps([bytes(3 * 2**20), Bomb()])),
    "torch legacy": pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(1001, protocol=2),
    "torch tar": tarred(pickle.dumps(Bomb())),
    "numpy objects": numpy_bytes(np.array([Bomb()], dtype=object)),
    "numpy objects in a zip": zipped(a__npy=numpy_bytes(np.array([Bomb()], dtype=object))),
    "task with a pickle": zipped(face__tflite=TFLITE, extra=pickle.dumps(Bomb())),
    "cut pickle": pickle.dumps({"a": list(range(1000))})[:-50],
}


def manifest(name: str, data: bytes, **more: object) -> str:
    line = {
        "file": f"{name}.safetensors",
        "format": "safetensors",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "licence": "Apache-2.0",
        "about": "a test",
        "card": f"{name}.md",
    }
    return json.dumps({name: line | more})


@contextmanager
def web_server(data: bytes) -> Iterator[tuple[str, list[str]]]:
    """An address, and the paths asked for. `/cut` breaks off, `/endless` never stops, `/lost` is 404."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path == "/lost":
                return self.send_error(404)
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "http://example.invalid/file")
                return self.end_headers()
            self.send_response(200)
            if self.path not in ("/endless", "/silent-cut"):
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            body = data[: len(data) // 2] if "cut" in self.path else data
            self.wfile.write(body * (1000 if self.path == "/endless" else 1))
            return None

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
