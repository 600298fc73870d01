"""What the system says, as the platform's own errors."""

from __future__ import annotations

import errno

import pytest

from webops_host.errors import DiskFull, full_disk_told


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_told_as_what_it_is(number: int) -> None:
    with pytest.raises(DiskFull, match="disk is full"), full_disk_told():
        raise OSError(number, "No space left on device")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(PermissionError), full_disk_told():
        raise PermissionError(errno.EACCES, "Permission denied")
