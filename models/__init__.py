"""Pure maths on arrays and tensors: the puppet, audio, face, memory, the systems, metrics.

Called by `tasks`. Knows no user's file, no Prefect and no Dask, and imports with nothing but
torch, numpy and safetensors installed: that is how a bare GPU machine trains.
"""
