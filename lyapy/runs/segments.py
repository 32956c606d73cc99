"""One trajectory cut in time: its segments side by side, then corrected until they meet.

The states come first, in sequence. A segment begins a chunk before its first counted step, with a
random frame. Afterwards it is followed again from the frame with which its predecessor ended,
until both frames have the same spans: from there on the growth of the first pass holds. The
remaining difference of the frames is the seam error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..tangent.initial_frames import initial_frames
from ..tangent.spans import span_sines
from ..tangent.state import Statistics
from .block import BlockResult
from .result import merge_rows
from .schedule import Schedule
from .threads import run_trajectories
from .trajectory import Trajectory, TrajectoryResult

if TYPE_CHECKING:
    from .plan import Plan

__all__ = ["run_segments"]

# passes after the first; frames that differ after these will for long
CORRECTIONS = 4
# chunks up to which frames are kept after each one; later after ever more
EACH_CHUNK = 8


class _Found(NamedTuple):
    """The results of a segment so far.

    Attributes
    ----------
    result : TrajectoryResult
        With a row of growth for each tile.
    begun : list of array
        The frames of all blocks with which it began.
    kept : dict
        Those after some counted steps.
    last : list of array
        Those at its end.
    seam : list of array (k,)
        Nats by which the growth may still be off, or was before this pass.
    met : bool
        Whether the frames met those of an earlier pass, so that the last ones are unchanged.
    """

    result: TrajectoryResult
    begun: list[Array]
    kept: dict[int, list[Array]]
    last: list[Array]
    seam: list[Array]
    met: bool


class _Segment(Trajectory):
    """A segment on its way, compared with an earlier pass if there was one."""

    def __init__(self, *arguments: Any, earlier: _Found | None, admitted: float) -> None:
        super().__init__(*arguments)
        self.earlier = earlier
        self.admitted = admitted
        self.begun = self._frames()
        self.kept: dict[int, list[Array]] = {}
        self.seam = [np.zeros(len(frame)) for frame in self.begun]
        self.compared = 0
        self.met = False

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the others known from the earlier pass."""
        return self.met or super().finished

    def advance(self) -> int:
        """Move through one chunk, and compare the frames after it."""
        done = super().advance()
        counted = self.position - self.schedule.transient
        if counted > 0 and _remembered(-(-counted // self.schedule.chunk)):
            self.kept[counted] = self._frames()
            if self.earlier is not None and counted in self.earlier.kept:
                self._compare(self.earlier, counted)
        return done

    def _frames(self) -> list[Array]:
        return [follower.carry.state.orthonormal() for follower in self.followers]

    def _compare(self, earlier: _Found, counted: int) -> None:
        """Estimate later differences of growth from those of frames and growth so far."""
        tile = self.schedule.control.tile
        piece = slice(self.compared // tile, -(-counted // tile))
        growth = [follower.growth for follower in self.followers]
        tilts = _tilts(self.kept[counted], earlier.kept[counted], growth)
        changes = self._changes(earlier, piece)
        self.seam = [np.maximum(*pair) for pair in zip(tilts, changes, strict=True)]
        self.compared = counted
        self.met = max(seam.max() for seam in self.seam) <= self.admitted

    def _changes(self, earlier: _Found, tiles: slice) -> list[Array]:
        """Return how much growth in some tiles differs from that of the earlier pass."""
        found = []
        for follower, block in zip(self.followers, earlier.result.blocks, strict=True):
            with np.errstate(invalid="ignore"):
                change = np.abs((follower.growth[tiles] - block.growth[tiles]).sum(axis=0))
            found.append(np.where(np.isfinite(change), change, 0.0))
        return found

    def found(self) -> _Found:
        """Return all that is known now, with the rest of the earlier pass."""
        result, earlier = self.result(), self.earlier
        if earlier is None or not self.met:
            seam = self.seam if earlier is None else self._changes(earlier, slice(None))
            return _Found(result, self.begun, self.kept, self._frames(), seam, False)
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


def run_segments(plan: Plan) -> tuple[list[TrajectoryResult], dict[str, Any]]:
    """Return the result of a plan's one trajectory, cut in time, and the settings to report."""
    segments = int(plan.compute.segments)
    schedule = _cut(plan.schedule, segments)
    chunks = -(-schedule.steps // schedule.chunk)
    cuts = [schedule.transient + i * chunks // segments * schedule.chunk for i in range(segments)]
    ends = [*cuts[1:], schedule.total]
    states = _states(plan, schedule, {cut - n * schedule.chunk for cut in cuts[1:] for n in (0, 1)})
    admitted = plan.settings["tolerance"] * schedule.steps / max(segments - 1, 1)

    def begin(i: int, frames: list[Array] | None, earlier: _Found | None) -> _Segment:
        before = 0 if earlier else schedule.chunk if i else schedule.transient
        start, steps = cuts[i] - before, ends[i] - cuts[i]
        return _Segment(
            plan.network,
            plan.bounds,
            plan.start.inputs[0, start : ends[i]],
            states[start],
            frames or _first_frames(plan, i),
            schedule._replace(transient=before, steps=steps),
            plan.engine,
            i == 0,
            earlier=earlier,
            admitted=admitted,
        )

    def run(begun: dict[int, _Segment], progress: bool) -> dict[int, _Found]:
        order = list(begun)
        run_trajectories(
            lambda b: begun[order[b]],
            len(order),
            sum(each.schedule.total for each in begun.values()) // len(order),
            threads=plan.compute.threads or 1,
            progress=progress,
            name=lambda b: f"segment from step {cuts[order[b]]} on",
        )
        return {i: segment.found() for i, segment in begun.items()}

    found = run({i: begin(i, None, None) for i in range(segments)}, plan.progress)
    # a frame of unit vectors stays one, and no seam is open
    again = [i for i in range(1, segments) if any(t.any() for t in _seam_tilts(found, i))]
    passes = 1
    while again and passes <= CORRECTIONS:
        corrected = run({i: begin(i, found[i - 1].last, found[i]) for i in again}, False)
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


def _cut(schedule: Schedule, segments: int) -> Schedule:
    """Return the schedule with a row for each tile, and two chunks at least for each segment."""
    tile = schedule.control.tile
    most = schedule.steps // (2 * segments * tile) * tile
    return schedule._replace(tiles_per_row=1, chunk=min(schedule.chunk, most))


def _states(plan: Plan, schedule: Schedule, wanted: set[int]) -> dict[int, Array]:
    """Return the states before some steps, in chunks that are those of the segments.

    So they have the same bits, and the segments of a chaotic network lie on one orbit.
    """
    states = {0: plan.start.states[0]}
    forward = Trajectory(
        plan.network, [], plan.start.inputs[0], states[0], [], schedule, plan.engine, False
    )
    while forward.position < max(wanted):
        try:
            forward.advance()
        except FloatingPointError as error:
            raise FloatingPointError(f"trajectory 0: {error}") from None
        if forward.position in wanted:
            states[forward.position] = forward.state.copy()
    return states


def _first_frames(plan: Plan, i: int) -> list[Array]:
    if not i and not isinstance(plan.frame, str):
        return [plan.frame]
    kind = plan.frame if isinstance(plan.frame, str) else "random"
    blocks = [bounds.block for bounds in plan.bounds]
    return initial_frames(blocks, plan.k, kind, [plan.seed, 0, 1 + i])


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
        found.trailing_intervals += one.trailing_intervals
        found.norm_excess = max(found.norm_excess, one.norm_excess)
        found.frame_error = one.frame_error
    return found
