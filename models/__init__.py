"""Pure maths on arrays and tensors: the puppet, audio, face, memory, the systems, metrics.

Called by `tasks`. Knows no user's file, no Prefect and no Dask, and imports with nothing but
torch, numpy and safetensors installed: that is how a bare GPU machine trains.
"""

import os

# Torch's threads wait for each other by spinning, up to 30 ms at a time: beside any other work on the
# machine small networks then train ten times slower. Read once, when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
