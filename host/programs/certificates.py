"""Certificates by hand and by timer: `/usr/bin/python3 -I certificates.py renew` or `… panel`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from webops_host.linux.renewal import main

if __name__ == "__main__":
    sys.exit(main())
