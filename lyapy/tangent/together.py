"""Trajectories that go together: each is a walk that yields legs, and receives their growth."""

from collections.abc import Generator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..arrays import Array
from .reference import Leg

T = TypeVar("T")
Walk: TypeAlias = Generator[Leg, Any, T]


def walk_together(walks: Sequence[Walk[T]]) -> list[T]:
    """Return the results of walks, whose legs of the same kind are advanced together.

    The second argument of a FloatingPointError is the place of its walk.
    """
    results: dict[int, T] = {}
    answers: dict[int, Array | None] = dict.fromkeys(range(len(walks)))
    while answers:
        alike: dict[object, list[tuple[int, Leg]]] = {}
        for b, answer in answers.items():
            try:
                leg = walks[b].send(answer)
            except StopIteration as end:
                results[b] = end.value
            except FloatingPointError as error:
                raise FloatingPointError(error.args[0], b) from None
            else:
                alike.setdefault(_kind(leg), []).append((b, leg))
        answers = {}
        for pairs in alike.values():
            places, legs = zip(*pairs, strict=True)
            # a walk finds an overflow in its growth
            with np.errstate(over="ignore", invalid="ignore"):
                answers |= zip(places, legs[0].tangent.advance_all(legs), strict=True)
    return [results[b] for b in range(len(walks))]


def _kind(leg: Leg) -> object:
    vectors = len(leg.carry.state.frame)
    return id(leg.tangent.program), vectors, leg.control, leg.ends.tobytes()
