"""What is told of whole clips: by this project's expert, and by the public one where there is one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.sync.measuring import apart, evened, measured
from models.sync.public import FACE_SIDE, PublicSyncNet, load_public
from models.sync.public_sound import public_mfcc


def embeddings(late: float, count: int = 120) -> tuple[Tensor, Tensor]:
    """Unit vectors along a smooth path; those that are heard come `late` frames later."""
    draw = torch.Generator().manual_seed(0)
    waves, phases = torch.rand(2, 24, generator=draw) * torch.tensor([[1.2], [6.28]])

    def at(times: Tensor) -> Tensor:
        return torch.nn.functional.normalize(torch.cos(times[:, None] * waves + phases), dim=1)

    times = torch.arange(count, dtype=torch.float32)
    return at(times), at(times - late)


@pytest.mark.parametrize("late", [0.0, 3.0, -6.0, 1.5])
def test_the_offset_is_found_between_frames_too(late: float) -> None:
    step = measured([apart(*embeddings(late))])
    assert step.offset == pytest.approx(late, abs=0.15)
    assert step.sync_c > 0.3


def test_what_is_in_step_is_nearer_than_what_is_not() -> None:
    seen, heard = embeddings(0.0)
    other = heard[torch.randperm(len(heard), generator=torch.Generator().manual_seed(1))]
    right, wrong = measured([apart(seen, heard)]), measured([apart(seen, other)])
    assert right.sync_c > wrong.sync_c + 0.3
    assert right.sync_d < wrong.sync_d
    assert right.sync_d == pytest.approx(0, abs=1e-3)


def test_runs_are_one_clip_and_short_ones_tell_nothing() -> None:
    seen, heard = embeddings(2.0)
    halves = [apart(seen[:60], heard[:60]), apart(seen[60:], heard[60:])]
    assert measured(halves).offset == pytest.approx(2, abs=0.1)
    assert all(math.isnan(value) for value in measured([apart(seen[:9], heard[:9])]))
    assert all(math.isnan(value) for value in measured([]))


def test_what_never_changes_tells_nothing() -> None:
    """A person whom the expert always finds far from any sound is measured like others."""
    seen, heard = embeddings(4.0)
    away = torch.zeros(24)
    away[:3] = 9.0
    strange = torch.nn.functional.normalize(seen + away, dim=1)
    raw = measured([apart(strange, heard)])
    plain, step = (measured([apart(*run) for run in evened([(one, heard)])]) for one in (seen, strange))
    assert step.offset == pytest.approx(4, abs=0.2)
    assert raw.sync_c < 0.5 * plain.sync_c
    assert step.sync_c > 0.7 * plain.sync_c
    halves = evened([(strange[:70], heard[:70]), (strange[70:], heard[70:])])
    torch.testing.assert_close(torch.cat([one for one, _ in halves]), evened([(strange, heard)])[0][0])
    assert evened([]) == []


def test_mfcc_are_those_of_the_public_protocol() -> None:
    """A tone of 1 kHz: its energy by hand, and its shape in the band that holds it."""
    time = np.arange(16_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    rows = public_mfcc(tone)
    assert rows.shape == (99, 13)
    through = abs(1 - 0.97 * np.exp(-2j * np.pi / 16))  # what pre-emphasis leaves of it
    amplitude = 0.5 * 32767 * through
    # Parseval: half of the spectrum, 400 samples.
    energy = amplitude**2 / 2 * 400 / 2
    assert rows[50, 0] == pytest.approx(np.log(energy), abs=0.01)
    louder = public_mfcc(tone / 2)
    np.testing.assert_allclose(rows[50, 0] - louder[50, 0], np.log(4), atol=1e-3)
    np.testing.assert_allclose(rows[50, 1:], louder[50, 1:], atol=0.05)
    assert np.isfinite(public_mfcc(np.zeros(700))).all()
    assert len(public_mfcc(np.zeros(10))) == 1


def weights_of(path: Path, seed: int = 0) -> Path:
    """A file like the public one, but of chance."""
    torch.manual_seed(seed)
    net = PublicSyncNet()
    for name, values in net.named_buffers():
        if name.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    torch.save(net.state_dict(), path)
    return path


def test_the_public_network_has_the_public_names() -> None:
    shapes = {name: tuple(value.shape) for name, value in PublicSyncNet().state_dict().items()}
    assert len(shapes) == 2 * (6 * 7) + 2 * 9
    assert shapes["netcnnaud.0.weight"] == (64, 1, 3, 3)
    assert shapes["netcnnaud.4.weight"] == (192, 64, 3, 3)
    assert shapes["netcnnaud.18.weight"] == (512, 256, 5, 4)
    assert shapes["netcnnaud.19.running_mean"] == (512,)
    assert shapes["netcnnlip.0.weight"] == (96, 3, 5, 7, 7)
    assert shapes["netcnnlip.4.weight"] == (256, 96, 1, 5, 5)
    assert shapes["netcnnlip.18.weight"] == (512, 256, 1, 6, 6)
    assert shapes["netfclip.3.weight"] == (1024, 512)
    assert shapes["netfcaud.1.running_var"] == (512,)


def test_a_clip_is_scored_end_to_end(tmp_path: Path) -> None:
    scorer = load_public(weights_of(tmp_path / "syncnet_v2.model"))
    draw = np.random.default_rng(0)
    faces = draw.integers(0, 256, (15, FACE_SIDE, FACE_SIDE, 3), dtype=np.uint8)
    sound = 0.1 * draw.standard_normal(15 * 640)
    score = scorer(iter(faces), sound)
    assert score.lse_d > 0
    assert score.lse_c >= 0
    assert abs(score.offset) <= 15
    assert all(math.isnan(value) for value in scorer(faces[:5], sound))
    # Windows do not depend on how faces are taken together: ten of them, of five frames each.
    whole = torch.from_numpy(faces[..., ::-1].copy()).movedim(-1, 0).float()
    seen = scorer._seen(faces, 99)
    assert len(seen) == 10
    torch.testing.assert_close(seen[9:], scorer._net.see(whole[:, 9:14][None]), atol=1e-3, rtol=1e-3)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    torch.save({"netcnnaud.0.weight": torch.zeros(1)}, tmp_path / "other")
    for name in ("text", "other", "missing"):
        with pytest.raises(ValueError, match="no weights of the public SyncNet"):
            load_public(tmp_path / name)
