"""Where the points of a data set come from."""

from __future__ import annotations

from flowmorph.plan.jobs.form import choice, job


@job
class ToyData:
    """Points that are drawn from a toy, afresh in each job that needs them.

    The random numbers of a split follow from ``seed``, ``name`` and the split.

    Attributes:
        name: name of the data set.
        toy: fourcircles, star or checkerboard.
        points: number of points by split.
        seed: base seed of the points.
        angles: angles of a rotated toy, degrees counterclockwise, equally likely; empty for a
            plain one.
        train_angles: those of the points that flows are trained on and validated with; empty where
            they are the same.
    """

    name: str
    toy: str
    points: dict[str, int]
    seed: int
    angles: tuple[float, ...] = ()
    train_angles: tuple[float, ...] = choice(())

    def angles_of(self, split: str) -> tuple[float, ...]:
        """Angles of the points of a split, degrees."""
        trained = split in ("train", "validation")
        return self.train_angles if trained and self.train_angles else self.angles

    @property
    def files(self) -> list[str]:
        """The files that the points are read from: none."""
        return []


@job
class Part:
    """What one of several trainings sees of the training rows.

    Attributes:
        folds: number of folds that rows are dealt to, by their hash; 0 for none.
        fold: the one that is left out, from 0.
        bootstrap: number of the resampling that weights rows; 0 for rows as they are.
    """

    folds: int = 0
    fold: int = 0
    bootstrap: int = 0


@job
class FileData:
    """Points of a prepared file.

    Attributes:
        name: name of the data set.
        path: the file: ROOT with these columns, or npz of the user's own sample.
        features: names of the features, in order.
        condition: names of the condition's columns; empty for none.
        weights: whether an npz file has weights.
        gaps: for each column of the condition, the widest gap between the intervals of the
            training region, in scaled units; an npz file has its own.
        part: what a training sees of the rows to train on.
        beyond: the npz file with the split ``apply``; empty in jobs that are not about it.
    """

    name: str
    path: str
    features: tuple[str, ...]
    condition: tuple[str, ...]
    weights: bool = False
    gaps: tuple[float, ...] = ()
    part: Part = choice(Part())
    beyond: str = choice("")

    @property
    def files(self) -> list[str]:
        """The files that the points are read from."""
        return [self.path, *([self.beyond] if self.beyond else [])]

    def file_of(self, split: str) -> str:
        """The file that has the points of a split."""
        return self.beyond if self.beyond and split == "apply" else self.path


Data = ToyData | FileData


def files_of(*data: Data) -> list[str]:
    """The files that data sets are read from."""
    return [file for each in data for file in each.files]
