"""Where a transport is not to be trusted, by the learned densities."""

import awkward as ak
import numpy as np
import pandas as pd
import pytest
from jobs import density_options
from scripts_by_name import script
from transports import make, table

import flowmorph
from flowmorph.metrics import measures, support
from flowmorph.plan.jobs.data import FileData
from flowmorph.plan.jobs.form import to_json
from flowmorph.plan.jobs.moving import MoveJob
from flowmorph.plan.jobs.training import DensityJob, Network, Recipe
from flowmorph.user.column_map import (
    OUT_OF_RANGE,
    SUPPORTED,
    WITHOUT_REFERENCE,
    WITHOUT_TARGET,
)
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output
from flowmorph.user.transport import Transport

ROWS = 3000


@pytest.fixture(scope="module")
def transport(tmp_path_factory) -> Transport:
    folder = tmp_path_factory.mktemp("support")
    return flowmorph.load(str(make(folder, ("x", "k"), ("m",), event=["id"])), device="cpu")


def expected(transport: Transport, rows: dict) -> np.ndarray:
    """By the densities of Python, and their ratio."""
    reference, target = (transport.log_prob(rows, of=of) for of in ("reference", "target"))
    ratio, edge = target - reference, np.log(support.FACTOR)
    found = np.where(ratio < -edge, WITHOUT_TARGET, np.where(ratio > edge, WITHOUT_REFERENCE, 0))
    read = {name: np.asarray(rows[name], float) for name in ("x", "k", "m")}
    beyond = np.any(list(transport.beyond(read).values()), axis=0)
    return np.where(beyond, OUT_OF_RANGE, found)


def test_rows_are_marked_by_the_ratio_of_the_densities(transport, tmp_path):
    rows = table(ROWS, seed=8)
    rows["x"] *= 1.5
    wanted = expected(transport, rows)
    assert set(np.unique(wanted)) == {SUPPORTED, OUT_OF_RANGE, WITHOUT_TARGET, WITHOUT_REFERENCE}
    found = transport.support(rows)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, wanted)
    lists = ak.Array({name: [values[:2], [], values[2:]] for name, values in rows.items()})
    assert ak.flatten(transport.support(lists)).to_list() == wanted.tolist()
    rows["m"][:7] = np.nan
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    move_files(transport, [str(tmp_path / "a.parquet")], tmp_path / "b.parquet",
               output=Output(support=True), chunk_rows=1)  # fmt: skip
    moved = pd.read_parquet(tmp_path / "b.parquet")
    assert list(moved.columns)[-2:] == ["flowmorph_moved", "flowmorph_support_moved"]
    marks = moved["flowmorph_support_moved"].to_numpy()
    assert (marks[:7] == -1).all() and (moved["flowmorph_moved"][:7] == -1).all()
    np.testing.assert_array_equal(marks[7:], wanted[7:])
    move_files(transport, [str(tmp_path / "a.parquet")], tmp_path / "c.parquet")
    assert pd.read_parquet(tmp_path / "c.parquet").equals(moved.iloc[:, :-1])


def test_the_share_without_support_is_that_of_the_samples(tmp_path):
    """A quarter of the reference, and a tenth of the target, lie where the other has nothing."""
    rng = np.random.default_rng(2)

    def sample(apart: float, place: float) -> np.ndarray:
        points = rng.normal(0, 0.4, (4000, 2))
        points[: round(4000 * apart), 0] += place
        return rng.permutation(points).astype(np.float32)

    none = np.empty((4000, 0), np.float32)
    data = []
    for name, apart, place in (("r", 0.25, 3.0), ("t", 0.1, -3.0)):
        arrays = {f"{split}.points": sample(apart, place) for split in ("train", "validation")}
        arrays |= {f"{split}.condition": none for split in ("train", "validation")}
        np.savez(tmp_path / f"{name}.npz", **arrays, **{"condition.gaps": np.empty(0)})
        data.append(FileData(name, str(tmp_path / f"{name}.npz"), ("a", "b"), ()))
        recipe = Recipe(batch=200, epochs=15, learning_rate=5e-3, warmup_steps=2, clip=5.0)
        job = DensityJob(data[-1], Network(2, 1, 32, 8, 4.0), recipe, 3, "cpu")
        script("train_density").main(density_options(job, tmp_path))
    job = MoveJob("own", "validation", "1", None, *data, (), 4, "cpu")
    script("move_samples").main(
        ["--job", to_json(job), "--reference-density", str(tmp_path / "r.safetensors"),
         "--target-density", str(tmp_path / "t.safetensors"), "--transports",
         "--output", str(tmp_path / "moved.npz"), "--flow-measures", str(tmp_path / "m.csv")]
    )  # fmt: skip
    found = {
        m.metric: m.value for m in measures.read([tmp_path / "m.csv"]) if m.method == "ceiling"
    }
    assert found["without_target"] == pytest.approx(0.25, abs=0.03)
    assert found["without_reference"] == pytest.approx(0.1, abs=0.03)
