"""Fixed points, cycles and slow points: the result of a search."""

import io
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from ..arrays import Array
from ..storage.atomic import write_whole

LABELS = ("certified", "numerical", "slow")
SHOWN = 40


@dataclass(frozen=True, repr=False)
class FixedPoints:
    """Fixed points or cycles of a network under a constant input, from `lyapy.fixed_points`.

    Sorted by label, then by the number of unstable directions, then by speed.

    Attributes
    ----------
    cycles : array (points, period, D)
        The states of each in the order of time; ``states`` are the first ones.
    speed : array (points,)
        ‖f(h) − h‖, the distance that a step moves the state; for a cycle the largest one to its
        next state.
    eigenvalues : array (points, D), complex
        Of the Jacobian of one period, the largest in modulus first.
    labels : tuple of str
        ``"certified"``: within ``radius`` exactly one exists, by Newton and Kantorovich's theorem;
        ``"numerical"``: the speed is zero to rounding; ``"slow"``: a minimum of the speed that is
        not zero, see ``crossing``.
    radius : array (points,)
        Distance from ``cycles`` to the exact states; NaN where not certified.
    crossing : array (points,)
        Steps in which a state at this speed moves as far as the starts lie from their mean, in root
        mean square.
    starts : array (points,)
        How many starts led there.
    lost : int
        Starts that led to none of them.
    period : int
    origin : str
        Of the network.
    """

    cycles: Array
    speed: Array
    eigenvalues: Array
    labels: tuple[str, ...]
    radius: Array
    crossing: Array
    starts: Array
    lost: int
    period: int
    origin: str

    @property
    def states(self) -> Array:
        """The fixed points (points, D), or a state of each cycle."""
        return self.cycles[:, 0]

    @property
    def exponents(self) -> Array:
        """log|eigenvalues| in nats per step (points, D): the spectrum on the point or cycle.

        A run of `lyapunov_spectrum` that ends in a stable one has these exponents.
        """
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.abs(self.eigenvalues)) / self.period)

    @property
    def time_constants(self) -> Array:
        """−1/exponents in steps (points, D); negative where a direction is unstable."""
        with np.errstate(divide="ignore"):
            return np.asarray(-1.0 / self.exponents)

    @property
    def unstable(self) -> Array:
        """The number of unstable directions of each (points,)."""
        return np.asarray(np.sum(np.abs(self.eigenvalues) > 1.0, axis=1))

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write all arrays to an .npz file, under the names of the attributes."""
        memory = io.BytesIO()
        arrays: dict[str, Any] = {n: np.asarray(value) for n, value in vars(self).items()}
        np.savez(memory, **arrays)
        write_whole(path, memory.getvalue(), overwrite=overwrite)

    def __len__(self) -> int:
        return len(self.cycles)

    def __repr__(self) -> str:
        kinds = [f"{self.labels.count(label)} {label}" for label in LABELS if label in self.labels]
        return f"FixedPoints({', '.join(kinds) or 'none'}, period={self.period})"

    def __str__(self) -> str:
        slow = self.labels.count("slow")
        found = _counted(len(self) - slow, "fixed point" if self.period == 1 else "cycle")
        found += f" of period {self.period}" if self.period > 1 else ""
        found += f" and {_counted(slow, 'slow point')}" if slow else ""
        total = int(self.starts.sum()) + self.lost
        of = f" of {self.origin}" if self.origin else ""
        lines = [f"{found}{of}, from {_counted(total, 'start')}; {self.lost} led to none", ""]
        if len(self):
            lines.append("       speed  unstable  first exponent  starts  label")
        for i in range(min(len(self), SHOWN)):
            line = f"{self.speed[i]:12.2e}{self.unstable[i]:10d}{self.exponents[i, 0]:16.6f}"
            line += f"{self.starts[i]:8d}  {self.labels[i]}"
            if self.labels[i] == "slow":
                line += f", crossing {self.crossing[i]:.0f} steps"
            lines.append(line)
        if len(self) > SHOWN:
            lines.append(f"  … and {len(self) - SHOWN} more")
        return "\n".join(lines).rstrip()


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" + "s" * (count != 1)
