"""A hundred features: flows stay exact, figures legible, and a run goes through."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_own_tutorial import SMALL
from test_workflow import OUT, Project
from yaml import safe_load

from flowmorph.errors import InputError
from flowmorph.figures import chosen, correlations
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.metrics import two_sample
from flowmorph.plan import paths
from flowmorph.samples.moved import MovedSample
from flowmorph.user.moved_files import Counts

MANY = 100
METHOD = "flows_for_flows"


def many(features: int, rows: int = 2000) -> MovedSample:
    """Feature i of the target is i / 100 off, and the method spoils the first one."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, rows, features))
    y += np.arange(features) / 100
    none = np.empty((rows, 0))
    image = y[rng.permutation(rows)] + 3 * (np.arange(features) == 0)
    return MovedSample(x, y, none, none, {METHOD: image})


def test_a_figure_draws_the_features_that_differ_most():
    sample, labels = many(MANY), [f"x{i}" for i in range(MANY)]
    choice = chosen.largest_differences(sample, [METHOD], labels)
    assert choice.labels[0] == "x0" and len(choice.labels) == chosen.MOST
    ranks = [int(label[1:]) for label in choice.labels[1:]]
    assert min(ranks) > 70 and np.corrcoef(ranks, range(len(ranks)))[0, 1] < -0.7
    assert choice.note.startswith(f"20 of {MANY} features")
    drawn = choice.of(sample)
    assert (drawn.points(METHOD) == sample.points(METHOD)[:, choice.places]).all()
    assert (drawn.target == sample.target[:, [0, *ranks]]).all()
    few, names = many(chosen.MOST), labels[: chosen.MOST]
    choice = chosen.largest_differences(few, [METHOD], names)
    assert choice.labels == tuple(names) and not choice.note
    assert (choice.of(few).reference == few.reference).all()
    with pytest.raises(InputError, match="99 labels for 100 features"):
        chosen.largest_differences(sample, [METHOD], labels[1:])


@pytest.mark.parametrize("signs", [None, np.array([1.0, 1.0, 1.0, -0.5])], ids=["plain", "signed"])
def test_distances_of_features_are_those_of_the_table(signs):
    sample = many(6, 400)
    weights = None if signs is None else np.tile(signs, 100)
    given = sample.reference, sample.target
    table = two_sample.compare_features(*given, weights=weights, target_weights=None)
    found = two_sample.ks_distances(*given, weights)
    np.testing.assert_allclose(found, [each.ks for each in table], rtol=1e-12)


@pytest.mark.parametrize("features", [8, 20, 21, MANY])
def test_names_of_correlations_do_not_overlap(features):
    fig = correlations.correlation_figure(
        [many(features)], names=["reference", METHOD], conditions=(),
        labels=[f"feature_{i}" for i in range(features)],
    )  # fmt: skip
    fig.draw_without_rendering()
    for ax in (fig.axes[0], fig.axes[1]):
        assert ax.images[0].get_array().shape == (features, features)
        for axis in (ax.xaxis, ax.yaxis):
            boxes = [
                label.get_window_extent()
                for label in axis.get_ticklabels()
                if label.get_text() and label.get_visible()
            ]
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    named = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert named[-1] == (f"feature_{features - 1}" if features <= 20 else f"{features // 5 * 5}")


def flow_of_many(identity: bool, spread: float) -> Flow:
    torch.manual_seed(3)
    flow = Flow(Architecture(MANY, 1, 4, 2, width=128, bins=16, tail_bound=4.0), identity)
    with torch.no_grad():
        flow.flat += spread * torch.randn_like(flow.flat) * flow.mask
    return flow.requires_grad_(False)


def test_a_transport_of_a_hundred_features_is_inverted_in_single_precision():
    flow = flow_of_many(identity=True, spread=0.02).compile()
    x, c = torch.randn(MANY, 500), torch.randn(1, 500)
    y, log_det = flow(x, c)
    back, log_det_back = flow.inverse(y, c)
    assert (y - x).abs().mean() > 0.1  # it is not the identity
    assert (back - x).abs().max() < 1e-4
    assert (log_det + log_det_back).abs().max() < 1e-2  # of sums over 400 splines
    exact, log_det_exact = flow.double()(x[:, :50].double(), c[:, :50].double())
    assert (y[:, :50] - exact).abs().max() < 1e-4
    assert (log_det[:50] - log_det_exact).abs().max() < 1e-2


def test_steep_splines_of_a_hundred_features_are_inverted_in_double_precision():
    # A feature's rounding goes into the splines of all that follow: in single precision a few
    # points in a thousand of such a flow, as it is before any training, are 1e-3 off.
    flow = flow_of_many(identity=False, spread=0.0).double()
    x, c = torch.randn(MANY, 50).double(), torch.randn(1, 50).double()
    y, log_det = flow(x, c)
    back, log_det_back = flow.inverse(y, c)
    assert (back - x).abs().max() < 1e-9
    assert (log_det + log_det_back).abs().max() < 1e-8


def test_a_sentence_about_a_file_names_the_columns_with_most_rows():
    beyond = {f"x{i}": i for i in range(MANY)}
    said = str(Counts(rows=9, moved=9, beyond=beyond, clipped={"n": 3}))
    assert "training: 99 in x99, 98 in x98, " in said and "81 in x81, 80 in x80, fewer" in said
    assert "fewer in 79 others; clipped to the column's type: 3 in n" in said  # x0 has none
    few = str(Counts(rows=9, moved=9, beyond=dict(list(beyond.items())[:4])))
    assert few.endswith("training: 1 in x1, 2 in x2, 3 in x3")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Project:
    """A whole run of correlated features, of which every third is shifted."""
    project = Project(tmp_path_factory.mktemp("many"))
    (project.folder / "data").mkdir()
    names = [f"feature_{i}" for i in range(MANY)]
    for seed, name in enumerate(("reference", "target")):
        x = np.random.default_rng(seed).normal(size=(500, MANY)).cumsum(axis=1)
        table = pd.DataFrame(x + (seed and np.arange(MANY) % 3 == 0), columns=names)
        table.assign(m=np.random.default_rng(9).uniform(size=500)).to_parquet(
            project.folder / f"data/{name}.parquet"
        )
    own = {
        **{name: {"files": f"data/{name}.parquet"} for name in ("reference", "target")},
        "features": names,
        "condition": ["m"],
        "closure_in": {"m": [0, 0.5, 1]},
        "methods": ["base_transfer", METHOD],
        "output": {"methods": [METHOD], "support": True},
    }
    settings = safe_load(SMALL) | {"own": own}
    for network in settings["flows"].values():
        network["width"] = MANY
    for recipe in settings["training"]["own"].values():
        recipe["batch"] = 100
    project.snakemake("--cores", "1", override=settings)
    return project


@pytest.mark.workflow
def test_a_run_of_a_hundred_features_makes_everything(run):
    out = run.folder / OUT
    before = pd.read_parquet(run.folder / "data/reference.parquet")
    after = pd.read_parquet(run.folder / paths.moved_reference(OUT, METHOD, ".parquet"))
    moved = [f"{name}_moved" for name in before.columns[:MANY]]
    assert set(moved) <= set(after.columns) and np.isfinite(after[moved]).all(axis=None)
    assert ((after[moved].to_numpy() != before.iloc[:, :MANY]).mean(axis=0) > 0.9).all()
    marginals = pd.read_csv(out / "tables/marginals.csv")
    assert set(marginals["feature"]) >= set(before.columns[:MANY])
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    assert drawn >= {
        "fig_own_ratios", "fig_own_feature_distances", "fig_own_correlations",
        "fig_own_closure_bins",
    }  # fmt: skip
    assert Path(out / "tables/two_sample.csv").is_file()
