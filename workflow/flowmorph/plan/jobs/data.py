"""Where the points of a data set come from."""

from __future__ import annotations

from flowmorph.plan.jobs.form import job


@job
class ToyData:
    """Points that are drawn from a toy, afresh in each job that needs them.

    ``points`` counts them by split; ``angles`` (degrees) are those of a rotated toy. The random
    numbers of a split follow from ``seed`` and ``name``.
    """

    name: str
    toy: str
    points: dict[str, int]
    seed: int
    angles: tuple[float, ...] = ()

    @property
    def files(self) -> list[str]:
        """The files that the points are read from: none."""
        return []


@job
class FileData:
    """Points of a prepared file: ROOT with these columns, or npz with the user's own.

    ``weights`` says whether there are any, in an npz file. ``gaps`` has, for each column of the
    condition, the widest gap between the intervals of the training region, in scaled units; an npz
    file has its own.
    """

    name: str
    path: str
    features: tuple[str, ...]
    condition: tuple[str, ...]
    weights: bool = False
    gaps: tuple[float, ...] = ()

    @property
    def files(self) -> list[str]:
        """The files that the points are read from."""
        return [self.path]


Data = ToyData | FileData
