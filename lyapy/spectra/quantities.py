"""Descriptions of reported quantities, each stated where the quantity is defined.

A dataclass holds arrays and numbers in fields annotated by `stored`, and derives others in
properties under `reported`. Run files, merged files, tables and docs follow from
`quantities`.
"""

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, get_type_hints

import numpy as np

from ..arrays import Array

RATE = "nats per {time}"

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


class Quantity(NamedTuple):
    """Description of a reported number or array."""

    axes: tuple[str, ...] = ()
    # {time} stands for the time unit of the exponents, step or unit of time
    units: str = "1"
    text: str = ""
    # value in the row of a network without a result
    missing: Any = np.nan
    # whether a spectrum is read from it; the others are derived
    stored: bool = False
    # name of a number in tables and plots
    label: str = ""
    # status of a measure that is not finite; empty for other quantities
    otherwise: str = ""
    # derivatives of a number by the leading exponents, for its standard error
    slopes: Callable[[Array], Array] | None = None


def stored(axes: str, units: str, text: str, **more: Any) -> Quantity:
    """Describe the quantity in a dataclass field, as its annotation."""
    return Quantity(tuple(axes.split()), units, text, stored=True, **more)


def reported(axes: str, units: str, **more: Any) -> Callable[[F], F]:
    """Describe the function of a property; its text is the docstring's first paragraph."""

    def describe(function: F) -> F:
        text = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
        text = text.removesuffix(".").replace("`", "")
        described = Quantity(tuple(axes.split()), units, text, **more)
        function.quantity = described  # type: ignore[attr-defined]
        return function

    return describe


def quantities(cls: type) -> dict[str, Quantity]:
    """Return the quantities of a dataclass by name: fields, then properties with their errors."""
    found: dict[str, Quantity] = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        for described in getattr(hint, "__metadata__", ()):
            found[name] = described
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            function = getattr(value, "fget", None) or getattr(value, "func", None)
            described = getattr(function, "quantity", None)
            if described is not None:
                found[name] = described
                if described.slopes is not None:
                    text = f"Standard error of {name}"
                    found[f"{name}_error"] = Quantity(units=described.units, text=text)
    return found


def counted(count: int | np.integer[Any], one: str, several: str) -> str:
    """Return a number with its words."""
    return f"{count} {one if count == 1 else several}"


def with_attributes(cls: C) -> C:
    """Add a section on the stored quantities to the docstring of a dataclass."""
    lines = ["", "", "    Attributes", "    ----------"]
    for name, quantity in quantities(cls).items():
        if quantity.stored:
            shape = f"array ({', '.join(quantity.axes)})" if quantity.axes else "int"
            units = f", in {quantity.units}" if quantity.units != "1" else ""
            lines.append(f"    {name} : {shape}")
            lines += textwrap.wrap(
                f"{quantity.text}{units}.", 98, initial_indent=" " * 8, subsequent_indent=" " * 8
            )
    cls.__doc__ = f"{(cls.__doc__ or '').rstrip()}" + "\n".join([*lines, "    "])
    return cls
