"""Looks at names and certificates from outside the daemon: `/usr/bin/python3 -I reach.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from webops_host.linux.reach import main

if __name__ == "__main__":
    sys.exit(main())
