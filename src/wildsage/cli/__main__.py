"""``python -m wildsage.cli``."""

import sys

from wildsage.cli.main import main

sys.exit(main())
