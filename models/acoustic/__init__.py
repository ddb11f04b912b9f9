"""The embedded acoustic network: speech of any language to 29 symbols at 50 a second.

Features for lips, not a transcript. Called by `tasks` (audio features, training); the weights come from
`storage.weights` as arrays, since this package opens no file.
"""

from models.acoustic.config import AcousticConfig
from models.acoustic.network import Network
from models.acoustic.stream import AcousticNet, load
from models.acoustic.symbols import SYMBOLS

__all__ = ["SYMBOLS", "AcousticConfig", "AcousticNet", "Network", "load"]
