"""One trajectory cut in time: its segments side by side, then corrected until they meet.

The states come first, in sequence. A segment begins a while before its first counted step, with a
random frame. Afterwards it is followed again from the frame with which its predecessor ended,
until both frames have the same spans: from there on the growth of the first pass holds. The
remaining difference of the frames is the seam error.

On a GPU the segments are a batch, whose states are on the host, as those of a batch could not be
the same bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import Array, array_digest
from ..networks.forward import forward_chunk
from ..tangent.initial_frames import initial_frames
from ..tangent.spans import span_sines
from ..tangent.state import Statistics
from .block import BlockResult, Final
from .result import make_layout, merge_rows
from .schedule import Schedule
from .trajectory import Trajectory, TrajectoryResult, check_states

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer
    from .plan import Plan

# passes after the first; frames that differ after these will for long
CORRECTIONS = 4
# chunks up to which frames are kept after each one; later after ever more
EACH_CHUNK = 8
# chunks of a segment at least, on the CPU and on a GPU, whose batch waits for the longest segment
LEAST_CHUNKS = 2
LEAST_CHUNKS_ON_DEVICE = 16


class _Found(NamedTuple):
    """The results of a segment so far."""

    # with a row of growth for each tile
    result: TrajectoryResult
    # the frames of all blocks with which it began
    begun: list[Array]
    # those after some counted steps, and at its end
    kept: dict[int, list[Array]]
    # nats (k,) for each block by which the growth may still be off, or was before this pass
    seam: list[Array]
    # whether the frames met those of an earlier pass, so that the last ones are unchanged
    met: bool

    @property
    def last(self) -> list[Array]:
        """The frames at its end."""
        return self.kept[max(self.kept)]


class _Segment(Trajectory):
    """A segment on its way, compared with an earlier pass if there was one.

    It has ``steps`` counted steps, which may be fewer than those of its schedule; ``orbit`` is the
    digest of the states at all seams.
    """

    def __init__(
        self, *arguments: Any, steps: int, orbit: str, earlier: _Found | None, admitted: float
    ) -> None:
        super().__init__(*arguments)
        self.steps = steps
        self.orbit = orbit
        self.earlier = earlier
        self.admitted = admitted
        self.begun = self._frames()
        self.kept: dict[int, list[Array]] = {}
        self.seam = [np.zeros(len(frame)) for frame in self.begun]
        self.compared = 0
        self.met = False
        self.outcome: TrajectoryResult | None = None

    @property
    def end(self) -> int:
        """The position at which its steps are done."""
        return self.schedule.transient + self.steps

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the others known from the earlier pass."""
        return self.met or super().finished

    def needs_frames(self, stop: int) -> bool:
        """Return whether frames are kept at the end of a chunk."""
        chunks = -(-(stop - self.schedule.transient) // self.schedule.chunk)
        return stop == self.end or (chunks > 0 and _remembered(chunks))

    def finish(self, stop: int, states: Array, tiles: Sequence[Array]) -> None:
        """Take over a chunk, and compare the frames after it."""
        super().finish(stop, states, tiles)
        if self.needs_frames(stop):
            counted = stop - self.schedule.transient
            self.kept[counted] = self._frames()
            if self.earlier is not None and counted in self.earlier.kept:
                self._compare(self.earlier, counted)

    def _frames(self) -> list[Array]:
        found = []
        for follower in self.followers:
            state = follower.carry.state
            # a device keeps living rows orthonormal
            ready = self.engine.devices and follower.alive == len(state.frame)
            found.append(state.frame.copy() if ready else state.orthonormal())
        return found

    def _compare(self, earlier: _Found, counted: int) -> None:
        """Estimate later differences of growth from those of frames and growth so far."""
        tile = self.schedule.control.tile
        piece = slice(self.compared // tile, -(-counted // tile))
        growth = [follower.growth for follower in self.followers]
        tilts = _tilts(self.kept[counted], earlier.kept[counted], growth)
        changes = self._changes(earlier, piece)
        self.seam = [np.maximum(*pair) for pair in zip(tilts, changes, strict=True)]
        self.compared = counted
        self.met = bool(max(seam.max() for seam in self.seam) <= self.admitted)

    def _changes(self, earlier: _Found, tiles: slice) -> list[Array]:
        """Return how much growth in some tiles differs from that of the earlier pass."""
        found = []
        for follower, block in zip(self.followers, earlier.result.blocks, strict=True):
            with np.errstate(invalid="ignore"):
                change = np.abs((follower.growth[tiles] - block.growth[tiles]).sum(axis=0))
            found.append(np.where(np.isfinite(change), change, 0.0))
        return found

    def save(self) -> dict[str, Any]:
        """Return a copy of all that is needed to go on, except complete rows."""
        kept = {str(counted): _named(frames) for counted, frames in self.kept.items()}
        now = {"compared": self.compared, "met": self.met, "seam": _named(self.seam)}
        return super().save() | now | {"orbit": self.orbit, "kept": kept}

    def restore(self, saved: dict[str, Any], history: Array) -> None:
        """Go on, bit for bit, from a result of `save` and the complete rows of the history."""
        super().restore(saved, history)
        self.compared, self.met = saved["compared"], saved["met"]
        self.seam = _listed(saved["seam"])
        self.kept = {int(counted): _listed(each) for counted, each in saved["kept"].items()}

    def result(self, finals: Sequence[Final]) -> TrajectoryResult:
        """Return the result of this pass; `found` adds the rest of the earlier one."""
        found, rows = super().result(finals), self.schedule.rows_done(self.end)
        blocks = [block._replace(growth=block.growth[:rows]) for block in found.blocks]
        self.outcome = found._replace(sizes=found.sizes[:rows], blocks=blocks)
        return self.outcome

    def found(self) -> _Found:
        """Return all that is known after a run, with the rest of the earlier pass."""
        result, earlier = self.outcome, self.earlier
        assert result is not None
        if earlier is None or not self.met:
            rows = slice(len(result.sizes))
            seam = self.seam if earlier is None else self._changes(earlier, rows)
            return _Found(result, self.begun, self.kept, seam, False)
        tiles = -(-self.compared // self.schedule.control.tile)
        pairs = zip(result.blocks, earlier.result.blocks, strict=True)
        blocks = [_begun_by(one, other, tiles) for one, other in pairs]
        return earlier._replace(
            result=earlier.result._replace(blocks=blocks),
            begun=self.begun,
            kept=earlier.kept | self.kept,
            seam=self.seam,
            met=True,
        )


def run_segments(
    plan: Plan, checkpointer: Checkpointer | None
) -> tuple[list[TrajectoryResult], dict[str, Any]]:
    """Return the result of a plan's one trajectory, cut in time, and the settings to report."""
    segments, on_device = int(plan.compute.segments), bool(plan.engine.devices)
    schedule = _cut(plan.schedule, segments, on_device)
    # in a batch nobody is longer than the last one, which has what is left of a chunk
    chunks = -(-schedule.steps // schedule.chunk) - on_device
    cuts = [schedule.transient + i * chunks // segments * schedule.chunk for i in range(segments)]
    ends = [*cuts[1:], schedule.total]
    # those of a batch begin to count together
    burn_in = schedule.transient if on_device else schedule.chunk
    starts = [0, *(cut - burn_in for cut in cuts[1:])]
    states = _states(plan, schedule, None if on_device else {*starts, *cuts[1:]})
    orbit = array_digest(np.stack([states[cut] for cut in cuts[1:]]))
    longest = schedule._replace(transient=burn_in, steps=schedule.total - cuts[-1])
    if checkpointer is not None:
        blocks = [bounds.block for bounds in plan.bounds]
        checkpointer.begin(make_layout(blocks, longest, segments, plan.k))
        if {saved["orbit"] for saved in checkpointer.saved.trajectories.values()} - {orbit}:
            warnings.warn(
                "the states at the seams have other bits than those of the checkpoint, whose "
                "segments begin again",
                RuntimeWarning,
                stacklevel=2,
            )
            checkpointer.forget()
    admitted = plan.settings["tolerance"] * schedule.steps / max(segments - 1, 1)

    def begin(i: int, frames: list[Array] | None, earlier: _Found | None) -> _Segment:
        start, steps = cuts[i] if earlier else starts[i], ends[i] - cuts[i]
        known = states[start : ends[i] + 1] if isinstance(states, np.ndarray) else None
        counted = longest.steps if on_device else steps
        return _Segment(
            plan.network,
            plan.bounds,
            plan.start.inputs[0, start : ends[i]],
            states[start],
            frames or _first_frames(plan, i),
            schedule._replace(transient=cuts[i] - start, steps=counted),
            plan.engine,
            i == 0,
            known,
            steps=steps,
            orbit=orbit,
            earlier=earlier,
            admitted=admitted,
        )

    def run(begun: dict[int, _Segment], earlier: int) -> dict[int, _Found]:
        """Run segments after some ``earlier`` passes."""
        plan.runner(
            lambda b: begun[b % segments],
            [earlier * segments + i for i in begun],
            sum(each.end for each in begun.values()) // len(begun),
            progress=plan.progress and not earlier,
            checkpointer=checkpointer,
            name=lambda b: f"segment from step {cuts[b % segments]} on",
        )
        return {i: segment.found() for i, segment in begun.items()}

    found = run({i: begin(i, None, None) for i in range(segments)}, 0)
    # a frame of unit vectors stays one, and no seam is open
    again = [i for i in range(1, segments) if any(t.any() for t in _seam_tilts(found, i))]
    passes = 1
    while again and passes <= CORRECTIONS:
        corrected = run({i: begin(i, found[i - 1].last, found[i]) for i in again}, passes)
        found |= corrected
        again = [i + 1 for i, each in corrected.items() if not each.met and i + 1 < segments]
        passes += 1
    for i, one in found.items():
        if i in again:
            pairs = zip(one.seam, _seam_tilts(found, i), strict=True)
            found[i] = one._replace(seam=[np.maximum(*pair) for pair in pairs])
        elif not one.met:
            found[i] = one._replace(seam=[np.zeros_like(seam) for seam in one.seam])
    each = [found[i] for i in range(segments)]
    seams = [np.sum([one.seam[b] for one in each], axis=0) for b in range(len(plan.bounds))]
    settings = {"seam_error": max(s.max() for s in seams) / schedule.steps, "passes": passes}
    return [merge_rows(_joined(each, seams), plan.schedule)], settings


def _cut(schedule: Schedule, segments: int, on_device: bool) -> Schedule:
    """Return the schedule with a row for each tile, and some chunks at least for each segment."""
    tile = schedule.control.tile
    tiles = schedule.steps // (segments * tile)
    least = LEAST_CHUNKS_ON_DEVICE if on_device else LEAST_CHUNKS
    most = max(tiles // least, 1) * tile
    return schedule._replace(tiles_per_row=1, chunk=min(schedule.chunk, most))


def _states(plan: Plan, schedule: Schedule, wanted: set[int] | None) -> dict[int, Array] | Array:
    """Return the states before the steps ``wanted``, or before all and after the last.

    The chunks are those of the segments. So they have the same bits, and the segments of a
    chaotic network lie on one orbit.
    """
    inputs, state = plan.start.inputs[0], plan.start.states[0]
    last = schedule.total if wanted is None else max(wanted)
    size = last + 1 if wanted is None else 0
    every, some = np.empty((size, len(state))), {0: state}
    every[:1] = state
    for start, stop in schedule.chunks(0):
        if start >= last:
            break
        chunk = forward_chunk(plan.network, inputs[start:stop], state, plan.engine.run_layer)
        try:
            check_states(chunk.states, start)
        except FloatingPointError as error:
            raise FloatingPointError(f"trajectory 0: {error}") from None
        state = chunk.states[-1]
        if wanted is None:
            every[start + 1 : stop + 1] = chunk.states
        elif stop in wanted:
            some[stop] = state.copy()
    return every if wanted is None else some


def _first_frames(plan: Plan, i: int) -> list[Array]:
    if not i and not isinstance(plan.frame, str):
        return [plan.frame]
    kind = plan.frame if isinstance(plan.frame, str) else "random"
    blocks = [bounds.block for bounds in plan.bounds]
    return initial_frames(blocks, plan.k, kind, [plan.seed, 0, 1 + i], not plan.engine.devices)


def _named(arrays: Sequence[Array]) -> dict[str, Array]:
    return {str(i): array for i, array in enumerate(arrays)}


def _listed(named: dict[str, Array]) -> list[Array]:
    return [named[str(i)] for i in range(len(named))]


def _remembered(chunks: int) -> bool:
    """Return whether frames are kept after so many chunks: in the end 2 ⋅ 2ⁿ and 3 ⋅ 2ⁿ."""
    while chunks > EACH_CHUNK and chunks % 2 == 0:
        chunks //= 2
    return chunks <= EACH_CHUNK


def _tilts(
    frames: Sequence[Array], others: Sequence[Array], growth: Sequence[Array]
) -> list[Array]:
    """Return for each living vector the larger sine between the spans up to it and before it."""
    found = []
    for frame, other, rows in zip(frames, others, growth, strict=True):
        sines = span_sines(frame, other)
        tilts = np.maximum(sines, np.append(0.0, sines[:-1]))
        found.append(np.where(np.isfinite(rows.sum(axis=0)), tilts, 0.0))
    return found


def _seam_tilts(found: dict[int, _Found], i: int) -> list[Array]:
    """Return the tilts between the frames before and after the seam at which segment i begins."""
    growth = [block.growth for block in found[i - 1].result.blocks]
    return _tilts(found[i - 1].last, found[i].begun, growth)


def _begun_by(one: BlockResult, other: BlockResult, tiles: int) -> BlockResult:
    """Return a block's result with the first tiles of another pass."""
    growth = np.concatenate([one.growth[:tiles], other.growth[tiles:]])
    determinants = other.determinants.copy()
    if determinants[2]:
        determinants[1] = growth.sum()
    return other._replace(growth=growth, determinants=determinants)


def _joined(found: Sequence[_Found], seams: Sequence[Array]) -> TrajectoryResult:
    """Return the result of all segments, one after the other."""
    last = found[-1].result
    blocks = []
    for b, block in enumerate(last.blocks):
        each = [one.result.blocks[b] for one in found]
        statistics = _summed([one.carry.statistics for one in each])
        statistics.error += seams[b]
        blocks.append(
            BlockResult(
                np.concatenate([one.growth for one in each]),
                replace(block.carry, statistics=statistics),
                np.sum([one.determinants for one in each], axis=0),
            )
        )
    return last._replace(sizes=np.concatenate([f.result.sizes for f in found]), blocks=blocks)


def _summed(each: Sequence[Statistics]) -> Statistics:
    """Return statistics over all segments; the frame's error is that of the last one."""
    found = Statistics.begin(len(each[0].error))
    for one in each:
        found.add(one, slice(None))
        found.intervals += one.intervals
        found.repeated += one.repeated
        found.trailing_intervals += one.trailing_intervals
        found.norm_excess = max(found.norm_excess, one.norm_excess)
        found.frame_error = one.frame_error
    return found
