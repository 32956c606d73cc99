"""A run as planned: all that its trajectories share, how they begin, and how they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..arrays import Array, array_digest
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from ..tangent.engine import Engine
from ..tangent.gpu.precision import PRECISIONS
from ..tangent.initial_frames import initial_frames
from ..tangent.norm_bounds import NormBounds
from .gpu.devices import run_batches
from .options import Compute
from .result import Layout, collect, make_layout
from .schedule import Schedule
from .start import Start
from .threads import run_trajectories
from .trajectory import Trajectory, TrajectoryResult
from .until import Until

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer

__all__ = ["Plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run as planned; with a ``goal`` the steps of the schedule are the most."""

    # of time.perf_counter
    began: float
    network: Network
    start: Start
    k: int
    seed: int
    frame: str | Array
    # one for each diagonal block, with the block
    bounds: Sequence[NormBounds]
    schedule: Schedule
    engine: Engine
    # with the number of threads settled
    compute: Compute
    progress: bool
    goal: Until | None
    # all that identifies the run: arguments, options, and where it takes place
    settings: dict[str, Any]

    @property
    def layout(self) -> Layout:
        """The shapes of the run's arrays."""
        blocks = [each.block for each in self.bounds]
        return make_layout(blocks, self.schedule, len(self.start.states), self.k)

    def lasting(self, schedule: Schedule) -> Plan:
        """Return the plan of the same run with another number of steps."""
        digest = array_digest(self.start.inputs[:, : schedule.total])
        settings = self.settings | {"steps": schedule.steps, "inputs_sha256": digest}
        return replace(self, schedule=schedule, settings=settings)

    def begin(self, b: int) -> Trajectory:
        """Return trajectory ``b`` at its beginning."""
        frames = [self.frame]
        if isinstance(self.frame, str):
            blocks = [each.block for each in self.bounds]
            on_host = not self.engine.devices
            frames = initial_frames(blocks, self.k, self.frame, [self.seed, b, 1], on_host)
        return Trajectory(
            self.network,
            self.bounds,
            self.start.inputs[b % len(self.start.inputs)],
            self.start.states[b],
            frames,
            self.schedule,
            self.engine,
            # LU of dense Jacobians is expensive: the first trajectory stands for all
            by_lu=b == 0,
        )

    def run(
        self, begin: Callable[[int], Trajectory], checkpointer: Checkpointer | None
    ) -> list[TrajectoryResult]:
        """Run the trajectories that ``begin`` returns to the end of the schedule."""
        run: Callable[..., list[TrajectoryResult]] = run_trajectories
        if self.engine.devices:
            precision, given = PRECISIONS[self.compute.precision], not isinstance(self.frame, str)
            devices = self.engine.devices
            run = partial(run_batches, devices=devices, precision=precision, orthonormal=given)
        return run(
            begin,
            len(self.start.states),
            self.schedule.total,
            threads=self.compute.threads,
            progress=self.progress,
            checkpointer=checkpointer,
        )

    def finish(
        self, results: list[TrajectoryResult], checkpointer: Checkpointer | None
    ) -> Spectrum:
        """Return the spectrum that the results make."""
        seconds = checkpointer.seconds if checkpointer else time.perf_counter() - self.began
        found: dict[str, Any] = {"seconds": seconds}
        if self.engine.devices:
            each = (block.carry.statistics for result in results for block in result.blocks)
            found["repeated_tiles"] = sum(statistics.repeated for statistics in each)
        return collect(results, self.layout, self.settings | found)
