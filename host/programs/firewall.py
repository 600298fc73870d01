"""Loads the firewall: `/usr/bin/python3 -I firewall.py load`, next to the folder `webops_host`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from webops_host.linux.firewall_load import main

sys.exit(main())
