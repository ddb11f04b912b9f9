"""Where things are kept: the ledger, the stores, media files, weights and consent.

Called by `tasks` and `flows`. Knows no tensor and no model.
"""

import fsspec

# By name: s3fs is imported by who uses a bucket, and need not be there for others.
fsspec.register_implementation(
    "s3", "storage.s3.S3FileSystem", clobber=True, errtxt="buckets need pip install 'memdub[s3]'"
)
