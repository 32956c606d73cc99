"""A run as planned: all that its trajectories share, how they begin, and how they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..arrays import Array, array_digest
from ..cells.base import TILE, Cell
from ..networks.blocks import diagonal_blocks
from ..networks.inputs import check_inputs
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from ..tangent.engine import Engine, fitted_engine
from ..tangent.gpu.device import PRECISIONS
from ..tangent.initial_frames import initial_frames
from ..tangent.interval import make_control
from ..tangent.norm_bounds import NormBounds
from .gpu.devices import run_batches
from .options import Compute, Keep, Method, settings_of
from .provenance import describe_origin
from .result import Layout, collect, make_layout
from .schedule import Recording, Schedule, check_segments, make_recording, make_schedule
from .start import Start, check_frame, check_start, time_step
from .threads import most_together, run_trajectories, side_by_side
from .trajectory import Trajectory, TrajectoryResult
from .until import Until, check_until

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer


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

    def in_segments(self, segments: int) -> Plan:
        """Return the plan of the same run cut into another number of segments."""
        threads = self.compute.threads
        if self.engine.devices:
            threads = max(threads or 1, side_by_side(self.engine, segments))
        compute = replace(self.compute, segments=segments, threads=threads)
        return replace(self, compute=compute, settings=self.settings | {"segments": segments})

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
        numbers, steps = range(len(self.start.states)), self.schedule.total
        return self.runner(begin, numbers, steps, progress=self.progress, checkpointer=checkpointer)

    @property
    def runner(self) -> Callable[..., list[TrajectoryResult]]:
        """The function that runs trajectories side by side, in threads or on the devices."""
        run: Callable[..., list[TrajectoryResult]] = run_trajectories
        if self.engine.devices:
            precision = PRECISIONS[self.compute.precision]
            run = partial(run_batches, devices=self.engine.devices, precision=precision)
        return partial(run, threads=self.compute.threads)

    def finish(
        self,
        results: list[TrajectoryResult],
        found: dict[str, Any],
        checkpointer: Checkpointer | None,
    ) -> Spectrum:
        """Return the spectrum that the results make, with settings that were ``found``."""
        seconds = checkpointer.seconds if checkpointer else time.perf_counter() - self.began
        found = {"seconds": seconds} | found
        if self.engine.devices:
            each = (block.carry.statistics for result in results for block in result.blocks)
            found["repeated_tiles"] = sum(statistics.repeated for statistics in each)
        return collect(results, self.layout, self.settings | found)


def make_plan(
    network: Network, inputs: Any, method: Method, compute: Compute, keep: Keep, *,
    steps: int | None, until: float | None, max_steps: int, k: int | None,
    trajectories: int | None, transient: int, initial_state: Any, seed: int, dt: Any,
    progress: bool,
) -> Plan:  # fmt: skip
    """Return the run that the arguments of `lyapunov_spectrum` ask for, or refuse one of them."""
    began = time.perf_counter()
    if not isinstance(network, Network):
        cell = isinstance(network, Cell)
        remedy = "lyapy.Network([it])" if cell else "a lyapy.Network (lyapy.load)"
        raise TypeError(f"network is a {type(network).__name__}; give {remedy}")
    dt = time_step(dt, network)
    k, frame = check_frame(method.frame, k, network.state_size)
    precision = PRECISIONS[compute.precision]
    tolerance = precision.tolerance if method.tolerance is None else method.tolerance
    control = make_control(method.interval, tolerance, TILE, precision.roundoff)
    recording = make_recording(keep, control)
    control = control._replace(tile=recording.tile)
    goal = check_until(until, max_steps, steps, network, recording)
    inputs = check_inputs(network, inputs, transient, goal.most if goal else steps, stacklevel=4)
    start = check_start(network, inputs, initial_state, trajectories, seed)
    schedule = make_schedule(network, transient, inputs.shape[1] - transient, control, recording)
    with_factors = "factors" in recording.kinds
    engine = fitted_engine(compute.backend, compute.blas_threads, network, with_factors)
    obstacle = _obstacle(len(start.states), goal, recording, keep)
    together, on_device = most_together(engine, compute.threads), bool(engine.devices)
    segments = check_segments(compute.segments, schedule, obstacle, together, on_device)
    threads = compute.threads or side_by_side(engine, max(len(start.states), segments))
    compute = replace(compute, segments=segments, threads=threads)
    complete = k >= min(cell.state_size for cell in network.cells)
    invertible = method.two_ended and not engine.devices and complete
    whole = not isinstance(frame, str)
    blocks = diagonal_blocks(network, whole=whole, tolerance=tolerance if invertible else 0.0)
    settings = settings_of(replace(method, tolerance=tolerance), compute, keep) | {
        "k": k,
        "steps": schedule.steps,
        "transient": transient,
        "trajectories": len(start.states),
        "seed": seed,
        "dt": dt,
        "frame": f"given, {array_digest(frame)}" if whole else frame,
        "blocks": len(blocks),
        "record": list(recording.kinds),
        "record_every": recording.every,
        "input_sequences": len(inputs) if network.input_size else 0,
        "inputs_sha256": array_digest(inputs),
        "initial_states_sha256": array_digest(start.states),
        **engine.settings(),
        **({"until": list(goal)} if goal else {}),
        **describe_origin(network),
    }
    return Plan(
        began=began, network=network, start=start, k=k, seed=seed, frame=frame,
        bounds=[NormBounds(block) for block in blocks],
        # a run with a target keeps a row for each tile, until its steps are known
        schedule=schedule._replace(tiles_per_row=1) if goal else schedule,
        engine=engine, compute=compute, progress=progress, goal=goal, settings=settings,
    )  # fmt: skip


def _obstacle(trajectories: int, goal: Until | None, recording: Recording, keep: Keep) -> str:
    """Return why a run cannot be cut into segments; empty if it can."""
    if trajectories > 1:
        return f"there are {trajectories} trajectories, which run side by side as they are"
    if goal is not None:
        return "until= decides on the number of steps"
    if recording.kinds:
        return f"record is {', '.join(recording.kinds)}, which comes in sequence"
    if keep.require_identical:
        return "require_identical asks for the same bits, which depend on it"
    return ""
