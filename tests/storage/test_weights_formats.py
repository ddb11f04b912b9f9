import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import WeightsError
from storage.weights import Registry, Weights, check_format, open_safetensors, refuse_pickle, sniff
from tests.storage.weights_helpers import PICKLES, TENSORS, TFLITE, numpy_bytes, zipped

CLEAN = {
    "safetensors": TENSORS,
    "tflite": TFLITE,
    "task": zipped(face__tflite=TFLITE, geometry__binarypb=b"\n\xea\x94\x01" + bytes(2**21)),
}
STRANGE = [
    b"",
    b".",
    b"Not a pickle.",
    b"{}",
    bytes(100),
    numpy_bytes(np.zeros(3)),
    zipped(readme=b"hello"),
    (10).to_bytes(8, "little") + b"{not json}",
]


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("suffix", [".safetensors", ".tflite", ".pth"])
def test_a_pickle_is_known_under_any_name(tmp_path, kind, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(PICKLES[kind])
    assert sniff(path) == "pickle"
    for opened in (refuse_pickle, check_format, open_safetensors):
        with pytest.raises(WeightsError, match="convert it to safetensors") as error:
            opened(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", CLEAN)
def test_clean_files_are_told_by_content(tmp_path, kind):
    path = tmp_path / "weights.pkl"
    path.write_bytes(CLEAN[kind])
    assert sniff(path) == kind
    refuse_pickle(path)
    assert check_format(path, (kind,)) == kind
    with pytest.raises(WeightsError, match=f"a {kind} file, not other"):
        check_format(path, ("other",))


@pytest.mark.parametrize("data", STRANGE)
def test_what_is_nothing_known_is_refused(tmp_path, data):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(data)
    assert sniff(path) == "unknown"
    with pytest.raises(WeightsError, match="no known weights format"):
        check_format(path)


def test_a_missing_file_or_a_folder_is_one_line(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(WeightsError, match="cannot be read"):
            sniff(path)


values = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.integers(0, 5))
def test_every_pickle_is_known(tmp_path_factory, value, protocol):
    path = tmp_path_factory.getbasetemp() / "pickle.bin"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert sniff(path) == "pickle"


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_saves_is_a_pickle(tmp_path, new):
    torch = pytest.importorskip("torch")
    path = tmp_path / "weights.bin"
    torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=new)
    assert sniff(path) == "pickle"


def test_an_official_pth_passes_by_its_checksum_alone(tmp_path):
    data = PICKLES["torch zip"]
    path = tmp_path / "net.pth"
    path.write_bytes(data)
    environ = {"MEMDUB_WEIGHTS_NET": str(path)}
    digest = hashlib.sha256(data).hexdigest()
    official = Weights("net", "pth-official", "user", "MIT", "a test", digest)
    assert Registry(tmp_path, [official], environ).find("net").path == path
    for digest in ("0" * 64, None):
        other = Weights("net", "pth-official", "user", "MIT", "a test", digest)
        with pytest.raises(WeightsError, match="not the official file"):
            Registry(tmp_path, [other], environ).find("net")
