"""What lies in `inside` runs only in the network namespace that `test_samba.py` makes."""

import os

from tests.samba.namespace import INSIDE

collect_ignore = [] if os.environ.get(INSIDE) else ["inside"]
