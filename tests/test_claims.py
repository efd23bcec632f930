"""The tables of measures, and the paper's claims decided by rules."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flowmorph import claims, targets
from flowmorph.claims import Claim, Quantity
from flowmorph.errors import InputError
from flowmorph.measure_tables import KINDS, measure_table
from flowmorph.metrics.measures import Measure

ROOT = Path(__file__).parents[1]
MEASURES = [
    Measure("a", "base_transfer", "", "distance_mean", 1.0),
    Measure("b", "base_transfer", "", "distance_mean", 3.0),
    Measure("a", "unidirectional", "", "distance_mean", 4.0),
    Measure("b", "unidirectional", "", "distance_mean", 6.0),
    Measure("a", "base_transfer", "x1", "ks", 0.25),
]
GROUPS = {"both": ["a", "b"]}
BASE = Quantity("distance_mean", ("base_transfer",), "both")
UNIDIRECTIONAL = Quantity("distance_mean", ("unidirectional",), "both")


def decide(*args, **options) -> dict:
    (row,) = claims.claims_table([Claim("c", "p", *args, **options)], MEASURES, GROUPS).rows
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
    assert decide(BASE, "below", 2.0)["holds"] == decide(BASE, "above", 2.0)["holds"] == "no"


def test_the_cause_is_given_only_where_a_claim_fails():
    assert decide(BASE, "above", 3.0, otherwise="budget")["why_not"] == "budget"
    assert decide(BASE, "below", 3.0, otherwise="budget")["why_not"] == ""


def test_the_rule_says_what_was_compared():
    assert decide(BASE, "below", UNIDIRECTIONAL, times=0.5)["rule"] == (
        "distance_mean (base transfer; both) below 0.5 times the "
        "distance_mean (unidirectional transfer; both)"
    )


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
        ({"typo": 1}, "typo"),
    ],
)
def test_malformed_claims_are_named(tmp_path, change, message):
    entry = {"claim": "c", "place": "p", "relation": "below", "limit": 1}
    entry |= {"number": {"metric": "auc", "methods": ["m"], "tasks": "t"}}
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump([entry, entry | change]))
    with pytest.raises(InputError, match=f"claims.yaml: claim 2: .*{message}"):
        claims.load(path)


def test_every_claim_asks_for_something_that_is_measured():
    known = {c.key for kind in KINDS.values() for c in kind.columns}
    tasks = {"different", "identical", "rotated_different", "rotated_identical", *targets.MOVED}
    loaded = claims.load(ROOT / "config/claims.yaml")
    assert len(loaded) > 20
    for claim in loaded:
        for quantity in (claim.number, claim.limit):
            if isinstance(quantity, Quantity):
                assert quantity.metric in known, claim.claim
                assert quantity.tasks in tasks, claim.claim
                assert set(quantity.methods) <= {*targets.METHODS, "baseline", "ceiling"}, (
                    claim.claim
                )


def test_tables_of_measures_have_a_row_for_each_task_and_method():
    movement = measure_table("movement", MEASURES)
    assert [(row["task"], row["method"]) for row in movement.rows] == [
        ("a", "base transfer"),
        ("b", "base transfer"),
        ("a", "unidirectional transfer"),
        ("b", "unidirectional transfer"),
    ]
    assert movement.rows[1]["distance_mean"] == 3.0 and movement.rows[1]["l1_mean"] is None
    (row,) = measure_table("marginals", MEASURES).rows
    assert (row["feature"], row["ks"]) == ("x1", 0.25)
    assert not measure_table("two_sample", MEASURES).rows
