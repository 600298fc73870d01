"""Counters of the rate limits."""

from __future__ import annotations

import pytest

from apps.api import throttle
from apps.api.errors import TooMany
from apps.api.models import Counter

RATE = throttle.Rate("test", 2, 60)


@pytest.mark.django_db
def test_hits_are_counted_per_subject_until_the_rate_is_over():
    assert [throttle.hit(RATE, "a").over for _ in range(3)] == [False, False, True]
    assert not throttle.hit(RATE, "b").over
    with pytest.raises(TooMany) as refused:
        throttle.refuse_above(RATE, "a", "Too many.")
    assert 0 < refused.value.wait <= 60


@pytest.mark.django_db
def test_a_window_that_is_over_begins_again_and_is_swept_away():
    for subject in ("a", "b"):
        throttle.hit(RATE, subject)
    throttle.hit(RATE, "a")
    Counter.objects.update(ends_at=1)
    assert throttle.hit(RATE, "a").remaining == 1
    assert Counter.objects.count() == 1


@pytest.mark.django_db
def test_what_people_typed_is_not_readable_in_the_table():
    throttle.hit(RATE, "my-password-in-the-wrong-field")
    assert "password" not in Counter.objects.get().key
