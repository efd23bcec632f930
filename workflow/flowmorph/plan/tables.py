"""The tables of a run, and those that its page of results shows."""

from __future__ import annotations

from flowmorph.plan import own_config

PAPER = (
    "distances", "divergences", "likelihoods", "medians",
    "two_sample", "movement", "marginals", "costs", "claims",
)  # fmt: skip
OWN = ("own_rows", "likelihoods", "two_sample", "movement", "marginals", "costs")
CLOSURE_ROWS, CLOSURE_BINS = ("closure_rows",), ("closure_bins",)
SEARCH = ("search",)
PUBLISHED = ("event_counts",)  # compare published events with published numbers

#: Tables of the page of results, in its order, and their titles there.
TITLES = {
    "own_rows": "Rows",
    "closure_rows": "Rows outside of the training region",
    "distances": "Distances travelled, beside the paper's",
    "two_sample": "Accuracy: a classifier between moved reference and target",
    "movement": "Movement",
    "divergences": "Divergence from the exact densities",
    "costs": "Trainings: what they took, and how near they ended",
    "medians": "Medians of the generated target, beside the LHC Olympics sample",
    "search": "Search for a resonance",
    "claims": "The paper's claims",
}
LONG = "movement"  # said by the distances already, where these are on the page


def of_run(config: dict, searched: bool) -> tuple[str, ...]:
    """Tables that a run makes; ``searched`` is whether it looks for a signal."""
    if own_config.given(config):
        rows = CLOSURE_ROWS * own_config.applied_elsewhere(config)
        return OWN + rows + CLOSURE_BINS * bool(config["own"]["closure_in"])
    published = config["collider"]["source"].startswith("lhco")
    return PAPER + PUBLISHED * published + SEARCH * searched


def of_page(config: dict, searched: bool) -> dict[str, str]:
    """Tables of the page of results, with their titles."""
    made = of_run(config, searched)
    left_out = LONG if "distances" in made else ""
    return {name: title for name, title in TITLES.items() if name in made and name != left_out}
