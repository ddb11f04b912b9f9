"""Where things are kept: the ledger, the stores, media files, weights and consent.

Called by `tasks` and `flows`. Knows no tensor and no model.
"""
