"""The tables of measures, and the paper's claims decided by rules."""

from __future__ import annotations

import copy
import csv
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import yaml
from scripts_by_name import script
from snakemake.utils import update_config
from test_causes import EVIDENCE, PAPER
from test_workflow import CONFIG

from flowmorph.errors import InputError
from flowmorph.metrics import measures
from flowmorph.metrics.measures import Measure
from flowmorph.metrics.search import IDEALISED
from flowmorph.plan import targets, tasks
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.methods import FURTHER, PUBLISHED
from flowmorph.tables import causes, claims, search
from flowmorph.tables.claims import Claim, Quantity
from flowmorph.tables.measures import KINDS, measure_table

ROOT = Path(__file__).parents[1]
MEASURES = [
    Measure("a", "", "1", "base_transfer", "", "distance_mean", 1.0),
    Measure("b", "", "1", "base_transfer", "", "distance_mean", 3.0),
    Measure("a", "", "1", "unidirectional", "", "distance_mean", 4.0),
    Measure("b", "", "1", "unidirectional", "", "distance_mean", 6.0),
    Measure("a", "", "1", "base_transfer", "x1", "ks", 0.25),
]
GROUPS = {"both": ["a", "b"]}
BASE = Quantity("distance_mean", ("base_transfer",), "both")
UNIDIRECTIONAL = Quantity("distance_mean", ("unidirectional",), "both")
CLAIMS, LIMITS = claims.load(ROOT / "config/claims.yaml")
#: The least and the largest value that a metric of the claims can have.
RANGES = {
    "auc": (0.5, 1.0), "same_circle": (0.0, 1.0), "arm_information": (0.0, np.log(4)),
    "ratio_marginals": (1.0, np.inf),
}  # fmt: skip
#: What the limits of the claims that compare numbers are tried with.
VALUES = {"auc": 0.8, "same_circle": 0.5, "arm_information": 0.5, "points": 1000.0}


def decide(*args, measures=MEASURES, groups=GROUPS, **options) -> dict:
    claim = Claim("c", "p", *args, **options)
    (row,) = claims.claims_table([claim], measures, groups, EVIDENCE).rows
    return row


def test_numbers_are_averaged_over_tasks_and_picked_among_methods():
    row = decide(BASE, "below", UNIDIRECTIONAL)
    assert (row["number"], row["limit"], row["holds"]) == (2.0, 5.0, "yes")
    both = Quantity("distance_mean", ("base_transfer", "unidirectional"), "a", pick="smallest")
    assert decide(both, "above", 1.5)["number"] == 1.0
    single = Quantity("ks", ("base_transfer",), "a", features=("x1",))
    assert decide(single, "below", 0.3)["number"] == 0.25


def test_the_factor_and_the_relation_decide():
    assert decide(BASE, "below", UNIDIRECTIONAL, times=0.3)["holds"] == "no"
    assert decide(BASE, "above", UNIDIRECTIONAL, times=0.3)["holds"] == "yes"
    row = decide(BASE, "above", UNIDIRECTIONAL, times=0.5, plus=-0.6)
    assert (row["limit"], row["holds"]) == (pytest.approx(1.9), "yes")
    assert row["rule"].endswith("0.5 times the mean distance (unidirectional; both) plus -0.6")
    assert decide(BASE, "below", 2.0)["holds"] == decide(BASE, "above", 2.0)["holds"] == "no"


def test_the_cause_is_given_only_where_a_claim_fails():
    assert decide(BASE, "above", 3.0)["why_not"].startswith("paper: ")
    assert decide(BASE, "below", 3.0)["why_not"] == ""


def test_a_claim_that_says_what_it_needs_is_not_tested_without_it():
    claim = Claim("c", "p", Quantity("auc", ("w1",), "a"), "below", 1.0, needs="the scan")
    table = claims.claims_table([claim], MEASURES, GROUPS, EVIDENCE)
    (row,) = table.rows
    assert (row["holds"], row["number"], row["limit"]) == ("not tested", None, None)
    assert row["why_not"] == "needs the scan: no such measure in this run: a w1  auc"
    assert "not tested" in table.markdown()
    assert decide(BASE, "below", 3.0, needs="the scan")["holds"] == "yes"


def test_repeated_trainings_are_averaged_and_the_ensemble_is_none_of_them():
    again = [m._replace(training="2", value=3.0) for m in MEASURES if m.task == "a"]
    again.append(MEASURES[0]._replace(training="ensemble", value=100.0))
    single = Quantity("distance_mean", ("base_transfer",), "a")
    assert decide(single, "below", 9.0, measures=[*MEASURES, *again])["number"] == 2.0
    # What lies between trainings is measured of all together.
    again.append(MEASURES[0]._replace(training="ensemble", metric="training_spread", value=7.0))
    between = Quantity("training_spread", ("base_transfer",), "a")
    assert decide(between, "below", 9.0, measures=[*MEASURES, *again])["number"] == 7.0


def test_the_rule_says_what_was_compared():
    assert decide(BASE, "below", UNIDIRECTIONAL, times=0.5)["rule"] == (
        "mean distance (base transfer; both) below 0.5 times the "
        "mean distance (unidirectional; both)"
    )
    named = [Quantity("effective_points", ("reweighting",), "rotated_different").words(),
             Quantity("auc", ("unidirectional",), "fourcircles_to_star").words()]  # fmt: skip
    assert named == [
        "effective points (reweighting; different rotated toys)",
        "AUC (unidirectional; four circles → star)",
    ]


def test_a_number_that_was_not_measured_is_named():
    with pytest.raises(InputError, match="no such measure in this run: a base_transfer .*auc"):
        decide(Quantity("auc", ("base_transfer",), "both"), "below", 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relation": "near"}, "'relation' is below or above"),
        ({"number": {"metric": "auc", "methods": ["m"], "tasks": "t", "pick": "any"}}, "'pick' is"),
        ({"number": {"metric": "auc", "methods": ["m"], "tasks": "t", "typo": 1}}, "'typo'"),
        ({"limit": "many"}, "many"),
        (
            {"limit": {"metric": "auc", "methods": ["m"], "tasks": "t"}, "times": 1.05},
            "an AUC has no 'times'",
        ),
        ({"typo": 1}, "typo"),
    ],
)
def test_malformed_claims_are_named(tmp_path, change, message):
    entry = {"claim": "c", "place": "p", "relation": "below", "limit": 1}
    entry |= {"number": {"metric": "auc", "methods": ["m"], "tasks": "t"}}
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"causes": {}, "claims": [entry, entry | change]}))
    with pytest.raises(InputError, match=f"claims.yaml: claim 2: .*{message}"):
        claims.load(path)


def test_every_claim_asks_for_something_that_is_measured():
    known = {c.key for kind in KINDS.values() for c in kind.columns} | set(search.METRICS)
    known_tasks = {*tasks.GROUPS, *tasks.PAPER, "collider_signal", "collider_search"}
    methods = {*PUBLISHED, *FURTHER, "reweighting", "movement_penalty_w1"}
    methods |= {"reference", "baseline", "ceiling"}
    assert len(CLAIMS) > 40
    facts = PAPER["science_preparation"]["events"]
    both = facts["reference_train"], facts["target_train"]
    assert causes.Evidence(**LIMITS, paper=PAPER).paper_shown == 64 * min(both)
    for claim in CLAIMS:
        for quantity in (claim.number, claim.limit):
            if isinstance(quantity, Quantity):
                assert quantity.metric in known, claim.claim
                assert quantity.tasks in known_tasks, claim.claim
                assert set(quantity.methods) <= methods, claim.claim


def keys(quantity: Quantity | float) -> set[tuple[str, str, str, str]]:
    """The measures that a quantity is made of."""
    if not isinstance(quantity, Quantity):
        return set()
    group = tasks.GROUPS.get(quantity.tasks)
    names = tasks.names(group) if group else [quantity.tasks]
    every = product(names, quantity.methods, quantity.features, [quantity.metric])
    return {(task, method, feature, metric) for task, method, feature, metric in every}


def sided(claim: Claim, holds: bool) -> dict[tuple[str, str, str, str], float]:
    """Measures with which the claim's number lies just on the one or the other side of its limit.

    Where number and limit are the largest and the smallest of the same methods, all of these have
    one value, and where that would decide otherwise, the first has another.
    """
    ours, theirs = keys(claim.number), keys(claim.limit)
    value = VALUES.get(claim.limit.metric, 1.0) if theirs else claim.limit
    # chi2/ndf of a reference that differs, where 1 is chance.
    value = 20.0 if theirs and claim.limit.metric == "chi2_ndf" else value
    limit = claim.times * value + claim.plus if theirs else value
    beyond = limit + (0.01 if (claim.relation == "above") == holds else -0.01) * abs(limit)
    numbers = dict.fromkeys(theirs, value)
    if ours == theirs:
        assert claim.number.pick != claim.limit.pick
        if not holds:
            first = claim.number.methods[0]
            numbers |= {key: beyond for key in ours if key[1] == first}
        return numbers
    assert not ours & theirs
    return numbers | dict.fromkeys(ours, beyond)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.claim for claim in CLAIMS])
@pytest.mark.parametrize("holds", [True, False], ids=["holds", "fails"])
def test_numbers_that_can_be_decide_every_claim_both_ways(claim, holds):
    numbers = sided(claim, holds)
    for (_, _, _, metric), value in numbers.items():
        low, high = RANGES.get(metric, (0.0, np.inf))
        assert low < value < high
    points = [value for key, value in numbers.items() if key[3] == "points"]
    effective = [value for key, value in numbers.items() if key[3] == "effective_points"]
    # No weights have more effective points than points.
    assert not effective or max(effective) < min(points)
    # What causes are judged by, on the collider data.
    judged = {
        (name, method, "", metric): value
        for name in ("collider", "collider_signal")
        for method, metric, value in (
            ("ceiling", "auc_low", 0.6),
            ("floor", "auc_high", 0.5),
            ("baseline", "distance_mean", 3.0),
        )
    } | {("collider_search", "idealised", "", "sic_max"): 3.0}
    found = [
        Measure(task, "", "1", method, feature, metric, value)
        for (task, method, feature, metric), value in (judged | numbers).items()
    ]
    groups = {name: tasks.names(group) for name, group in tasks.GROUPS.items()}
    (row,) = claims.claims_table([claim], found, groups, EVIDENCE).rows
    assert row["holds"] == ("yes" if holds else "no")
    assert bool(row["why_not"]) == (not holds)


def test_no_claim_implies_another():
    """With numbers at random, each claim holds somewhere without the other."""
    rng = np.random.default_rng(3)
    involved = [keys(claim.number) | keys(claim.limit) for claim in CLAIMS]
    every = sorted(set().union(*involved))
    groups = {name: tasks.names(group) for name, group in tasks.GROUPS.items()}
    holds = np.empty((3000, len(CLAIMS)), dtype=bool)
    for row in holds:
        drawn: dict[tuple, float] = {}
        numbers: dict[tuple, float] = {}
        width, alike = rng.choice([0.02, 0.3, 1.5]), rng.random() < 0.5
        for task, method, feature, metric in every:
            # Means over the tasks of a group differ more where the tasks are alike.
            names = [name for name, names in groups.items() if alike and task in names]
            group = names[0] if names else task
            key = (group, method, feature, metric)
            if key not in drawn:
                auc = 0.5 + 0.5 * rng.beta(1, 1 / width)
                drawn[key] = auc if metric == "auc" else np.exp(width * rng.normal())
            numbers[task, method, feature, metric] = drawn[key]
        for place, claim in enumerate(CLAIMS):
            number, limit = claim.number.value(numbers, groups), claim.limit
            if isinstance(limit, Quantity):
                limit = claim.times * limit.value(numbers, groups) + claim.plus
            row[place] = number < limit if claim.relation == "below" else number > limit
    for i, j in permutations(range(len(CLAIMS)), 2):
        if involved[i] & involved[j]:
            assert (holds[:, i] & ~holds[:, j]).any(), (CLAIMS[i].claim, CLAIMS[j].claim)


def test_a_configuration_makes_the_measures_that_the_default_run_lacks():
    config = copy.deepcopy(CONFIG)
    command = "snakemake claims --configfile config/every_claim.yaml"
    update_config(config, yaml.safe_load((ROOT / "config/every_claim.yaml").read_text()))
    check(config, ROOT / "config/schema.yaml")
    jobs = Jobs(config, "out")
    compared = {sample.task for sample in targets.moved(config, ensembles=True)}
    needing = [claim for claim in CLAIMS if claim.needs == command]
    assert len(needing) == 4
    asked = set().union(*(keys(each.number) | keys(each.limit) for each in needing))
    for task, method, _, metric in asked:
        job = jobs.measure(task, 1, tasks.PAPER[task].family.held_out)
        assert method in (*job.methods, *job.alternatives)
        assert metric != "training_spread" or task in compared
        if metric != "training_spread":
            default = Jobs(CONFIG, "out").measure(task, 1, job.split)
            assert method not in (*default.methods, *default.alternatives)
    simple, large, own = (
        jobs.transport("star_to_checkerboard", name, 1).network
        for name in ("simple_network", "large_network", "flows_for_flows")
    )
    assert (simple.layers, simple.blocks, large.layers, large.blocks) == (4, 2, 8, 3)
    assert simple.width == large.width == own.width


def every_measure(value: float) -> list[Measure]:
    """One value for all that a run measures, floors and ceilings included."""
    metrics = {c.key for kind in KINDS.values() if not kind.per_feature for c in kind.columns}
    single = {c.key for kind in KINDS.values() if kind.per_feature for c in kind.columns}
    features = ("m_j1", "delta_m_jj", "tau21_j1", "tau21_j2", "delta_r_jj")
    names = (*PUBLISHED, "baseline", "floor", "ceiling", "reweighting")
    found = [
        Measure("collider", tasks.SEARCH, "1", name, "", metric, value)
        for name in ("reference", IDEALISED, *PUBLISHED)
        for metric in search.METRICS
    ]
    return found + [
        Measure(task, split, "1", name, feature, metric, value)
        for task, _, split in targets.moved(CONFIG)
        for name in names
        for feature in ("", *features * (task == "collider"))
        for metric in (single if feature else metrics)
    ]


def test_every_claim_is_decided_and_every_failure_has_a_cause(tmp_path):
    for value in (1e-9, 0.4, 1e9):
        measures.write(every_measure(value), tmp_path / "all.csv")
        script("make_claims_table").main(
            ["--claims", str(ROOT / "config/claims.yaml"), "--measures", str(tmp_path / "all.csv")]
            + ["--paper", str(ROOT / "config/paper_numbers.yaml")]
            + ["--output", str(tmp_path / "claims.csv")]
        )
        with (tmp_path / "claims.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert {row["holds"] for row in rows} == {"yes", "no", "not tested"}
        for row in rows:
            cause = row["why_not"].partition(":")[0]
            if row["holds"] == "no":
                assert cause in ("data", "budget", "recipe", "paper"), row
            else:
                assert cause == "" or row["holds"] == "not tested"
        untested = [row["claim"] for row in rows if row["holds"] == "not tested"]
        # Of alternatives, every_measure has reweighting, on all tasks.
        further = {"large_network", "simple_network", "movement_penalty_w1"}
        lacking = [claim.claim for claim in CLAIMS if further & set(claim.number.methods)]
        assert untested == lacking and len(lacking) == 3


def test_tables_of_measures_have_a_row_for_each_task_and_method():
    movement = measure_table("movement", MEASURES)
    assert [(row["task"], row["method"]) for row in movement.rows] == [
        ("a", "base transfer"),
        ("b", "base transfer"),
        ("a", "unidirectional"),
        ("b", "unidirectional"),
    ]
    assert movement.rows[1]["distance_mean"] == 3.0 and movement.rows[1]["l1_mean"] is None
    (row,) = measure_table("marginals", MEASURES).rows
    assert (row["feature"], row["ks"]) == ("x1", 0.25)
    assert not measure_table("two_sample", MEASURES).rows
