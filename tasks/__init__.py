"""Units of work: artifacts in, artifacts out.

Called by `flows`. Calls `models` for the maths and `storage` for everything that lasts.
"""
