"""Every number of the acoustic network: the front end, the trunk, the streaming grid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

__all__ = ["AcousticConfig"]


@dataclass(frozen=True)
class AcousticConfig:
    """Times in samples are at `rate`; one output frame is two mel frames, that is 20 ms."""

    rate: int = 16_000
    hop: int = 160
    window: int = 400
    spectrum: int = 512
    bands: int = 64
    lowest_hz: float = 60.0
    highest_hz: float = 7600.0
    # The mean that is taken off reaches this many mel frames to both sides, louder frames counting more.
    mean_reach: int = 300
    mean_power: float = 0.3
    quietest: float = 1e-20
    floor: float = -8.0
    ceiling: float = 6.0
    scale: float = 0.4
    width: int = 160
    bottleneck: int = 96
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4)
    # Output frames that are computed at once, on a grid that starts with the sound.
    tile: int = 1000

    @property
    def reach(self) -> int:
        """Output frames to each side that one output frame depends on."""
        return (self.kernel // 2) * sum(self.dilations) + 1

    @property
    def samples_a_frame(self) -> int:
        return 2 * self.hop

    def as_metadata(self) -> dict[str, str]:
        """What goes into the header of a weights file."""
        return {"acoustic": json.dumps(asdict(self))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> AcousticConfig:
        """Back again; ValueError where these are not an acoustic network's weights."""
        if "acoustic" not in metadata:
            raise ValueError("no acoustic network: the file's header does not describe one")
        told = json.loads(metadata["acoustic"])
        return cls(**{**told, "dilations": tuple(told["dilations"])})
