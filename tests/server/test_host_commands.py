"""What every host promises about one-off commands, on a server."""

from __future__ import annotations

import pytest
from tests.host import test_contract_commands as suite
from tests.host.test_contract_commands import laid, run, runs

pytestmark = pytest.mark.server
__all__ = ["laid", "run", "runs"]
globals().update({name: part for name, part in vars(suite).items() if name.startswith("test_")})
