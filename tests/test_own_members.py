"""Which trainings the user's flows have, and which move files."""

import pytest
import yaml
from test_config import SCHEMA, read

from flowmorph.errors import InputError
from flowmorph.plan import own_members, tasks
from flowmorph.plan.config import check
from flowmorph.plan.jobs.build import Jobs
from flowmorph.plan.jobs.data import Part
from flowmorph.plan.jobs.form import as_dict
from flowmorph.plan.targets import trainings


@pytest.fixture
def config() -> dict:
    config = read("config")
    for sample in tasks.SAMPLES:
        config["own"][sample]["files"] = f"{sample}.csv"
    config["own"]["features"] = ["pt"]
    return config


def test_one_training_sees_every_row(config):
    assert own_members.members(config) == [own_members.Member(1, 0, Part())]
    # Its job is what it is without the choice.
    assert "part" not in as_dict(Jobs(config, "out").density("own_reference", 1).data)


def test_repeated_trainings_move_no_file(config):
    config["seeds"]["own"] = 3
    assert trainings(tasks.OWN.family, config) == [1, 2, 3]
    assert [each.number for each in own_members.moving(config)] == [1]


def test_variations_have_each_fold(config):
    config["own"] |= {"folds": 2, "variations": {"seeds": 1, "bootstrap": 2}}
    check(config, SCHEMA)
    found = own_members.members(config)
    assert own_members.moving(config) == found
    # Bootstraps are numbered behind all seeds that there may be.
    assert [each.number for each in found] == [1, 2, 3, 4, 201, 202, 203, 204]
    assert [each.variation for each in found] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [each.part.fold for each in found] == [0, 1] * 4
    assert [each.part.bootstrap for each in found] == [0, 0, 0, 0, 1, 1, 2, 2]
    jobs = Jobs(config, "out")
    for job in (jobs.density("own_target", 204), jobs.density("own_target", 203)):
        assert job.data.part.bootstrap == 2
        # What a training leaves out of one sample it leaves out of the other one, too.
        assert job.other.part == job.data.part
    reference = jobs.transport("own", "flows_for_flows", 2).reference
    assert reference.part == Part(folds=2, fold=1)
    assert jobs.move("own", 2, "validation").reference.part == Part()
    bundle = jobs.bundle("flows_for_flows")
    assert (bundle.folds, bundle.variations) == (2, 3)


@pytest.mark.parametrize("folds", [None, 3])
def test_more_variations_of_a_kind_leave_the_other_trainings_as_they_are(config, folds):
    def trained(seeds: int, bootstrap: int) -> dict[int, tuple]:
        config["own"] |= {"folds": folds, "variations": {"seeds": seeds, "bootstrap": bootstrap}}
        check(config, SCHEMA)
        jobs = Jobs(config, "out")
        numbers = [member.number for member in own_members.moving(config)]
        return {
            number: (
                jobs.density("own_reference", number),
                jobs.transport("own", "flows_for_flows", number),
            )
            for number in numbers
        }

    for few, many in (((0, 2), (1, 2)), ((2, 1), (2, 3)), ((0, 0), (1, 1)), ((3, 2), (5, 99))):
        before, after = trained(*few), trained(*many)
        assert before.items() <= after.items()
        added = sum(many) - sum(few)
        assert len(after) == len(before) + added * (folds or 1)
        seeds = [job.seed for jobs in after.values() for job in jobs]
        assert len(set(seeds)) == len(seeds)


def test_in_files_variations_are_counted_through_with_seeds_first(config):
    config["own"]["variations"] = {"seeds": 2, "bootstrap": 2}
    found = own_members.moving(config)
    assert [each.variation for each in found] == [0, 1, 2, 3, 4]
    assert [each.number for each in found] == [1, 2, 3, 101, 102]
    assert [each.part.bootstrap for each in found] == [0, 0, 0, 1, 2]


def test_kinds_of_variations_have_room_for_as_many_as_the_schema_allows():
    variations = yaml.safe_load(SCHEMA.read_text())["properties"]["own"]["properties"]["variations"]
    for kind in variations["properties"].values():
        assert kind["maximum"] == own_members.MOST


@pytest.mark.parametrize(
    "settings, key",
    [
        ({"folds": 100_000}, "own.folds"),
        ({"variations": {"seeds": 0, "bootstrap": 500}}, "own.variations.bootstrap"),
        ({"variations": {"seeds": 500, "bootstrap": 0}}, "own.variations.seeds"),
    ],
)
def test_more_trainings_than_anyone_waits_for_are_refused(config, settings, key):
    # Snakemake would look for hours at a graph of so many jobs.
    config["own"] |= settings
    with pytest.raises(InputError, match=f"{key}: .*greater than the maximum"):
        check(config, SCHEMA)


def test_settings_that_do_not_go_together(config):
    config["seeds"]["own"] = 2
    config["own"]["folds"] = 2
    with pytest.raises(InputError, match="seeds.own: .* set seeds.own to 1"):
        check(config, SCHEMA)
    config["seeds"]["own"] = 1
    config["own"]["event"] = ["pt"]
    with pytest.raises(InputError, match="own.event: 'pt' is a feature"):
        check(config, SCHEMA)
    config["own"] |= {"event": [], "folds": 1}
    with pytest.raises(InputError, match="own.folds"):
        check(config, SCHEMA)
