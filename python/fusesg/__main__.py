"""`python -m fusesg` is the command `fusesg`."""

import sys

from fusesg.cli import main

sys.exit(main())
