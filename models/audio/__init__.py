"""Sound to features, block by block, in bounded memory: MFCC, log-mel, loudness, voice activity.

Called by `tasks.audio`. Every feature is a `Stream`: `push(block)` gives the rows that are ready,
`finish()` the rest; however the sound is cut into blocks, the rows are the same to the last bit. Mono
float, 16 kHz.
"""

from models.audio.framing import RATE, SPEECH_HOP, Stream, run, speech_rows
from models.audio.loudness import SILENCE, loudness
from models.audio.mel import MEL_RATE, log_mel
from models.audio.mfcc import COEFFICIENTS, mfcc
from models.audio.voice import activity, voice_cues

__all__ = [
    "COEFFICIENTS",
    "MEL_RATE",
    "RATE",
    "SILENCE",
    "SPEECH_HOP",
    "Stream",
    "activity",
    "log_mel",
    "loudness",
    "mfcc",
    "run",
    "speech_rows",
    "voice_cues",
]
