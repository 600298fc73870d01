"""What every host promises about accounts, on a server."""

from __future__ import annotations

import pytest
from tests.host import test_contract_accounts as suite

pytestmark = pytest.mark.server
globals().update({name: part for name, part in vars(suite).items() if name.startswith(("test_", "_published"))})
