"""Starts job from the folder that this file lies in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from webops_host.linux.job import main

if __name__ == "__main__":
    sys.exit(main())
