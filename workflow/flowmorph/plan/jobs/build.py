"""The jobs of a run, from its configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from flowmorph.plan import own_config, own_members, paths, regions, targets, tasks
from flowmorph.plan.jobs.data import Data, FileData
from flowmorph.plan.jobs.events import (
    Closure,
    GenerateJob,
    OwnClosureJob,
    OwnFiles,
    OwnJob,
    PrepareJob,
)
from flowmorph.plan.jobs.measuring import (
    ClosureJob,
    CostsJob,
    CountedTraining,
    DensitiesJob,
    MeasureJob,
    TrainedDensities,
)
from flowmorph.plan.jobs.moving import BundleJob, MoveJob
from flowmorph.plan.jobs.searching import SearchClassifier, SearchJob
from flowmorph.plan.jobs.sources import Sources
from flowmorph.plan.jobs.training import (
    NETWORK,
    RECIPE,
    AlternativeJob,
    DensityJob,
    Network,
    Recipe,
    TransportJob,
)
from flowmorph.plan.methods import FURTHER, POINTWISE, SCANNED, UNTRAINED, find, variant
from flowmorph.plan.seeds import key
from flowmorph.plan.tasks import COLLIDER, DATASETS, TASKS, Dataset, Task


class Jobs(Sources):
    """The jobs of a run whose configuration is ``config`` and whose folder is ``out``."""

    def __init__(self, config: dict, out: str) -> None:
        super().__init__(config, out)
        self.where = {"device": config["device"], "engine": config["engine"]}

    def density(self, dataset: str, training: int) -> DensityJob:
        """Train a data set's density."""
        row = DATASETS[dataset]
        recipe = self._density_recipe(row, self.config["training"][row.family.name]["density"])
        partner = tasks.partner(row) if recipe.both_share else None
        return DensityJob(
            self.data(row, training),
            Network(**self.config["flows"]["density"]),
            recipe,
            self.seed("density", key(dataset, training)),
            **self.where,
            other=self.data(partner, training) if partner else None,
        )

    def smoothed(self, dataset: str, training: int, width: str) -> DensityJob:
        """Train the density of a data set's points with Gaussian noise of a width."""
        row = DATASETS[dataset]
        recipe = self.config["training"][row.family.name]["smoothing"]["density"]
        return replace(
            self.density(dataset, training),
            recipe=self._density_recipe(row, recipe),
            seed=self.seed("density", key(dataset, training), width),
            noise=float(width),
            other=None,
        )

    def _density_recipe(self, dataset: Dataset, settings: dict) -> Recipe:
        """Settings of a density's training that do something in it."""
        gap = regions.has_gap(dataset, self.config)
        return Recipe(**settings).in_use(goal=bool(dataset.toy), noise=gap, decay=gap)

    def transport(
        self, task: str, method: str, training: int, strength: float | None = None
    ) -> TransportJob:
        """Train a task's transport, by the family's penalty or one of another ``strength``."""
        row, family = TASKS[task], TASKS[task].family.name
        reference, target = self._transported(row, training)
        penalty = self.config["penalty"][family] if strength is None else strength
        penalty = float(penalty) if find(method).penalised else 0.0
        mode = targets.mode(row, self.config)
        gaps = [regions.has_gap(dataset, self.config) for dataset in row.datasets]
        recipe = Recipe(**self._transport_recipe(row, method)).in_use(
            goal=not penalty,
            noise=any(gaps),
            decay=gaps[0],
            shared=mode == "shared",
            unequal=not row.reference.toy,
        )
        name = method if strength is None else variant(strength)
        return TransportJob(
            task,
            method,
            mode,
            penalty,
            reference,
            target,
            Network(**self.config["flows"]["transport"] | self._further(method, NETWORK)),
            recipe,
            self.seed("transport", key(task, training), name),
            **self.where,
            smoothing=targets.smoothing(row.family, self.config),
        )

    def _transported(self, task: Task, training: int) -> list[Data]:
        """Points of reference and target that a task's transports are trained on."""
        found = [self.data(dataset, training) for dataset in task.datasets]
        section = {"toy": "toys", "rotated": "rotated"}.get(task.family.name)
        if section and self.config[section]["fresh_points"]:
            seed = self.seed("fresh_points", key(task.name))
            found = [replace(data, seed=seed) for data in found]
        return found

    def scan_transport(self, strength: str) -> TransportJob:
        """Train the collider task's transport with a penalty of another strength."""
        return self.transport(COLLIDER.name, SCANNED, 1, float(strength))

    def _transport_recipe(self, task: Task, method: str) -> dict:
        """The family's settings, then the method's own."""
        settings = self.config["training"][task.family.name]["transport"]
        return settings | (
            self._further(method, RECIPE)
            if method in FURTHER
            else self.config["training"]["methods"].get(method, {})
        )

    def _further(self, method: str, known: Collection[str]) -> dict:
        """Settings of a further flow method that have one of the ``known`` names."""
        given = self.config["alternatives"]["methods"].get(method) if method in FURTHER else None
        return {name: value for name, value in (given or {}).items() if name in known}

    def alternative(self, task: str, training: int, method: str) -> AlternativeJob:
        """Morph a task's points by a method that is no flow."""
        row = TASKS[task]
        splits = targets.splits(row, self.config)
        return AlternativeJob(
            method,
            self.config["alternatives"]["methods"][method],
            *(self.data(dataset, splits=splits) for dataset in row.datasets),
            tuple(splits),
            self.seed("alternative", key(task, training), method),
        )

    def move(self, task: str, training: int | str, split: str) -> MoveJob:
        """Move a task's points by every method."""
        methods = targets.transports(task, self.config)
        return self._move(task, training, split, methods, key(task, int(training), split))

    def move_pointwise(self, task: str, split: str) -> MoveJob:
        """Move a task's points, as :meth:`move` does, by the methods whose points are shown."""
        methods = [method for method in POINTWISE if find(method).trained]
        return self._move(task, 1, split, methods, key(task, 1, split))

    def scan_move(self) -> MoveJob:
        """Move the collider task's points by the transports of the penalty scan."""
        methods = [variant(strength) for strength in targets.scanned(self.config)]
        seed = f"{key(COLLIDER.name)}_penalty_scan"
        return self._move(COLLIDER.name, 1, COLLIDER.family.held_out, methods, seed)

    def _move(
        self, task: str, training: int | str, split: str, methods: Sequence[str], seed: str
    ) -> MoveJob:
        row = TASKS[task]
        return MoveJob(
            task,
            split,
            str(training),
            targets.mode(row, self.config),
            *(self.data(dataset, splits=[split]) for dataset in row.datasets),
            tuple(methods),
            self.seed("moved", seed),
            **self.where,
        )

    def searched(self, dataset: Dataset) -> FileData:
        """Where a collider sample's events for the search are."""
        return replace(self.data(dataset), path=paths.searched(self.out, dataset.name))

    def search_move(self, training: str) -> MoveJob:
        """Move the reference's events for the search by the paper's methods."""
        methods = targets.trained_methods(self.config)
        seed = key(COLLIDER.name, int(training), tasks.SEARCH)
        job = self._move(COLLIDER.name, training, tasks.SEARCH, methods, seed)
        samples = map(self.searched, COLLIDER.datasets)
        return replace(job, **dict(zip(tasks.SAMPLES, samples, strict=True)))

    def search_alternative(self, method: str) -> AlternativeJob:
        """Morph the reference's events for the search by a method that is no flow."""
        job = self.alternative(COLLIDER.name, 1, method)
        samples = map(self.searched, COLLIDER.datasets)
        return replace(
            job, splits=(tasks.SEARCH,), **dict(zip(tasks.SAMPLES, samples, strict=True))
        )

    def search(self, fraction: str, draw: int) -> SearchJob:
        """Look for a signal in one draw of data."""
        section = self.config["search"]
        signal = FileData(
            tasks.SIGNAL, paths.searched(self.out, tasks.SIGNAL), tasks.COLLIDER_FEATURES, ()
        )
        return SearchJob(
            COLLIDER.name,
            tasks.SEARCH,
            COLLIDER.family.held_out,
            draw,
            float(fraction),
            section["background_events"],
            tuple(targets.methods(self.config)),
            tuple(targets.search_alternatives(self.config)),
            signal,
            SearchClassifier(**section["classifier"]),
            self.seed("search", draw),
        )

    def mixing_seed(self, task: str, split: str) -> int:
        """Seed of the choice of one training for each point."""
        return self.seed("ensemble", key(task, 1, split))

    def measure(self, task: str, training: int | str, split: str) -> MeasureJob:
        """Measure a moved sample, by every method that the run compares."""
        # An ensemble mixes trainings of flows only: it has no alternatives.
        further = targets.alternatives(task, self.config) if training != tasks.ENSEMBLE else []
        return self._measure(task, training, split, self._shown(task), further)

    def _shown(self, task: str) -> list[str]:
        """Methods whose points a task's moved samples have and the run compares."""
        untrained = [name for name in targets.methods(self.config) if name in UNTRAINED]
        return untrained + targets.transports(task, self.config)

    def scan_measure(self) -> MeasureJob:
        """Measure the collider task's points after the transports of the penalty scan."""
        shown = [variant(strength) for strength in targets.scanned(self.config)]
        return self._measure(COLLIDER.name, 1, COLLIDER.family.held_out, [*UNTRAINED, *shown], [])

    def _measure(
        self,
        task: str,
        training: int | str,
        split: str,
        methods: Sequence[str],
        alternatives: Sequence[str],
    ) -> MeasureJob:
        row, points = TASKS[task], self.config["measures"]
        return MeasureJob(
            task,
            split,
            str(training),
            tuple(methods),
            tuple(alternatives),
            self.features(row),
            targets.mode(row, self.config),
            row.family.discrete,
            (row.reference.toy, row.target.toy) if row.reference.toy else None,
            self.config["flows"]["transport"]["tail_bound"],
            points["two_sample_points"],
            points["assignment_points"],
            # Repeated trainings are compared on the same points, by the same classifier.
            self.seed("measure_task", key(task, 1, split)),
        )

    def densities(self) -> DensitiesJob:
        """Measure every density of the run."""
        return DensitiesJob(
            tuple(
                TrainedDensities(
                    self.data(each),
                    each.family.held_out,
                    tuple(targets.trainings(each.family, self.config)),
                )
                for each in targets.run_datasets(self.config)
            ),
            self.seed("evaluate_densities"),
            **self.where,
        )

    def costs(self, family: str) -> CostsJob:
        """Count steps and points of a family's trainings."""
        every = targets.trained(family, self.config, self.out)
        return CostsJob(tuple(CountedTraining(t.name, t.method, t.training) for t in every))

    def generate(self, sample: str, chunk: str) -> GenerateJob:
        """Generate a chunk of collider events, of a sample or of those for the search."""
        settings, search = self.config["collider"]["pythia"], self.config["search"]["pythia"]
        seed = self.seed("events", sample, chunk)
        if sample == tasks.SIGNAL:
            return GenerateJob(
                shower=settings["shower"]["target"],
                settings=[*settings["settings"]["target"], *search["signal_settings"]],
                events=settings["chunk_events"],
                seed=seed,
                # A resonance has a mass of its own, and decays after the early look.
                pthat_min_gev=0.0,
                mhat_min_gev=settings["mhat_min_gev"],
            )
        cuts = ("pthat_min_gev", "mhat_min_gev", "mhat_max_gev", "early_jet_pt_gev")
        further = sample in tasks.FURTHER_EVENTS
        process = tasks.FURTHER_EVENTS.get(sample, sample)
        return GenerateJob(
            shower=settings["shower"][process],
            settings=settings["settings"][process],
            events=settings["chunk_events"],
            seed=seed,
            early_mass_gev=(search if further else settings)["early_mass_gev"],
            **{name: settings[name] for name in cuts},
        )

    def prepare(self) -> PrepareJob:
        """Cut, split and scale the collider samples."""
        settings = self.config["collider"]
        return PrepareJob(
            settings["regions_tev"]["sidebands"],
            settings["regions_tev"]["signal"],
            settings["validation_fraction"],
            settings["scaling"]["low"],
            settings["scaling"]["high"],
            self.seed("prepare_samples"),
            self.config["search"]["leak"] if targets.searches(self.config) else 0.0,
            settings["regions_tev"]["reference_in_signal"],
            settings["scaling"]["fit"],
            {name: ends for name, ends in settings["scaling"]["ranges"].items() if ends},
        )

    def prepare_own(self) -> OwnJob:
        """Cut, split and scale the user's samples."""
        own = self.config["own"]
        return OwnJob(
            *(OwnFiles(**own[sample]) for sample in tasks.SAMPLES),
            *(list(own_config.choices(own[kind]).items()) for kind in ("features", "condition")),
            regions={key: own["regions"][key] for key in ("column", "train")},
            missing=own["missing"],
            rows=(own["rows"]["train"], own["rows"]["validation"]),
            scaling=(own["scaling"]["low"], own["scaling"]["high"]),
            validation_fraction=own["validation_fraction"],
            seed=self.seed("prepare_own_samples"),
            negative=own["negative"],
            event=tuple(own["event"]),
            balance=own["balance"],
            folds=own["folds"],
        )

    def prepare_closure(self) -> OwnClosureJob:
        """Give the rows and columns of the user's samples in which transports are tested only."""
        return OwnClosureJob(
            self.prepare_own(),
            Closure(
                own_config.applied_elsewhere(self.config),
                tuple(map(tuple, self.config["own"]["regions"]["apply"])),
                tuple(own_config.closure_columns(self.config)),
            ),
        )

    def closure(self) -> ClosureJob:
        """Compare the user's moved samples with the target in bins of columns."""
        own = self.config["own"]
        return ClosureJob(
            tasks.OWN.name,
            tuple(targets.splits(tasks.OWN, self.config)),
            tuple(self._shown(tasks.OWN.name)),
            *(tuple(own_config.columns(own[kind])) for kind in ("features", "condition")),
            tuple(own_config.closure_bins(self.config)),
            tuple(own_config.closure_columns(self.config)),
            targets.mode(tasks.OWN, self.config),
            self.config["measures"]["two_sample_points"],
            self.seed("closure_bins"),
        )

    def bundle(self, method: str) -> BundleJob:
        """Put one transport of the user's samples in one file."""
        own = self.config["own"]
        columns = (tuple(own_config.columns(own[kind])) for kind in ("features", "condition"))
        return BundleJob(
            method,
            *columns,
            own["regions"],
            tuple(own["event"]),
            own["folds"] or 1,
            own_members.moving(self.config)[-1].variation,
            own["reference"]["weights"] if own_config.weighs(self.config) else None,
        )
