"""The regions in which flows are trained, as far as the configuration knows them."""

from __future__ import annotations

from flowmorph.plan import own_config, tasks
from flowmorph.plan.intervals import widest_gap
from flowmorph.plan.tasks import COLLIDER, Dataset


def has_gap(dataset: Dataset, config: dict) -> bool:
    """Whether a condition of a data set has a gap between the intervals of the training region."""
    if dataset.toy:
        return False
    if dataset.family.name == COLLIDER.family.name:
        return widest_gap(_of_collider(dataset, config)) > 0
    own = config["own"]
    conditional = own["regions"]["column"] in own_config.columns(own["condition"])
    return conditional and widest_gap(own["regions"]["train"]) > 0


def collider_gap(dataset: Dataset, config: dict) -> float:
    """Widest gap in the training region of a collider sample, in scaled units."""
    scaling = config["collider"]["scaling"]
    # The reference is trained on wherever the target is.
    widest = _of_collider(COLLIDER.reference, config)
    lowest, highest = min(low for low, _ in widest), max(high for _, high in widest)
    if given := scaling["ranges"][tasks.COLLIDER_CONDITION]:
        lowest, highest = (end / tasks.GEV_PER_TEV for end in given)
    scaled = (scaling["high"] - scaling["low"]) / (highest - lowest)
    return scaled * widest_gap(_of_collider(dataset, config))


def _of_collider(dataset: Dataset, config: dict) -> list[list[float]]:
    """Intervals of M, TeV, in which flows are trained on a collider sample."""
    regions = config["collider"]["regions_tev"]
    further = dataset == COLLIDER.reference and regions["reference_in_signal"]
    return [*regions["sidebands"], *([regions["signal"]] if further else [])]
