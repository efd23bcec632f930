"""Train the density flow of one data set by maximum likelihood (paper, eq. 1)."""

from __future__ import annotations

import argparse
import json

import torch

from flowmorph.errors import cli
from flowmorph.flows import engine, setup, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.samples import datasets
from flowmorph.transfer.checkpoint import Checkpoint, fingerprint
from flowmorph.transfer.training import (
    Recipe,
    Sample,
    add_arguments,
    train,
    unweighted,
    write_history,
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=json.loads, required=True, help="recipe or file (JSON)")
    add_arguments(parser)
    args = parser.parse_args(argv)

    device = setup.start(args.threads, args.seed, args.device)
    x, c = setup.tensors(*datasets.load(args.dataset, "train", args.data), device)
    held = setup.tensors(*datasets.load(args.dataset, "validation", args.data), device)
    weights, held_weights = (
        setup.weights(datasets.weights(split, args.data)) for split in ("train", "validation")
    )
    held_x, held_c = unweighted(*held, held_weights, args.seed)
    flow = Flow(Architecture(x.shape[1], 0 if c is None else c.shape[1], **args.flow)).to(device)
    recipe = Recipe(**args.recipe)
    steps = recipe.steps(len(x))
    way = engine.decide(args.engine, steps, device)
    if way == engine.COMPILED:
        engine.prepare(flow.compile(recipe.batch).libraries(["forward"], gradients=True))
    sample = Sample(x, c, recipe.batch, torch.Generator().manual_seed(args.seed), weights)

    def loss(batch: Batch) -> torch.Tensor:
        return -flow.log_prob(*batch).mean()

    chunk = recipe.batch if device.type == "cpu" else setup.CHUNK

    def validate() -> float:
        losses = setup.in_chunks(flow.log_prob, held_x, held_c, size=chunk)
        return -losses.mean().item()

    note = {"flow": args.flow, "recipe": args.recipe, "data": args.data, "dataset": args.dataset}
    note = storage.provenance(note, args.seed)
    how = {"device": device.type, "engine": args.engine, "threads": args.threads}
    identity = fingerprint(note | how, __file__, datasets.files(args.data))
    checkpoint = Checkpoint(args.checkpoint, identity, args.checkpoint_minutes)
    history = train(
        flow, [sample], [loss], validate, recipe, steps, len(x) / recipe.batch,
        f"density {args.dataset}", checkpoint, way == engine.GRAPHS,
    )  # fmt: skip
    storage.save(flow, args.output, note)
    write_history(history, args.history)
    checkpoint.remove()


if __name__ == "__main__":
    cli(main)
