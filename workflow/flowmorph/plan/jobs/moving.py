"""Jobs that move points with trained flows."""

from __future__ import annotations

from flowmorph.plan.jobs.data import Data
from flowmorph.plan.jobs.form import job


@job
class MoveJob:
    """A task's reference points of a ``split``, moved by every method.

    ``methods`` name the transports; ``batch`` is the number of points that are moved at a time;
    ``mode`` is how the condition enters, None if not. ``training`` is the flows' number.
    """

    task: str
    split: str
    training: str
    mode: str | None
    reference: Data
    target: Data
    methods: tuple[str, ...]
    batch: int
    seed: int
    device: str = "auto"
    engine: str = "auto"


@job
class BundleJob:
    """One transport of the user's samples in one file: their columns and the regions of one."""

    method: str
    features: tuple[str, ...]
    condition: tuple[str, ...]
    regions: dict
