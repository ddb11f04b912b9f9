"""Units of work: artifacts in, artifacts out.

Called by `flows`. Calls `models` for the maths and `storage` for everything that lasts.
"""

import models  # noqa: F401  (before torch: it says how torch's threads are to wait)
