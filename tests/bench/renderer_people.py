"""People for the renderer's bench, and their frames as a method sees them.

They are ingested and extracted once, and kept in the temporary folder.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from models.methods import Fit, Heard, Motion, Speaker, Template, View
from models.morphable.builtin import builtin
from models.puppet.texts import ENGLISH_60_S
from models.track.regions import region_of, to_picture
from tasks._mediapipe import mesh
from tasks.film import Script, film
from tasks.material import Material
from tests.bench.footage import real_footage

__all__ = ["Lips", "heard_of", "prepared", "template_of", "view_of", "wanted_by"]

RECORD = """subject = "Bench"
scope = ["ingest", "train", "dub"]
given_by = "Bench"
given_on = {today}
expires = 2999-01-01
purpose = "benchmarks"
"""
FITS = ("rotation", "translation", "camera", "light", "expression")


def prepared(who: str) -> Path:
    """A home with one identity, extracted."""
    from flows.extract import extract
    from flows.ingest import ingest

    place = Path(tempfile.gettempdir()) / "memdub-renderer" / who
    if (place / "done").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    if who == "puppet":
        video = film(Script(4, ENGLISH_60_S), place / "puppet.mp4").video
    else:
        footage = real_footage()
        if footage is None:
            raise SystemExit("no real footage: set MEMDUB_FOOTAGE")
        video = footage / "video" / "senator_60s_256.mp4"
    record = place / "consent.toml"
    record.write_text(RECORD.format(today=dt.date.today()))
    ingest([video], who, record=record, home=str(place))
    extract([who], home=str(place)).raise_if_refused()
    (place / "done").touch()
    return place


def template_of(one: Material) -> Template:
    """The whole clip, without its pictures."""
    fit = Fit(*(torch.from_numpy(one.fit(name)) for name in FITS))
    width, height = (2 * float(fit.camera[0, i]) for i in (1, 2))
    seen = torch.from_numpy(one.seen)
    return Template(fit, torch.from_numpy(one.shot), seen, round(height), round(width), one.rate)


def view_of(one: Material, template: Template, frames: np.ndarray, pictures: Tensor, wanted: Tensor) -> View:
    """Frames that are to show what is `wanted` (T, 64) of all frames."""
    at = torch.from_numpy(frames)
    fit = Fit(*(rows[at] for rows in template.fit))
    run = torch.from_numpy(one.shot)[at]
    return View(pictures, at, run, fit, Motion(wanted[at]), torch.ones(len(at)))


def heard_of(one: Material, shift: int = 0) -> Heard:
    """The clip's own sound as a speaker hears it; `shift` frames of it wrong."""
    rows = [torch.from_numpy(one.group.read(f"audio/{name}")) for name in ("deepspeech", "loudness", "voice")]
    mel = torch.from_numpy(one.group.read("audio/mel"))
    turns = [round(shift * 50 / one.rate)] * 3 + [round(shift * 80 / one.rate)]
    speech, loudness, voice, bands = (r.roll(by, 0) for r, by in zip((*rows, mel), turns, strict=True))
    return Heard(speech, loudness, voice, bands)


def wanted_by(one: Material, speaker: Speaker, shift: int = 0) -> Tensor:
    """The fitted expressions (T, 64), whose mouths are what a speaker makes of the clip's sound."""
    told = torch.cat([motion.expression for motion in speaker.listen(iter([heard_of(one, shift)]))])
    at = torch.arange(len(one.seen)) * (speaker.rate or one.rate) / one.rate
    rows = told[at.round().long().clamp(max=len(told) - 1)]
    mouth = torch.from_numpy(builtin().coefficients_of(("jaw", "lips", "cheeks")))
    wanted = torch.from_numpy(one.fit("expression")).clone()
    wanted[:, mouth] = rows[:, mouth].float()
    return wanted


class Lips:
    """Lip landmarks of whole pictures, each looked at where its true face is."""

    def __init__(self, landmarks: np.ndarray) -> None:
        self._regions = [region_of(points.astype(np.float32)) for points in landmarks]
        self.eyes = np.linalg.norm(landmarks[:, 33, :2] - landmarks[:, 263, :2], axis=-1)

    def __call__(self, pictures: Tensor) -> np.ndarray:
        """(B, 40, 2) in pixels."""
        network = mesh("mesh")
        lips = builtin().mouth
        out = []
        for picture, region in zip(pictures.numpy(), self._regions, strict=True):
            corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
            there = to_picture(corners, region)[:, :2].astype(np.float32)
            here = corners[:, :2] * network.side
            matrix = cv2.getAffineTransform(there, here.astype(np.float32))
            patch = cv2.warpAffine(picture, matrix, (network.side, network.side), flags=cv2.INTER_LINEAR)
            out.append(to_picture(network(np.ascontiguousarray(patch)).points, region)[lips, :2])
        return np.stack(out)
