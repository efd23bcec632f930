"""Where transports of identical toys end that begin between sharp densities, by their reversals.

    PYTHONPATH=workflow python benchmarks/reversals.py results/default

Layers of a flow keep the orientation of the plane, and each reversal of the features mirrors it:
with an even number of reversals a transport can become the identity or a rotation, with an odd
number a mirror image only. The toys are symmetric under the swap of their axes, so both can be
perfect. From random starts, flows for flows without phases, between the densities of a run: the
loss above that of a perfect transport, the distance travelled (mean and standard deviation), and
the turn or mirror image that the map is nearest to, with its mean distance from it.
docs/fidelity.md has the table.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from one_transport import prepare, travelled
from symmetries import nearest

from flowmorph.flows.flow import Architecture
from flowmorph.plan import defaults, tasks
from flowmorph.plan.jobs.build import Jobs
from flowmorph.samples import toys

METHOD = "flows_for_flows"


@dataclass(frozen=True)
class Odd(Architecture):
    """An architecture of an even number of layers without the last reversal."""

    @property
    def flips(self) -> tuple[bool, ...]:
        return (*super().flips[:-1], False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", help="folder of the run that has the densities")
    parser.add_argument("--toys", nargs="+", default=list(toys.TOYS), choices=list(toys.TOYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--training", type=int, default=1, help="that the densities are of")
    args = parser.parse_args()
    jobs = Jobs(defaults.config(), args.run)
    print("| toy | reversals | seed | loss above the lowest | distance | nearest symmetry |")
    print("|---|---|---|---|---|---|")
    for task in (each for each in tasks.IDENTICAL if each.reference.toy in args.toys):
        for odd in (False, True):
            for seed in args.seeds:
                one = prepare(jobs, task, METHOD, args.training, seed)
                flow = one.problem.flow
                if odd:
                    flow.arch = Odd(**vars(flow.arch))
                loss = one.train()
                x, image = one.moved()
                name, off = nearest(x, image)
                print(
                    f"| {tasks.TOYS[task.reference.toy]} | {flow.arch.layers - odd} | {seed} | "
                    f"{loss:.3f} | {travelled(x, image)} | {name}, {off:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
