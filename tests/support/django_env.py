"""A Python environment of a deployment without installing anything: this interpreter, with the packages we run on."""

from __future__ import annotations

import sys
from pathlib import Path

import django

from webops_host.environment import READY
from webops_host.layout import Layout
from webops_host.names import Digest

DIGEST = Digest("d" * 32)


def ready_environment(layout: Layout) -> Digest:
    """Have a whole sealed environment with Django in it, and return its digest."""
    place = layout.sealed_env(DIGEST)
    packages = place / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "ours.pth").write_text(f"{Path(django.__file__).parents[1]}\n")
    base = Path(sys.base_prefix, "bin")
    (place / "pyvenv.cfg").write_text(f"home = {base}\ninclude-system-site-packages = false\n")
    (place / "bin").mkdir(exist_ok=True)
    python = place / "bin/python"
    if not python.exists():
        python.symlink_to(base / f"python{sys.version_info.major}.{sys.version_info.minor}")
    (place / READY).touch()
    return DIGEST
