"""`python -m voiced.cli` is `voiced`."""

import sys

from voiced.cli import main

sys.exit(main())
