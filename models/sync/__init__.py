"""The sync expert: how likely a mouth and a sound belong together, for losses and for measurements.

    expert = load_expert(weights)
    seen, heard = expert.see(mouths), expert.hear(sound)      # five frames, and what is heard around them
    loss = sync_loss(expert, made, framing, sound)
    measured = measure(expert.see_run(mouths), expert.hear_run(sound))

Trained as methods are (`models.sync.method`), by nobody dubbed with.
"""

from models.sync.losses import sync_loss
from models.sync.network import SyncNet, load_expert
from models.sync.sight import in_pace, mouths_of, sound_windows

__all__ = ["SyncNet", "in_pace", "load_expert", "mouths_of", "sound_windows", "sync_loss"]
