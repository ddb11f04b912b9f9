import hashlib
import socket
from dataclasses import replace

import numpy as np
import pytest

from storage.errors import WeightsError
from storage.weights import TABLE, Registry, Weights, bundled, open_safetensors
from tests.storage.weights_helpers import ARRAYS, TENSORS, TFLITE, manifest, web_server

SHA = hashlib.sha256(TENSORS).hexdigest()
NET = Weights("net", "safetensors", "download", "Apache-2.0", "a test", SHA, len(TENSORS))


@pytest.fixture(autouse=True)
def straight_to_loopback(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def web():
    with web_server(TENSORS) as served:
        yield served


def registry(home, *table, **environ):
    return Registry(home, table, environ)


def put(path, data=TENSORS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert error.value.exit_status == 2
    return text


def test_arrays_and_metadata_come_back(tmp_path):
    tensors = open_safetensors(put(tmp_path / "a.safetensors"))
    assert tensors.metadata == {"made_by": "tests"}
    assert tensors.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert tensors.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors.arrays[name], array)


@pytest.mark.parametrize("keep", [-1, -20, 100, 4, 0])
def test_a_cut_file_is_one_clear_line(tmp_path, keep):
    with pytest.raises(WeightsError) as error:
        open_safetensors(put(tmp_path / "a.safetensors", TENSORS[:keep]))
    assert "a.safetensors" in one_line(error)


def test_the_users_own_comes_first(tmp_path):
    bundle = put(tmp_path / "package" / "net.safetensors")
    own = TENSORS.replace(b"tests", b"mine!")
    weights = replace(NET, path=bundle, source="bundled")
    assert registry(tmp_path, weights).find("net").origin == "bundled"
    at_home = put(tmp_path / "weights" / "net.safetensors", own)
    found = registry(tmp_path, weights).find("net")
    assert (found.origin, found.path, found.sha256) == ("user", at_home, hashlib.sha256(own).hexdigest())
    named = put(tmp_path / "elsewhere" / "any.name", own)
    assert registry(tmp_path, weights, MEMDUB_WEIGHTS_NET=str(named)).find("net").path == named


def test_a_variable_that_names_no_file_is_not_passed_over(tmp_path):
    put(tmp_path / "weights" / "net.safetensors")
    with pytest.raises(WeightsError, match="MEMDUB_WEIGHTS_NET names no file"):
        registry(tmp_path, NET, MEMDUB_WEIGHTS_NET=str(tmp_path / "none")).find("net")


def test_a_file_of_another_format_is_refused(tmp_path):
    put(tmp_path / "weights" / "net.safetensors", TFLITE)
    with pytest.raises(WeightsError, match="a tflite file, not safetensors"):
        registry(tmp_path, NET).find("net")


def test_absent_weights_say_what_to_do(tmp_path):
    with pytest.raises(WeightsError) as error:
        registry(tmp_path, replace(NET, url="https://example.org/net")).find("net")
    assert "get it from https://example.org/net and" in one_line(error)
    assert "memdub weights" not in one_line(error), "no such command"
    assert "MEMDUB_WEIGHTS_NET" in one_line(error)
    with pytest.raises(WeightsError) as error:
        registry(tmp_path, *TABLE).find("deepspeech")
    assert "github.com/mozilla" in one_line(error)
    assert "fetch" not in one_line(error)
    with pytest.raises(WeightsError, match="use one of net"):
        registry(tmp_path, NET).find("nut")


def test_bundled_weights_are_listed_beside_their_files(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    put(package / "__init__.py", b"")
    put(package / "weights" / "net.safetensors")
    put(package / "weights" / "weights.json", manifest("net", TENSORS).encode())
    monkeypatch.syspath_prepend(tmp_path)
    (weights,) = bundled("some_package")
    found = registry(tmp_path / "home", weights).find("net")
    assert (found.origin, found.sha256, weights.card) == ("bundled", SHA, "net.md")
    put(package / "weights" / "net.safetensors", TENSORS[:-1] + b"\x00")
    with pytest.raises(WeightsError, match="not the official file"):
        registry(tmp_path / "home", weights).find("net")
    (package / "weights" / "net.safetensors").unlink()
    with pytest.raises(WeightsError, match="install memdub again"):
        registry(tmp_path / "home", weights).find("net")
    assert bundled("no_such_package") == ()


def test_a_download_is_checked_kept_and_not_repeated(tmp_path, web):
    address, asked = web
    weights = replace(NET, url=f"{address}/net")
    found = registry(tmp_path, weights).fetch("net", consent=True)
    assert found.origin == "downloaded"
    assert found.path.read_bytes() == TENSORS
    assert registry(tmp_path, weights).find("net") == found
    assert registry(tmp_path, weights).fetch("net", consent=True) == found
    assert asked == ["/net"]
    assert [path.name for path in found.path.parent.iterdir()] == ["net.safetensors"]


def test_a_harmed_download_is_not_used_and_is_fetched_anew(tmp_path, web):
    weights = replace(NET, url=f"{web[0]}/net")
    path = registry(tmp_path, weights).fetch("net", consent=True).path
    path.write_bytes(TENSORS[:-1] + b"\x00\x00")
    with pytest.raises(WeightsError, match=r"not the official file.*delete it, then get it from http"):
        registry(tmp_path, weights).find("net")
    assert registry(tmp_path, weights).fetch("net", consent=True).path.read_bytes() == TENSORS


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        ("/cut", {}, "broke off after"),
        ("/silent-cut", {}, "broke off after"),
        ("/silent-cut", {"size": None}, "pinned is"),
        ("/endless", {}, "longer than"),
        ("/net", {"sha256": "0" * 64}, "pinned is 000000000000"),
        ("/lost", {}, "answered 404"),
        ("/away", {}, "will not download from http://example.invalid"),
    ],
)
def test_a_bad_download_leaves_nothing(tmp_path, web, path, change, message):
    weights = replace(NET, url=web[0] + path, **change)
    with pytest.raises(WeightsError, match=message) as error:
        registry(tmp_path, weights).fetch("net", consent=True)
    one_line(error)
    assert list((tmp_path / "weights" / "downloaded").iterdir()) == []


def test_offline_is_one_clear_line(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        weights = replace(NET, url=f"http://127.0.0.1:{closed.getsockname()[1]}/net")
        with pytest.raises(WeightsError, match="refused") as error:
            registry(tmp_path, weights).fetch("net", consent=True)
    assert "by hand" in one_line(error)


def test_nothing_is_downloaded_unasked_or_unpinned(tmp_path, web):
    address, asked = web
    weights = replace(NET, url=f"{address}/net")
    with pytest.raises(WeightsError, match="not agreed"):
        registry(tmp_path, weights).fetch("net", consent=False)
    with pytest.raises(WeightsError, match="no checksum is pinned"):
        registry(tmp_path, replace(weights, sha256=None)).fetch("net", consent=True)
    with pytest.raises(WeightsError, match="will not download"):
        registry(tmp_path, replace(weights, url="file:///etc/passwd")).fetch("net", consent=True)
    with pytest.raises(WeightsError, match="not here"):
        registry(tmp_path, weights).find("net")
    assert asked == []


def test_a_home_in_a_bucket_has_its_networks_in_the_cache(tmp_path, web):
    weights = replace(NET, url=f"{web[0]}/net")
    found = registry("s3://bucket/home", weights, XDG_CACHE_HOME=str(tmp_path)).fetch("net", consent=True)
    assert found.path == tmp_path / "memdub" / "weights" / "downloaded" / "net.safetensors"


def test_the_standing_of_all_weights(tmp_path):
    put(tmp_path / "weights" / "deepspeech.tflite", TFLITE)
    lines = {line.weights.name: line for line in Registry(tmp_path, environ={}).standing()}
    assert lines["deepspeech"].found.origin == "user"
    assert lines["face_landmarker"].found is None
    assert f"get it from {lines['face_landmarker'].weights.url} and" in lines["face_landmarker"].trouble


def test_the_table_is_sound():
    assert len({weights.name for weights in TABLE}) == len(TABLE)
    for weights in TABLE:
        assert weights.licence
        assert weights.url.startswith("https://")
        assert (weights.source == "download") == (weights.sha256 is not None and weights.size is not None)
    for change in ({"name": "A b"}, {"format": "pickle"}, {"sha256": "beef"}):
        with pytest.raises(WeightsError):
            replace(NET, **change)


@pytest.mark.real_footage
def test_the_pinned_face_landmarker_is_the_one_we_have(footage, tmp_path):
    given = footage / "models" / "face_landmarker.task"
    found = Registry(tmp_path, environ={"MEMDUB_WEIGHTS_FACE_LANDMARKER": str(given)}).find("face_landmarker")
    assert (found.sha256, given.stat().st_size) == (found.weights.sha256, found.weights.size)
