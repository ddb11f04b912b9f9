"""Media files: probe them, read pictures and sound exactly, write them in step. Anyone may call this.

One timeline for everything: t = 0 is the first shown frame (edit lists honoured), frame i stands at
i / rate, sample n at n / sound rate. Everything streams: pictures and sound never pile up. What grows
is the packet tables that MP4 itself needs (measured: 0.3 MB a minute to read, 1 MB to normalise) and an
index of eight bytes a frame.
"""

from storage.media.apart import normalise_apart, probe_apart
from storage.media.colours import Box, Colours, split
from storage.media.normalise import Normalised, normalise
from storage.media.picture import YUV_TO_RGB, Orientation
from storage.media.probe import AudioInfo, Probe, VideoInfo, check, probe, require_audio, require_video
from storage.media.sound import SoundReader, read_sound
from storage.media.timeline import STANDARD_RATES, Timeline, choose_rate
from storage.media.video import VideoReader
from storage.media.writer import AAC_RATES, MediaWriter

__all__ = [
    "AAC_RATES",
    "STANDARD_RATES",
    "YUV_TO_RGB",
    "AudioInfo",
    "Box",
    "Colours",
    "MediaWriter",
    "Normalised",
    "Orientation",
    "Probe",
    "SoundReader",
    "Timeline",
    "VideoInfo",
    "VideoReader",
    "check",
    "choose_rate",
    "normalise",
    "normalise_apart",
    "probe",
    "probe_apart",
    "read_sound",
    "require_audio",
    "require_video",
    "split",
]
