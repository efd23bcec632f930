"""Train the transport flow of one task by one method between two frozen densities."""

from __future__ import annotations

import argparse
import json
from functools import partial

import torch

from flowmorph.errors import cli
from flowmorph.flows import engine, setup, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.graphs import Batch
from flowmorph.plan import methods
from flowmorph.samples import datasets
from flowmorph.transfer.checkpoint import Checkpoint, fingerprint
from flowmorph.transfer.morph import Task, context_size
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
    parser.add_argument("--task", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--condition", choices=("shared", "difference", "concat"))
    parser.add_argument("--reference", required=True, help="data set")
    parser.add_argument("--target", required=True, help="data set")
    parser.add_argument("--reference-data", type=json.loads, required=True, help="JSON")
    parser.add_argument("--target-data", type=json.loads, required=True, help="JSON")
    parser.add_argument("--reference-density", required=True, help="weights (safetensors)")
    parser.add_argument("--target-density", required=True, help="weights (safetensors)")
    parser.add_argument("--penalty", type=float, default=0.0)
    add_arguments(parser)
    args = parser.parse_args(argv)

    method, strength = methods.parse(args.method)
    penalty = (args.penalty if strength is None else strength) if method.penalised else 0.0
    device = setup.start(args.threads, args.seed, args.device)
    densities = [storage.load(path) for path in (args.reference_density, args.target_density)]
    task = Task(*(density.to(device) for density in densities), args.condition)

    recipe = Recipe(**args.recipe)
    samples, held = [], []
    for name, data in ((args.reference, args.reference_data), (args.target, args.target_data)):
        points = setup.tensors(*datasets.load(name, "train", data), device)
        # Each sample has its own order, so that reference and target are paired at random.
        generator = torch.Generator().manual_seed(args.seed + len(samples))
        weights, held_weights = (
            setup.weights(datasets.weights(split, data)) for split in ("train", "validation")
        )
        apart = setup.tensors(*datasets.load(name, "validation", data), device)
        held.append(unweighted(*apart, held_weights, args.seed + len(samples)))
        samples.append(Sample(*points, recipe.batch, generator, weights))
    reference, target = samples
    sizes = 0 if reference.c is None else reference.c.shape[1]
    features = reference.x.shape[1]
    flow = Flow(
        Architecture(features, context_size(args.condition, sizes), **args.flow), method.identity
    ).to(device)
    # The larger sample sets the length: an epoch shows each of its points once per direction.
    steps = recipe.steps(max(len(reference.x), len(target.x)))
    way = engine.decide(args.engine, steps, device)
    if way == engine.COMPILED:
        libraries = flow.compile(recipe.batch).libraries(method.directions, gradients=True)
        for density in (task.density_reference, task.density_target):
            libraries += density.compile(recipe.batch).libraries(["forward"], gradients=True)
        engine.prepare(libraries)

    def loss(direction: str, reference: Batch, target: Batch) -> torch.Tensor:
        (x, c_x), (y, c_y) = reference, target
        return task.loss(direction, flow, x, y, c_x, c_y, penalty)

    losses = [partial(loss, direction) for direction in method.directions]
    chunk = recipe.batch if device.type == "cpu" else setup.CHUNK
    held_points = min(len(x) for x, _ in held)
    held_arrays = [None if part is None else part[:held_points] for pair in held for part in pair]

    def batch_loss(x, c_x, y, c_y) -> torch.Tensor:
        values = [part((x, c_x), (y, c_y)) for part in losses]
        return (sum(values) / len(values)).expand(x.shape[1])

    def validate() -> float:
        return setup.in_chunks(batch_loss, *held_arrays, size=chunk).mean().item()

    note = {
        "task": args.task, "method": args.method, "condition": args.condition, "penalty": penalty,
        "flow": args.flow, "recipe": args.recipe,
        "reference_data": args.reference_data, "target_data": args.target_data,
    }  # fmt: skip
    note = storage.provenance(note, args.seed)
    how = {"device": device.type, "engine": args.engine, "threads": args.threads}
    read = [args.reference_density, args.target_density]
    read += datasets.files(args.reference_data) + datasets.files(args.target_data)
    checkpoint = Checkpoint(
        args.checkpoint, fingerprint(note | how, __file__, read), args.checkpoint_minutes
    )
    history = train(
        flow, samples, losses, validate, recipe, steps, recipe.steps(len(target.x)) / recipe.epochs,
        f"transport {args.task} {args.method}", checkpoint, way == engine.GRAPHS,
    )  # fmt: skip
    storage.save(flow, args.output, note)
    write_history(history, args.history)
    checkpoint.remove()


if __name__ == "__main__":
    cli(main)
