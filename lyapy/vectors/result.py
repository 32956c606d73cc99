"""The result: covariant vectors at some steps, and the angles, growth and splittings they show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Annotated, Any

import h5py
import numpy as np

from ..arrays import Array, check_size
from ..spectra import measures
from ..spectra.file import check_suffix, format_of
from ..spectra.quantities import quantities, stored, with_attributes
from ..storage.datasets import write_dataset
from ..storage.sealed import DamagedError, open_sealed, write_sealed
from ..storage.trees import read_tree, write_tree

FORMAT = "lyapy covariant vectors"
FORMAT_VERSION = 2

# vectors in the table
SHOWN = 16


@with_attributes
@dataclass(frozen=True, eq=False)
class CovariantVectors:
    """Covariant Lyapunov vectors along a trajectory, the result of `covariant_vectors`.

    Vector i grows at the rate of exponent i forward *and* backward in time, and the Jacobian of
    each step maps it to vector i after the step. Vectors that have not converged are NaN; `advice`
    names them, with a remedy. Vectors with one rate, as of a complex pair, are not unique, but
    the subspace that they span is; see `group`.
    """

    vectors: Annotated[
        Array, stored("step vector state", "1", "Unit vectors in the state before each step")
    ]
    steps: Annotated[
        Array,
        stored("step", "1", "Steps, counted in the inputs, before which they stand"),
    ]
    growth: Annotated[
        Array,
        stored("step vector", "nats", "Growth of each vector over the step that begins"),
    ]
    convergence: Annotated[
        Array,
        stored(
            "step vector",
            "1",
            "Largest sine of the angles between backward starts; of their spans for a group",
        ),
    ]
    frame_convergence: Annotated[
        Array,
        stored(
            "step vector",
            "1",
            "Sine by which the frame's span up to a vector may be off, from two forward starts",
        ),
    ]
    covariance_error: Annotated[
        Array,
        stored(
            "step vector",
            "1",
            "Sine of the angle between a vector's image and the vector after the step",
        ),
    ]
    group: Annotated[
        Array,
        stored("vector", "1", "First vector of the group of one rate that a vector is in, or -1"),
    ]
    exponents: Annotated[
        Array, stored("vector", "nats per step", "Mean growth of the frame after the transient")
    ]
    settings: dict[str, Any]

    @property
    def converged(self) -> Array:
        """Whether each vector has converged (steps, k) to the tolerance."""
        worst = np.maximum(self.convergence, self.frame_convergence)
        return np.asarray(worst <= self.settings["tolerance"])

    @property
    def participation_ratio(self) -> Array:
        """Number of coordinates (steps, k), 1 to D, over which each vector is spread."""
        return measures.participation_ratio(self.vectors)

    def angle(self, i: int, j: int) -> Array:
        """Return the angle (steps,) between the lines of vectors i and j, in radians from 0 to π/2.

        Vectors are numbered from 0. Small angles keep their digits.
        """
        for name, number in (("i", i), ("j", j)):
            check_size(name, number, 0, len(self.exponents) - 1, "vectors are numbered from 0")
        one, other = self.vectors[:, i], self.vectors[:, j]
        sign = np.where(np.sum(one * other, axis=-1) < 0.0, -1.0, 1.0)[:, None]
        apart = np.linalg.norm(one - sign * other, axis=-1)
        return 2.0 * np.arctan2(apart, np.linalg.norm(one + sign * other, axis=-1))

    def splitting_angle(self, j: int) -> Array:
        """Return the least angle (steps,) between the first j vectors' span and that of the others.

        In radians, NaN where j divides a group, which has many such spans. With k < D it is that
        to the others of these k vectors.
        """
        from scipy.linalg import subspace_angles

        check_size("j", j, 1, len(self.exponents) - 1, "it counts the vectors of the first span")
        angles = np.full(len(self.vectors), np.nan)
        if self.group[j] >= 0 and self.group[j] == self.group[j - 1]:
            return angles
        for t in np.flatnonzero(np.isfinite(self.vectors).all(axis=(1, 2))):
            one, other = self.vectors[t, :j], self.vectors[t, j:]
            angles[t] = subspace_angles(one.T, other.T).min()
        return angles

    def domination_broken(self, j: int, window: int) -> float:
        """Return the share of windows in which one of the first j vectors grows least.

        The splitting is dominated over ``window`` steps where each of the first j vectors grows
        more than every other; windows begin at each step, and need the growth at all their steps.
        """
        check_size("j", j, 1, len(self.exponents) - 1, "it counts the vectors of the first span")
        check_size("window", window, 1)
        whole = self.steps[window - 1 :] - self.steps[: len(self.steps) - window + 1] == window - 1
        sums = np.cumsum(np.concatenate([np.zeros_like(self.growth[:1]), self.growth]), axis=0)
        grown = (sums[window:] - sums[:-window])[whole]
        grown = grown[np.isfinite(grown).all(axis=1)]
        if not len(grown):
            raise ValueError(
                f"window is {window}, but no {window} successive steps have converged vectors; "
                "give at= successive steps, and more steps after them"
            )
        return float(np.mean(grown[:, :j].min(axis=1) <= grown[:, j:].max(axis=1)))

    @cached_property
    def advice(self) -> str:
        """A finding and its remedy in each sentence; empty where all vectors have converged."""
        found = []
        gaps = -np.diff(self.exponents, prepend=np.inf, append=-np.inf)
        for errors, gap, where, remedy in (
            (self.convergence, gaps[:-1], "on the way back", "more steps after them"),
            (self.frame_convergence, gaps[1:], "on the way forward", "a longer transient"),
        ):
            missing = ~(errors <= self.settings["tolerance"])
            if missing.any():
                vectors, rows = np.flatnonzero(missing.any(axis=0)), missing.any(axis=1)
                shown = ", ".join(map(str, vectors[:8])) + (", …" if len(vectors) > 8 else "")
                found.append(
                    f"Vectors {shown} have not converged {where} at {np.count_nonzero(rows)} of "
                    f"{len(rows)} steps, first at step {self.steps[rows][0]}, and are NaN there. "
                    f"Give {remedy}; gaps of the exponents suggest {self._steps(gap[vectors])}."
                )
        worst_error = float(np.nanmax(self.covariance_error, initial=0.0))
        if worst_error > 1e-3:
            found.append(
                f"Rounding leaves the images of vectors {worst_error:.1g} off the vectors after "
                "the step. Ask for fewer vectors (k)."
            )
        return " ".join(found)

    def _steps(self, gaps: Array) -> str:
        """Return the number of steps in which gaps between exponents bring the tolerance."""
        gap = gaps[gaps > 0.0].min(initial=np.inf)
        steps = -np.log(self.settings["tolerance"]) / gap
        return f"about {steps:.0f} steps" if steps > 0.0 else "many steps"

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write all to an HDF5 file, whole or not at all; OSError if it exists already."""
        check_suffix(path)

        def fill(file: h5py.File, check: Any) -> None:
            file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
            for name, (axes, units, text, *_) in quantities(CovariantVectors).items():
                write_dataset(file, name, getattr(self, name), axes, units, text)
            write_tree(file.create_group("settings"), self.settings)

        write_sealed(path, fill, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> CovariantVectors:
        """Read a file that `save` wrote; ValueError if it is another one, or damaged."""
        with open_sealed(path) as file:
            if file.attrs.get("format") != FORMAT:
                remedy = "give a file of lyapy vectors or CovariantVectors.save"
                raise ValueError(f"{path}: has no covariant vectors; {remedy}")
            if file.attrs.get("format_version") != FORMAT_VERSION:
                raise ValueError(
                    f"{path}: has format version {file.attrs.get('format_version')}, this lyapy "
                    f"reads {FORMAT_VERSION}; compute it again"
                )
            try:
                found = {name: file[name].read() for name in quantities(cls)}
                return cls(**found, settings=read_tree(file["settings"]))
            except (KeyError, AttributeError) as error:
                raise DamagedError(f"{path}: is damaged ({error}); compute it again") from None

    def __repr__(self) -> str:
        count, k, D = self.vectors.shape
        share = np.mean(self.converged) if self.convergence.size else 1.0
        return f"CovariantVectors({k} of {D} at {count} steps, {100 * share:.3g} % converged)"

    def __str__(self) -> str:
        """Return exponents, participation ratios and convergence of the leading vectors, advice."""
        lines = [repr(self), "", "vector   exponent   participation   converged"]
        ratios, known = self.participation_ratio, self.converged
        for i in range(min(len(self.exponents), SHOWN)):
            here = ratios[known[:, i], i]
            mean = f"{np.mean(here):13.1f}" if len(here) else f"{'–':>13}"
            share = f"{100 * np.mean(known[:, i]):9.3g} %"
            members = np.flatnonzero((self.group == self.group[i]) & (self.group >= 0))
            of = f"   group of {members[0]} to {i}" if i in members[-1:] else ""
            lines.append(f"{i:6d} {self.exponents[i]:10.5f} {mean:>15} {share}{of}")
        if len(self.exponents) > SHOWN:
            lines.append("     …")
        return "\n".join([*lines, *(["", self.advice] if self.advice else [])])


def is_vectors(path: str | PathLike[str]) -> bool:
    """Return whether a file holds covariant vectors."""
    return bool(format_of(path) == FORMAT)
