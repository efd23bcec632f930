"""Turns and mirror images of the toys, and which of them a transport between identical toys is.

    PYTHONPATH=workflow python benchmarks/symmetries.py 2.234 1.542

prints the combinations of exact symmetries, one of each toy, whose pooled distance is nearest to a
mean and a standard deviation: of flows for flows in the paper's Fig. A.2 here.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np

from flowmorph.metrics import distances
from flowmorph.plan import tasks
from flowmorph.samples import toys

POINTS = 200_000
SHOWN = 5
MATRICES = {
    "identity": np.array([[1, 0], [0, 1]]),
    "half turn": np.array([[-1, 0], [0, -1]]),
    "quarter turn": np.array([[0, -1], [1, 0]]),
    "quarter turn back": np.array([[0, 1], [-1, 0]]),
    "swap": np.array([[0, 1], [1, 0]]),
    "swap and half turn": np.array([[0, -1], [-1, 0]]),
    "mirror of x": np.array([[-1, 0], [0, 1]]),
    "mirror of y": np.array([[1, 0], [0, -1]]),
}


def nearest(x: np.ndarray, image: np.ndarray) -> tuple[str, float]:
    """The turn or mirror image of points x (N, 2) that an image is nearest to, and how far off."""
    off = {name: distances.euclidean(image, x @ each.T).mean() for name, each in MATRICES.items()}
    name = min(off, key=off.get)
    return name, off[name]


def is_symmetry(toy: str, matrix: np.ndarray) -> bool:
    """Whether a toy is the same after a turn or mirror image."""
    # The squares of the checkerboard change their colour unless its diagonal stays in place.
    return toy != "checkerboard" or matrix[0].sum() == matrix[1].sum()


def combinations() -> list[tuple[float, float, tuple[str, ...]]]:
    """Pooled mean and standard deviation of the distance by each combination of symmetries."""
    moments: dict[str, dict[str, tuple[float, float]]] = {toy: {} for toy in toys.TOYS}
    for toy, found in moments.items():
        x = toys.sample_toy(toy, POINTS, np.random.default_rng(0))
        for name, matrix in MATRICES.items():
            if is_symmetry(toy, matrix):
                moved = distances.euclidean(x @ matrix.T, x)
                found[name] = moved.mean(), np.square(moved).mean()
    rows = []
    for names in product(*moments.values()):
        parts = [moments[toy][name] for toy, name in zip(moments, names, strict=True)]
        mean, square = np.mean(parts, axis=0)
        rows.append((mean, np.sqrt(square - mean**2), names))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("mean", type=float)
    parser.add_argument("std", type=float)
    args = parser.parse_args()
    print("| " + " | ".join(tasks.TOYS[toy] for toy in toys.TOYS) + " | distance |")
    print("|" + "---|" * (len(toys.TOYS) + 1))
    rows = sorted(combinations(), key=lambda row: abs(row[0] - args.mean) + abs(row[1] - args.std))
    for mean, std, names in rows[:SHOWN]:
        print(f"| {' | '.join(names)} | {mean:.3f} ± {std:.3f} |")


if __name__ == "__main__":
    main()
