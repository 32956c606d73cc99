"""A spectrum as text: a table to read, a dict for programs."""

import math
import textwrap
from typing import Any

import numpy as np

from ..arrays import Array
from ..errors import one_line, visible
from .exponents import BLOCKS, QUANTITIES, Exponents
from .measures import Measure
from .quantities import counted
from .status import status_of

FIRST = 8
LAST = 2
MOST_DECIMALS = 8
LINE = 78


def spectrum_table(spectrum: Exponents) -> str:
    """Return a spectrum as a plain text table: its first and last exponents, and its measures.

    ``-inf (dead)`` is a direction that the Jacobians annihilate, ``< x (not resolved)`` one with
    only an upper bound, and ``(rounding e)`` one whose rounding error e exceeds the tolerance.
    Lines have at most 78 characters, but for long names.
    """
    count = len(spectrum.exponents)
    head = f"{count} of {spectrum.state_size} Lyapunov exponents, in {spectrum.units}"
    status = status_of(spectrum)
    facts = {**facts_of(spectrum), "status": status.code}
    width = max(map(len, facts))
    lines = [f"{name:<{width}}   {one_line(text)}" for name, text in facts.items()]
    for assumption in spectrum.settings.get("assumptions", []):
        text = visible(f"assumed: {assumption}")
        lines += textwrap.wrap(text, LINE, subsequent_indent="  ")
    advice = ["", *textwrap.wrap(visible(status.advice), LINE)] if status.advice else []
    return "\n".join([head, "", *_exponent_lines(spectrum), "", *lines, *advice])


def spectrum_summary(spectrum: Exponents) -> dict[str, Any]:
    """Return a spectrum as a dict that is valid JSON.

    JSON has neither −∞ nor NaN: such a number is None, and the ``status`` next to it says why.
    Exponents are ``resolved``, ``rounded`` (up to ``rounding_error``, beyond the tolerance),
    ``not resolved`` (an upper bound) or ``dead`` (−∞); measures are as in
    `lyapy.spectra.measures.Measure`. The other keys are units, status, advice, the integers, the
    quantities of each trajectory and block, and settings.
    """
    status, measures = status_of(spectrum), spectrum.measures()
    of: dict[tuple[str, ...], list[str]] = {}
    for name, described in QUANTITIES.items():
        if described.axes or described.missing == 0:
            of.setdefault(described.axes, []).append(name)
    statuses = exponent_statuses(spectrum)
    columns = {name: plain(getattr(spectrum, name)) for name in of["exponent",]}
    values = columns.pop("exponents")
    return {
        "units": spectrum.units,
        "status": status.code,
        "advice": status.advice,
        "exponents": [
            {"index": i + 1, "value": value}
            | {name: column[i] for name, column in columns.items()}
            | {"status": statuses[i]}
            for i, value in enumerate(values)
        ],
        "measures": {name: plain(found._asdict()) for name, found in measures.items()},
        **{name: getattr(spectrum, name) for name in of[()]},
        **{name: plain(getattr(spectrum, name)) for name in of[tuple(BLOCKS.split())]},
        "settings": plain(spectrum.settings),
    }


def plain(value: Any) -> Any:
    """Return the value as JSON has it."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def exponent_statuses(spectrum: Exponents) -> list[str]:
    """Return resolved, rounded, not resolved or dead for each exponent."""
    dead = np.isneginf(spectrum.exponents)
    known = np.where(spectrum.resolved, "resolved", "rounded")
    found = np.where(dead, "dead", np.where(spectrum.bounded, "not resolved", known))
    return [str(status) for status in found]


def _exponent_lines(spectrum: Exponents) -> list[str]:
    lines = [f"{'i':>6}   {'exponent':>14}   {'standard error':>14}   {'d.o.f.':>6}"]
    for i, exponent, error, freedom, note in exponent_cells(spectrum):
        line = f"{i:>6}   {exponent:>14}"
        line += f"   {error:>14}" if error else ""
        line += f"   {freedom:>6}" if freedom else ""
        lines.append((line + (f"   ({note})" if note else "")).rstrip())
    return lines


def exponent_cells(spectrum: Exponents) -> list[tuple[str, str, str, str, str]]:
    """Return index, exponent, error, degrees of freedom and note of the first and last ones."""
    exponents, errors = spectrum.exponents, spectrum.standard_error
    count, statuses = len(exponents), exponent_statuses(spectrum)
    gap = count > FIRST + LAST + 1
    indices = [*range(FIRST), *range(count - LAST, count)] if gap else list(range(count))
    decimals = _decimals(errors[indices])
    cells = []
    for i in indices:
        value, status = f"{exponents[i]:.{decimals}f}", statuses[i]
        error = freedom = ""
        note = status if status in ("dead", "not resolved") else ""
        if not note:
            known = math.isfinite(errors[i])
            error = f"{errors[i]:.{decimals}f}" if known else "unknown"
            freedom = f"{spectrum.degrees_of_freedom[i]:.0f}" if known else ""
        if status == "rounded":
            note = f"rounding {spectrum.rounding_error[i]:.0e}"
        value = f"< {value}" if status == "not resolved" else value
        cells.append((str(i + 1), value, error, freedom, note))
    if gap:
        cells.insert(FIRST, ("...", "", "", "", ""))
    return cells


def _decimals(errors: Array) -> int:
    """Return the number of decimals that show two digits of the smallest error."""
    known = errors[np.isfinite(errors) & (errors > 0.0)]
    if not len(known):
        return 6
    return min(max(1 - math.floor(math.log10(known.min())), 2), MOST_DECIMALS)


def facts_of(spectrum: Exponents) -> dict[str, str]:
    """Return measures, length of the run and its particulars, by their names in the table."""
    settings = spectrum.settings
    rejected = int(spectrum.rejections.sum())
    accepted = int(spectrum.intervals.sum() + spectrum.trailing_intervals.sum())
    facts = {}
    for name, found in spectrum.measures().items():
        form = ".6g" if QUANTITIES[name].slopes else ".1e"
        facts[QUANTITIES[name].label] = _measure(found, form)
    facts |= {
        "trajectories": str(spectrum.trajectories),
        "steps": f"{spectrum.steps}, after a transient of {spectrum.transient}",
        "interval": _mean_interval(spectrum.steps, spectrum.intervals),
    }
    if spectrum.trailing_intervals.any():
        trailing = _mean_interval(spectrum.steps, spectrum.trailing_intervals)
        facts["interval, trailing frame"] = trailing
    facts["rejected intervals"] = f"{rejected} of {rejected + accepted}"
    facts["largest spread"] = f"{spectrum.largest_spread.max():.1f} nats in one interval"
    blocks = spectrum.intervals.shape[1]
    if blocks > 1:
        facts["blocks"] = f"{blocks} diagonal blocks of the Jacobian, each followed by itself"
    rounded = ~spectrum.resolved & ~spectrum.bounded
    if rounded.any():
        error = f"up to {spectrum.rounding_error[rounded].max():.0e} nats per step"
        facts["rounding error"] = f"{error} in {counted(rounded.sum(), 'exponent', 'exponents')}"
    if "seam_error" in settings:
        error = f"up to {settings['seam_error']:.0e} nats per step at their seams"
        facts["segments"] = f"{settings['segments']}, {error}"
    if settings.get("repeated_tiles"):
        facts["left to the CPU"] = f"{settings['repeated_tiles']} tiles of trajectories"
    wider = spectrum.widening > 1.0
    if wider.any():
        exponents = counted(wider.sum(), "exponent", "exponents")
        most = f"up to {spectrum.widening.max():.2g} times"
        facts["95 % intervals"] = f"{most} the usual width, for {exponents}"
    if "seconds" in settings:
        facts["time"] = f"{settings['seconds']:.1f} s"
    if settings.get("network_origin"):
        facts["network"] = settings["network_origin"]
    return facts


def _mean_interval(steps: int, intervals: Array) -> str:
    means = steps / intervals[intervals > 0]
    low, high = f"{means.min():.1f}", f"{means.max():.1f}"
    return f"{low if low == high else f'{low} to {high}'} steps on average"


def _measure(found: Measure, form: str) -> str:
    if found.status == "undetermined":
        return f"undetermined, from {found.low:.3g} to {found.high:.3g}"
    if not math.isfinite(found.value):
        return "-inf" if found.value == -math.inf else found.status
    bound = "< " if found.status == "upper bound" else ""
    error = found.standard_error
    if not error > 0.0:
        return f"{bound}{found.value:{form}}"
    decimals = min(max(1 - math.floor(math.log10(error)), 0), MOST_DECIMALS)
    return f"{bound}{found.value:.{decimals}f} ± {error:.{decimals}f}"
