"""Transports with random weights, and tables for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from flowmorph.flows import storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.user import bundle

#: Types and devices of new tensors that a program may choose; a meta device holds no numbers.
DEFAULTS = [(torch.float64, "cpu"), (torch.float16, "cpu"), (torch.float32, "meta")]

NOWHERE = {"column": None, "train": [], "apply": [], "closure": True}
REGIONS = NOWHERE | {"column": "m", "apply": [[0, 1]]}


def table(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x": (5 + rng.standard_t(3, rows)).astype(np.float32),
        "k": rng.poisson(4, rows).astype(np.int32),
        "m": rng.uniform(0, 2, rows),
        "id": np.arange(rows),
    }


@contextmanager
def pytorch_with(kind: torch.dtype, device: str) -> Iterator[None]:
    """PyTorch as a program that does something else has set it; it has to stay so."""
    torch.set_default_dtype(kind)
    torch.set_default_device(device)
    try:
        yield
        assert torch.get_default_dtype() == kind and torch.get_default_device().type == device
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)


def make(
    folder: Path, features, condition, method="movement_penalty", regions=NOWHERE,
    event=(), folds=1, variations=0, train=None, categories=None, balance=None, weights=None,
    width=8,
    **options,
) -> Path:  # fmt: skip
    """A transport whose flows have random weights; ``options`` are those of columns.

    ``train`` are the columns to which it is fitted, `table` if there are none, and ``categories``
    those of conditions that have some. ``width`` is that of the networks.
    """
    torch.manual_seed(1)
    options = {"x": {"transform": "quantile"}, "k": {"integer": True}, "m": {}} | options
    train = table(2000) if train is None else train
    choices = {name: options.get(name, {}) for name in (*features, *condition)}
    fit = Preprocessor.fit([train], choices, conditions=condition, categories=categories)
    context = len(fit.names(condition))
    trainings = []
    for number in range(folds * (1 + variations)):
        files = {}
        for name in ("reference", "target", "transport")[: 2 if method == "base_transfer" else 3]:
            flow = Flow(Architecture(len(features), context, 2, 1, width, 4, 4.0))
            with torch.no_grad():
                flow.flat.add_(0.3 * torch.randn_like(flow.flat) * flow.mask)
            files[name] = str(folder / f"{name}_weights_{number}.safetensors")
            storage.save(flow, files[name], {"config": {}, "seed": 1})
        trainings.append(files)
    note = {"method": method, "features": list(features), "condition": list(condition)}
    note |= {"regions": regions, "preprocessing": fit.to_json()}
    note |= {"event": list(event), "folds": folds, "variations": variations, "weights": weights}
    bundle.write(trainings, note, folder / "transport.safetensors", balance)
    return folder
