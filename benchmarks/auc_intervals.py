"""How often the classifier's interval holds 0.5 where two samples are of one distribution.

    PYTHONPATH=workflow python benchmarks/auc_intervals.py --pairs 100 --points 1500 6000

Each pair is of new points. The table has the standard deviation of the AUC, the one that its
interval stands for, their ratio, and the share of intervals with 0.5 in them, which is to be 95 %.
docs/methods.md has the results.
"""

from __future__ import annotations

import argparse

import numpy as np

from flowmorph.metrics.two_sample import classifier_auc
from flowmorph.samples.toys import sample_toy

NORMAL = 3.92  # width of a normal distribution's 95 % interval in standard deviations


def draw(kind: str, points: int, rng: np.random.Generator) -> np.ndarray:
    """Points (N, D) of a toy, or of a Gaussian of five correlated features."""
    if kind != "gaussian":
        return sample_toy(kind, points, rng)
    return rng.multivariate_normal(np.zeros(5), 0.5 + 0.5 * np.eye(5), points)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--points", type=int, nargs="+", default=[1500, 6000])
    args = parser.parse_args()
    print("| points | samples | mean AUC | deviation | by the interval | ratio | holds 0.5 |")
    print("|---|---|---|---|---|---|---|")
    for points in args.points:
        for kind in ("star", "gaussian"):
            rng = np.random.default_rng(points)
            found = np.array(
                [
                    classifier_auc(draw(kind, points, rng), draw(kind, points, rng), seed=pair)
                    for pair in range(args.pairs)
                ]
            )
            value, low, high = found.T
            scatter, stated = value.std(ddof=1), (high - low).mean() / NORMAL
            held = ((low <= 0.5) & (0.5 <= high)).mean()
            print(
                f"| {points} | {kind} | {value.mean():.4f} | {scatter:.4f} | {stated:.4f} "
                f"| {scatter / stated:.2f} | {100 * held:.0f} % |",
                flush=True,
            )


if __name__ == "__main__":
    main()
