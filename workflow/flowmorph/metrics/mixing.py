"""Whether a transport keeps the parts of a toy together (figures 3, 4, B.1 and B.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from flowmorph.metrics.measures import Number
from flowmorph.samples import geometry, moved, toy_parts


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Estimate how much one label says about another, in nats: zero if nothing, log K if all.

    Both have shape (N,) and hold integers from 0. Source: Cover and Thomas, Elements of Information
    Theory (2006), equation 2.28, with the observed frequencies; they overstate it by about
    (K - 1)^2 / 2N (Miller 1955).
    """
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1.0 / len(a))
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


def measure(
    sample: moved.MovedSample, toys: Sequence[str], methods: Sequence[str], mode: str | None
) -> Iterator[Number]:
    """Measure a task that starts from the four circles and ends at them or the star.

    ``toys`` names reference and target; for any others nothing is measured. ``same_circle`` is the
    share of points that stay on the circle where they began, and ``arm_information`` what a point's
    circle says about the star's arm where it ends, in nats. With ``mode`` shared, points arrive at
    the rotation angle where they began, else at the target's.
    """
    reference, target = toys
    if reference != "fourcircles" or target not in ("fourcircles", "star"):
        return
    start, end = map(_angles, (sample.condition_reference, sample.condition_target))
    end = start if mode == "shared" else end
    circle, _ = toy_parts.circle_and_angle(sample.reference, start)
    for method in methods:
        if target == "star":
            information = mutual_information(circle, toy_parts.arm(sample.points(method), end))
            yield Number(method, "", "arm_information", information)
        else:
            ends, _ = toy_parts.circle_and_angle(sample.points(method), end)
            yield Number(method, "", "same_circle", float(np.mean(ends == circle)))


def _angles(condition: np.ndarray) -> np.ndarray | None:
    return geometry.degrees(condition) if condition.shape[1] else None
