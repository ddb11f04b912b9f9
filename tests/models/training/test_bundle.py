"""Bundles: read where they lie, refused when they are not whole or not meant for the method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from models.methods import find_method
from models.train import main
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, filling_bundle, write_bundle
from tests.helpers import tiny_method

ABOUT = About("m", "s", "p", {"size": 3}, 7, {"steps": 5}, (Segment("a", 0, 4, 25.0, TRAIN),))


@pytest.fixture(autouse=True)
def _tiny() -> None:
    tiny_method.register()


def test_anyone_with_safetensors_can_read_a_bundle(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    arrays = {
        "pictures": chance.integers(0, 256, (5, 3, 3, 3)).astype(np.uint8),
        "rows": chance.normal(size=(5, 7)).astype(np.float32),
        "numbers": np.arange(5),
        "nothing": np.zeros((0, 4), np.float16),
        "start/net/layer.weight": np.ones((2, 2), np.float16),
    }
    path = write_bundle(tmp_path / "b.safetensors", ABOUT, arrays)
    bundle = Bundle(path)
    with safe_open(path, "np") as file:
        for name, values in arrays.items():
            np.testing.assert_array_equal(file.get_tensor(name), values)
            np.testing.assert_array_equal(bundle[name], values)
    assert bundle.about == About.from_json(ABOUT.as_json())
    assert bundle.about.segments == ABOUT.segments
    assert list(bundle.start()) == ["net/layer.weight"]
    assert not bundle["rows"].flags.writeable


@pytest.mark.parametrize("where", ["header", "body"])
def test_a_changed_bit_is_noticed(tmp_path: Path, where: str) -> None:
    chance = np.random.default_rng(0)
    path = write_bundle(tmp_path / "b", ABOUT, {"start/net/weight": chance.normal(size=(40, 40))})
    Bundle(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"size") + 2 if where == "header" else -5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"content was changed; copy or export it again"):
        Bundle(path)


def test_segments_and_rows_are_those_of_the_split(tmp_path: Path) -> None:
    runs = (
        Segment("a", 0, 3, 25.0, TRAIN),
        Segment("a", 3, 5, 25.0, HELD_OUT, 3),
        Segment("b", 5, 9, 30.0, TRAIN),
    )
    about = About("m", "s", "p", {}, segments=runs)
    bundle = Bundle(write_bundle(tmp_path / "b", about, {"x": np.zeros(9)}))
    assert bundle.segments(TRAIN) == [(0, 3), (5, 9)]
    assert bundle.rows(TRAIN).tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert bundle.rows(HELD_OUT).tolist() == [3, 4]
    assert bundle.rows("other").tolist() == []


def test_a_bundle_that_fails_while_it_is_filled_is_not_there(tmp_path: Path) -> None:
    def fail() -> None:
        with filling_bundle(tmp_path / "b", ABOUT, {"x": ((3,), np.float32)}) as views:
            views["x"][...] = 1
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_another_content_has_another_fingerprint(tmp_path: Path) -> None:
    values = np.zeros(10_000, np.float32)
    prints = {Bundle(write_bundle(tmp_path / "a", ABOUT, {"x": values})).fingerprint}
    prints.add(Bundle(write_bundle(tmp_path / "same", ABOUT, {"x": values})).fingerprint)
    assert len(prints) == 1
    values[4321] = 1
    prints.add(Bundle(write_bundle(tmp_path / "b", ABOUT, {"x": values})).fingerprint)
    assert len(prints) == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def no_bundle(path: Path) -> None:
    path.write_bytes(b"\x00\x01\x02 this is no bundle at all" * 9)


def other_file(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, path)


def unknown_method(path: Path) -> None:
    write_bundle(path, About("singing", "expression", "cpu", {}), {"x": np.zeros(3)})


def unknown_stage(path: Path) -> None:
    write_bundle(path, About("tiny", "dancing", "cpu", {}), {"x": np.zeros(3)})


def lacking(path: Path) -> None:
    write_bundle(path, About("tiny", "expression", "cpu", {}), {"speech": np.zeros((3, 2, 3))})


def strange_plan(path: Path) -> None:
    tiny_method.tiny_bundle(path, stepz=3)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "cut short"),
        (Path.unlink, "cannot be read"),
        (no_bundle, "not a safetensors file"),
        (other_file, "no bundle"),
        (unknown_method, "no method is called 'singing'"),
        (unknown_stage, "no stage 'dancing'"),
        (lacking, "lacks expression"),
        (strange_plan, "no 'stepz'"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil, words: str
) -> None:
    path = tiny_method.tiny_bundle(tmp_path / "b")
    spoil(path)
    assert main([str(path), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_every_listed_method_that_is_there_is_a_method() -> None:
    with pytest.raises(ValueError, match="no method is called"):
        find_method("nobody")
    assert find_method("tiny").name == "tiny"
