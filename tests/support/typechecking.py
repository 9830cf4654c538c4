"""beartype as the tests use it: an int serves where a float is asked for, as PEP 484 says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception

_decorate = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its annotations enforced, unless one is a protocol that isinstance cannot test."""
    try:
        checked: Callable[..., Any] = _decorate(function)
    except BeartypeDecorHintPep3119Exception:
        return function
    return checked
