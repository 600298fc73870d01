"""Tries the walls around deployments: `/usr/bin/python3 -I selftest.py`, next to the folder `webops_host`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from webops_host.linux.selftest import main

if __name__ == "__main__":
    sys.exit(main())
