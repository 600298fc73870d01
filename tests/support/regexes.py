"""Finds regular expressions that could keep whoever runs them busy: those that can try one text in many ways."""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants as op
from re import _parser
from typing import Any

Signs = frozenset[int]
ALL: Signs = frozenset(range(256))
CATEGORIES = {
    op.CATEGORY_SPACE: r"\s", op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_DIGIT: r"\d", op.CATEGORY_WORD: r"\w",
}  # fmt: skip


class Ambiguous(Exception):
    """A repeat without an end may take signs that one before it, or an attempt from further left, takes too."""


def refuse_ambiguous(pattern: str) -> None:
    """Raises Ambiguous. Linear at the most is what is left."""
    items = list(_parser.parse(re.sub(r"\(\?<(?=\w)", "(?P<", pattern), re.ASCII))
    for branch in items[0][1][1] if items[0][0] is op.BRANCH else [items]:
        first, arg = branch[0]
        anchored = first is op.AT
        _walk(branch, set(), frozenset() if anchored else _signs([(first, arg)]))


def _walk(items: Iterable[Any], ahead: set[Signs], starts: Signs) -> set[Signs]:
    """What repeats may still give back after these items. `starts` is what an attempt may begin with at any place."""
    for kind, arg in items:
        match kind:
            case op.MAX_REPEAT | op.POSSESSIVE_REPEAT if arg[1] is op.MAXREPEAT:
                taken = _signs(arg[2])
                if taken == ALL or taken & starts or any(taken & other for other in ahead):
                    raise Ambiguous(arg)
                ahead = ahead if kind is op.POSSESSIVE_REPEAT else {*ahead, taken}
            case op.MAX_REPEAT | op.POSSESSIVE_REPEAT:
                inside = _walk(arg[2], ahead, starts)
                ahead = inside if arg[0] else ahead | inside
            case op.SUBPATTERN:
                ahead = _walk(arg[3], ahead, starts)
            case op.BRANCH:
                ahead = set().union(*(_walk(branch, ahead, starts) for branch in arg[1]))
            case op.ASSERT | op.ASSERT_NOT:
                _walk(arg[1], {ALL}, starts)
            case op.AT:
                pass
            case _:
                here = _signs([(kind, arg)])
                ahead = {other for other in ahead if other & here}
    return ahead


def _signs(items: Iterable[Any]) -> Signs:
    """What a class of signs holds. Anything longer could be anything."""
    [*found] = items
    if len(found) != 1:
        return ALL
    match found[0]:
        case op.LITERAL, sign:
            return frozenset({sign})
        case op.NOT_LITERAL, sign:
            return ALL - {sign}
        case op.RANGE, (low, high):
            return frozenset(range(low, high + 1))
        case op.CATEGORY, name:
            return frozenset(sign for sign in ALL if re.match(CATEGORIES[name], chr(sign), re.ASCII))
        case op.IN, inside:
            held = frozenset().union(*(_signs([one]) for one in inside if one[0] is not op.NEGATE))
            return ALL - held if inside[0][0] is op.NEGATE else held
        case op.ANY, _:
            return ALL - {ord("\n")}
    return ALL
