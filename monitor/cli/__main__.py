"""``python -m monitor.cli`` is ``cytowatch``."""

import sys

from monitor.cli import main

sys.exit(main())
