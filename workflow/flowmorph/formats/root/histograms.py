"""Sums of ROOT histograms and profiles, as ROOT's hadd makes them."""

from __future__ import annotations

import re

import numpy as np
from uproot.writing.identify import to_TArray, to_TList

HISTOGRAM = re.compile(r"TH[123][CSIFDL]|TProfile([23]D)?")

#: TH1's bit for a histogram of averages, of which there is no sum.
_AVERAGE = 1 << 18


class Sum:
    """Sum of histograms of one name in several files, if there is one."""

    def __init__(self) -> None:
        self.model = None
        #: Why there is no sum; what of the first histogram is not in it.
        self.reason = self.lost = ""

    def add(self, model) -> None:
        """Add a histogram, as uproot reads it."""
        if self.reason:
            return
        if model.member("@fBits") & _AVERAGE:
            self.reason = "it holds averages"
        elif len(model.member("fBuffer")) and model.member("fBuffer")[0]:
            self.reason = "it has a buffer whose entries are in no bin yet"
        elif self.model is None:
            self.model = model
            if len(model.member("fFunctions")):
                self.lost = "without its list of functions"
                _holder(model, "fFunctions")._members["fFunctions"] = to_TList([])
        elif _axes(model) != _axes(self.model):
            self.reason = "its axes differ between the files"
        else:
            _add(self.model, model)


def _holder(model, name: str):
    """The base of an object that has a member."""
    if name in model._members:
        return model
    return next((found for base in model._bases if (found := _holder(base, name))), None)


def _axes(model) -> list:
    axes = [model.member(name) for name in ("fXaxis", "fYaxis", "fZaxis")]
    return [
        (
            axis.member("fNbins"), axis.member("fXmin"), axis.member("fXmax"),
            np.asarray(axis.member("fXbins")).tolist(),
            [str(label) for label in axis.member("fLabels") or ()],
        )
        for axis in axes
    ]  # fmt: skip


def _contents(model) -> tuple[object, int]:
    """The object that has the array of bins among its bases, and where."""
    for place, base in enumerate(model._bases):
        if base.classname.startswith("TArray"):
            return model, place
        if base._bases and (found := _contents(base)):
            return found
    return None


def _add(first, other) -> None:
    holder, place = _contents(first)
    bins = [np.asarray(one._bases[at]) for one, at in (_contents(first), _contents(other))]
    # Without errors of its own a histogram has weights of 1: then the contents are their squares.
    counts = {
        "fSumw2": [np.abs(one.astype(np.float64)) for one in bins],
        "fBinSumw2": [_array(one, "fBinEntries") for one in (first, other)],
    }
    sums = {}
    for name in ("fSumw2", "fBinSumw2", "fBinEntries"):
        values = [_array(first, name), _array(other, name)]
        if any(map(len, values)):
            instead = counts.get(name, values)
            mine, theirs = (
                one if len(one) else two for one, two in zip(values, instead, strict=True)
            )
            sums[name] = mine + theirs
    for name, total in sums.items():
        _holder(first, name)._members[name] = to_TArray(total)
    holder._bases[place] = to_TArray(_sum(*bins))
    # Without sums of x ROOT makes them from the bins, which it has to do for both then.
    unknown = [one.member("fTsumw") == 0 and one.member("fEntries") > 0 for one in (first, other)]
    for name in first.all_members:
        if name == "fEntries" or name.startswith("fTsum"):
            known = name == "fEntries" or unknown[0] == unknown[1]
            total = first.member(name) + other.member(name) if known else 0.0
            _holder(first, name)._members[name] = total


def _array(model, name: str) -> np.ndarray:
    """A member that is an array, without elements if there is none."""
    values = model.member(name, none_if_missing=True)
    return np.asarray(() if values is None else values, np.float64)


def _sum(first: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Contents of bins in the first's type; whole numbers end at the largest, as ROOT's do."""
    if first.dtype.kind == "f":
        return first + other
    limits = np.iinfo(first.dtype)
    total = first.astype(np.int64) + other.astype(np.int64)
    return np.clip(total, -limits.max, limits.max).astype(first.dtype)
