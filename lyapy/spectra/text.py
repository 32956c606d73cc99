"""A spectrum in words and numbers: a table for people, a dict for programs."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from ..arrays import Array
from .measures import Measure
from .spectrum import Spectrum

__all__ = ["spectrum_summary", "spectrum_table"]

FIRST = 8
LAST = 2
MOST_DECIMALS = 8
LINE = 78


def spectrum_table(spectrum: Spectrum) -> str:
    """Return a spectrum as a plain text table: its first and last exponents, and its measures.

    Exponents, standard errors and measures are in its units. ``-inf (dead)`` is a direction
    that the Jacobians annihilate, ``< x (not resolved)`` one of which only a bound is known, and
    ``(rounding e)`` one whose rounding error e exceeds the tolerance.

    Returns
    -------
    str
        Lines of at most 78 characters (but for long names), without a newline at the end.
    """
    count = len(spectrum.exponents)
    head = f"{count} of {spectrum.state_size} Lyapunov exponents, in {spectrum.units}"
    facts = _facts(spectrum)
    width = max(len(name) for name, _ in facts)
    lines = [f"{name:<{width}}   {text}" for name, text in facts]
    advice = textwrap.wrap(spectrum.status.advice, LINE)
    told = ["", *advice] if advice else []
    return "\n".join([head, "", *_exponent_lines(spectrum), "", *lines, *told])


def spectrum_summary(spectrum: Spectrum) -> dict[str, Any]:
    """Return a spectrum as a dict that is valid JSON.

    JSON knows neither −∞ nor NaN: such a ``value`` is None, and the ``status`` beside it says
    why. Exponents are ``resolved``, ``rounded`` (up to ``rounding_error``, beyond the tolerance),
    ``not resolved`` (``value`` is an upper bound) or ``dead`` (−∞); measures are as in
    `lyapy.spectra.measures.Measure`.

    Returns
    -------
    dict
        With the keys units, status, advice, exponents (a list of index, value, standard_error,
        rounding_error, status), measures, state_size, trajectories, steps, transient, intervals,
        trailing_intervals and rejections (for each trajectory and layer), largest_spread,
        settings.
    """
    statuses = _statuses(spectrum)
    errors = spectrum.standard_error, spectrum.rounding_error
    rows = zip(spectrum.exponents, *errors, statuses, strict=True)
    return {
        "units": spectrum.units,
        "status": spectrum.status.code,
        "advice": spectrum.status.advice,
        "exponents": [
            {
                "index": i,
                "value": _number(x),
                "standard_error": _number(error),
                "rounding_error": _number(rounding),
                "status": status,
            }
            for i, (x, error, rounding, status) in enumerate(rows, 1)
        ],
        "measures": {
            name: {
                "value": _number(found.value),
                "standard_error": _number(found.standard_error),
                "status": found.status,
            }
            for name, found in spectrum.measures().items()
        },
        "state_size": spectrum.state_size,
        "trajectories": len(spectrum.growth),
        "steps": spectrum.steps,
        "transient": spectrum.transient,
        "intervals": spectrum.intervals.tolist(),
        "trailing_intervals": spectrum.trailing_intervals.tolist(),
        "rejections": spectrum.rejections.tolist(),
        "largest_spread": _number(spectrum.largest_spread.max()),
        "settings": _plain(spectrum.settings),
    }


def _statuses(spectrum: Spectrum) -> list[str]:
    dead = np.isneginf(spectrum.exponents)
    known = np.where(spectrum.resolved, "resolved", "rounded")
    found = np.where(dead, "dead", np.where(spectrum.bounded, "not resolved", known))
    return [str(status) for status in found]


def _range(steps: int, intervals: Array) -> str:
    means = steps / intervals[intervals > 0]
    low, high = f"{means.min():.1f}", f"{means.max():.1f}"
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _exponent_lines(spectrum: Spectrum) -> list[str]:
    exponents, errors = spectrum.exponents, spectrum.standard_error
    count = len(exponents)
    indices = list(range(count))
    gap = count > FIRST + LAST + 1
    if gap:
        indices = [*range(FIRST), *range(count - LAST, count)]
    decimals = _decimals(errors[indices])
    statuses = _statuses(spectrum)
    lines = [f"{'i':>6}   {'exponent':>14}   {'standard error':>14}"]
    for i in indices:
        if gap and i == count - LAST:
            lines.append(f"{'...':>6}")
        line = f"{i + 1:>6}   {_exponent(exponents[i], errors[i], statuses[i], decimals)}"
        rounded = statuses[i] == "rounded"
        lines.append(line + (f"   (rounding {spectrum.rounding_error[i]:.0e})" if rounded else ""))
    return lines


def _exponent(value: float, error: float, status: str, decimals: int) -> str:
    if status == "dead":
        return f"{'-inf':>14}   (dead)"
    if status == "not resolved":
        return f"{f'< {value:.{decimals}f}':>14}   (not resolved)"
    told = f"{error:>14.{decimals}f}" if math.isfinite(error) else f"{'unknown':>14}"
    return f"{value:>14.{decimals}f}   {told}"


def _decimals(errors: Array) -> int:
    """Return how many decimals show two digits of the smallest error."""
    known = errors[np.isfinite(errors) & (errors > 0.0)]
    if not len(known):
        return 6
    return min(max(1 - math.floor(math.log10(known.min())), 2), MOST_DECIMALS)


def _facts(spectrum: Spectrum) -> list[tuple[str, str]]:
    settings, measures = spectrum.settings, spectrum.measures()
    rejected = int(spectrum.rejections.sum())
    accepted = int(spectrum.intervals.sum() + spectrum.trailing_intervals.sum())
    facts = [
        ("mean exponent", _told(measures["mean"])),
        ("Kaplan-Yorke dimension", _told(measures["kaplan_yorke_dimension"])),
        ("entropy rate", _told(measures["entropy_rate"])),
        ("sum-rule residual", _told(measures["sum_rule_residual"], ".1e")),
        ("trajectories", str(len(spectrum.growth))),
        ("steps", f"{spectrum.steps}, after a transient of {spectrum.transient}"),
        ("interval", f"{_range(spectrum.steps, spectrum.intervals)} steps on average"),
        ("rejected intervals", f"{rejected} of {rejected + accepted}"),
        ("largest spread", f"{spectrum.largest_spread.max():.1f} nats in one interval"),
    ]
    if spectrum.trailing_intervals.any():
        trailing = _range(spectrum.steps, spectrum.trailing_intervals)
        facts.insert(7, ("interval, trailing frame", f"{trailing} steps on average"))
    rounded = ~spectrum.resolved & ~spectrum.bounded
    if rounded.any():
        error = f"up to {spectrum.rounding_error[rounded].max():.0e} nats per step"
        facts.append(("rounding error", f"{error} in {rounded.sum()} exponents"))
    if "seconds" in settings:
        facts.append(("time", f"{settings['seconds']:.1f} s"))
    if settings.get("network_origin"):
        facts.append(("network", settings["network_origin"]))
    facts.append(("status", spectrum.status.code))
    return facts


def _told(found: Measure, form: str = ".6g") -> str:
    if not math.isfinite(found.value):
        return "-inf" if found.value == -math.inf else found.status
    bound = "< " if found.status == "upper bound" else ""
    error = found.standard_error
    if not error > 0.0:
        return f"{bound}{found.value:{form}}"
    decimals = min(max(1 - math.floor(math.log10(error)), 0), MOST_DECIMALS)
    return f"{bound}{found.value:.{decimals}f} ± {error:.{decimals}f}"
