"""What every host promises about commands on a schedule, on a server."""

from __future__ import annotations

import pytest
from tests.host import test_contract_timers as suite

pytestmark = pytest.mark.server
globals().update({name: part for name, part in vars(suite).items() if name.startswith("test_")})
