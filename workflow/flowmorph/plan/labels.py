"""What samples and methods are called in tables and figures."""

from __future__ import annotations

#: Names that are more than their words.
LABELS = {"penalty_identity": "penalty + identity", "gb_reweighting": "GB reweighting"}


def label(name: str) -> str:
    """Name a sample, a method, or a variant such as ``movement_penalty_w0.2``, for a reader."""
    return LABELS.get(name, name.replace("_", " "))
