"""MediaPipe's networks as plain functions of a picture: nothing is remembered from one call to the next.

The graphs that MediaPipe offers keep a face by what they saw before, and run on whole frames. Blocks must not
depend on what a process did earlier, and most of a large frame is no face: so the mesh is called on patches,
and keeping a face is done by `tasks.faces`. Private to tasks.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.errors import WeightsError, WorkError

__all__ = ["Detection", "Detector", "Mesh", "MeshNetwork", "detector", "mesh"]

F32 = NDArray[np.float32]
Picture = NDArray[np.uint8]

# In the calling thread: workers are processes, and handing each frame to another thread costs a twentieth.
_MESH_GRAPH = """
input_stream: "image"
output_stream: "landmarks"
output_stream: "score"
executor { type: "ApplicationThreadExecutor" }
node {
  calculator: "TfLiteCustomOpResolverCalculator"
  output_side_packet: "OP_RESOLVER:operators"
}
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:path"
  options { [mediapipe.ConstantSidePacketCalculatorOptions.ext] {
    packet { string_value: "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite" }
  } }
}
node {
  calculator: "LocalFileContentsCalculator"
  input_side_packet: "FILE_PATH:path"
  output_side_packet: "CONTENTS:bytes"
}
node {
  calculator: "TfLiteModelCalculator"
  input_side_packet: "MODEL_BLOB:bytes"
  output_side_packet: "MODEL:model"
}
node {
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:input"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 192
    output_tensor_height: 192
    output_tensor_float_range { min: 0 max: 1 }
  } }
}
node {
  calculator: "InferenceCalculator"
  input_stream: "TENSORS:input"
  output_stream: "TENSORS:output"
  input_side_packet: "MODEL:model"
  input_side_packet: "OP_RESOLVER:operators"
  options { [mediapipe.InferenceCalculatorOptions.ext] { delegate { xnnpack { num_threads: 1 } } } }
}
node {
  calculator: "SplitTensorVectorCalculator"
  input_stream: "output"
  output_stream: "points"
  output_stream: "presence"
  options { [mediapipe.SplitVectorCalculatorOptions.ext] {
    ranges { begin: 0 end: 6 }
    ranges { begin: 6 end: 7 }
  } }
}
node {
  calculator: "TensorsToFloatsCalculator"
  input_stream: "TENSORS:presence"
  output_stream: "FLOAT:score"
  options { [mediapipe.TensorsToFloatsCalculatorOptions.ext] { activation: SIGMOID } }
}
node {
  calculator: "TensorsToFaceLandmarksWithAttention"
  input_stream: "TENSORS:points"
  output_stream: "LANDMARKS:landmarks"
}
"""
# A landmark in a serialised list: a field of 15 bytes, which are x, y and z as tagged floats.
_LANDMARK = np.dtype(
    {"names": ["x", "y", "z"], "formats": ["<f4"] * 3, "offsets": [3, 8, 13], "itemsize": 17}
)


class Reading(NamedTuple):
    """What the mesh says of a patch: x, y, z where the patch is 0 to 1; 0 to 1 how much it is a face."""

    points: F32  # (478, 3)
    score: float
    blendshapes: F32 | None = None  # (52,)


class MeshNetwork(Protocol):
    """Landmarks of the face in a square patch."""

    side: int  # of the patches it wants

    def __call__(self, patch: Picture) -> Reading: ...


class Mesh:
    """The 478-point mesh that MediaPipe's wheel carries."""

    side = 192

    def __init__(self) -> None:
        framework = _framework()
        self._graph = framework.CalculatorGraph(graph_config=_MESH_GRAPH)
        self._said: dict[str, Any] = {}
        for name in ("landmarks", "score"):
            self._graph.observe_output_stream(name, self._said.__setitem__, True)
        self._graph.start_run({})
        self._calls = 0

    def __call__(self, patch: Picture) -> Reading:
        from mediapipe.python import packet_creator, packet_getter
        from mediapipe.python._framework_bindings import _packet_getter, image_frame

        self._calls += 1
        self._said.clear()
        packet = packet_creator.create_image_frame(patch, image_format=image_frame.ImageFormat.SRGB)
        self._graph.add_packet_to_input_stream("image", packet.at(self._calls))
        self._graph.wait_until_idle()
        if "landmarks" not in self._said:
            raise WorkError("the face mesh gave no answer", do="install mediapipe 0.10.14")
        # Read out of the bytes: a Python object for each of 478 points would take as long as the crop.
        told = np.frombuffer(_packet_getter._get_serialized_proto(self._said["landmarks"]), _LANDMARK)
        points = np.stack([told["x"], told["y"], told["z"]], axis=1)
        return Reading(points, float(packet_getter.get_float(self._said["score"])))


class Detection(NamedTuple):
    """A face that a detector sees, in the picture's pixels."""

    box: tuple[float, float, float, float]  # x, y, width, height
    eyes: tuple[tuple[float, float], tuple[float, float]]  # the picture's left one first
    score: float


class Detector:
    """MediaPipe's face detector; `far` is the one for small faces."""

    def __init__(self, far: bool, least: float = 0.5) -> None:
        _framework()
        from mediapipe.python.solutions import face_detection

        self._network = face_detection.FaceDetection(model_selection=int(far), min_detection_confidence=least)

    def __call__(self, picture: Picture) -> list[Detection]:
        height, width = picture.shape[:2]
        told = self._network.process(picture).detections or []
        return [_detection(one.location_data, float(one.score[0]), width, height) for one in told]


def _detection(place: Any, score: float, width: int, height: int) -> Detection:
    box = place.relative_bounding_box
    left, right = ((p.x * width, p.y * height) for p in place.relative_keypoints[:2])
    return Detection(
        (box.xmin * width, box.ymin * height, box.width * width, box.height * height), (left, right), score
    )


@lru_cache(maxsize=1)
def _framework() -> Any:
    """MediaPipe, ready to find its own files; silent, since its logs are not ours to show."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import mediapipe
    from mediapipe.python._framework_bindings import calculator_graph, resource_util

    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parent.parent))
    return calculator_graph


@lru_cache(maxsize=2)
def mesh(backend: str, bundle: str | None = None) -> MeshNetwork:
    """The mesh of a backend, loaded once a process: calls leave nothing behind, so sharing is safe."""
    if backend == "mesh":
        return Mesh()
    if bundle is None:
        raise WeightsError("this backend needs a bundle", where="face_landmarker.task", do="give its path")
    from tasks._landmarker import BundleMesh

    return BundleMesh(Path(bundle))


@lru_cache(maxsize=2)
def detector(far: bool) -> Detector:
    """One of the two detectors, loaded once a process."""
    return Detector(far)
