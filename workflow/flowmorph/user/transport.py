"""A trained transport as its users meet it: tables in, tables out, in their own units."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flowmorph.errors import InputError, RowError
from flowmorph.flows import setup
from flowmorph.flows.flow import Flow
from flowmorph.formats.allowed import Allowed
from flowmorph.plan.objects import MovedObject, check, moved_objects
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.transfer.morph import BaseTransfer, DensityPair, Morph, morph
from flowmorph.user import bundle, dataframes
from flowmorph.user.column_map import UNBALANCED, ColumnMap
from flowmorph.user.elements import Elements, located
from flowmorph.user.placed import DENSITIES

if TYPE_CHECKING:
    from flowmorph.user.report import Report


@dataclass(frozen=True, repr=False, kw_only=True)
class Transport(ColumnMap):
    """A map f from reference to target with its densities, preprocessing and column names.

    Attributes:
        method: name of the method, one of the paper's five.
        regions: keys ``column``, ``train``, ``apply`` and ``closure``: where the transport was
            trained, and where the workflow applies it.
        note: all of this but the flows, and what made them, as its file has it.
        file: the file that it was read from; None where there is none any more.
    """

    method: str
    regions: dict
    note: Mapping = field(default_factory=dict)
    file: Path | None = None

    def __repr__(self) -> str:
        given = f", given {', '.join(self.conditions)}" if self.conditions else ""
        return f"<Transport of {', '.join(self.features)}{given}, by {self.method}>"

    @property
    def made(self) -> tuple[dict[str, dict], ...]:
        """What made the flows of each training, by role, in the order of ``morphs``."""
        return bundle.made(self.note)

    @property
    def columns(self) -> list[str]:
        """Names of features, conditions, and the columns of events, regions and weights."""
        region = [self.regions["column"]] if self.regions["column"] else []
        return list(dict.fromkeys([*self.features, *self.others, *region, *self.weighed]))

    def move(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        objects: Mapping[str, Mapping[str, str]] | None = None,
        variation: int = 0,
        seed: int = 0,
    ) -> Any:
        """Move every row of a table: f(x | c), in the table's units.

        ``table`` has the features and conditions as columns, and may have others: a pandas
        DataFrame, a pyarrow table, an awkward array of records, a structured numpy array, or a dict
        of arrays; the result is of the same kind, with all columns. A plain numpy array (N, K)
        needs the names of its K columns. Where features are lists, of equal lengths in a row, their
        elements are moved and come back as lists; conditions may have one number a row all the
        same. ``rename`` has the table's columns by the transport's, where they differ, and
        ``objects`` those of several objects of a row, each by its name, which are all moved.
        ``variation`` is the number of one of the transport's ``variations``, 0 for the nominal one.
        ``seed`` is that of the noise of +- 1/2 on whole numbers, and of the places of spikes in
        their intervals, which is another for each object; moved whole numbers are clipped to the
        limits of their column's type. Raises `InputError`, naming column and row, for a column that
        is missing, a value that is missing, not finite or too far from the training's, and one that
        does not fit its column after it was moved. No region is applied.
        """
        chosen = moved_objects(rename, objects)
        check(chosen, self.features, self.others, self.columns)
        if not isinstance(variation, Integral) or not 0 <= variation <= self.variations:
            raise InputError(
                f"no variation {variation!r}: the transport has {self.variations} (0 is the "
                "nominal map)"
            )
        moved: dict[str, np.ndarray] = {}
        allowed: dict[str, Allowed] = {}
        for each in chosen:
            read = self._read(table, each, columns)
            noise = self.dequantization(seed, each.name)
            try:
                new = self.move_placed(self.place(read, noise), variation)
            except RowError as error:
                raise _named(error, each, read) from error
            moved |= {each.column(name): values for name, values in new.items()}
            allowed |= {each.column(name): self.preprocessing.allowed(name) for name in new}
        return dataframes.replace(table, moved, columns, allowed)

    def log_prob(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        of: str = "moved",
        seed: int = 0,
    ) -> np.ndarray | ak.Array:
        """Logarithm of a density (N,) at the rows of a table, per unit of its features.

        ``of`` is ``moved``, the density of the reference after moving, which should be that of the
        target: p_R(f^-1(y)) times the Jacobian of f^-1; ``reference`` or ``target``, the densities
        that were learnt. All are conditional densities where there are conditions. Whole
        numbers get noise of +- 1/2; the probability of one is the density's mean over this range.
        At a spike it is, at one place of the interval, the logarithm of density times width: the
        probability of the spike is the mean of its exponential over places, and so over seeds.
        Where features are lists the result is an awkward array of lists. ``rename`` is that of
        `move`, and `InputError` is raised as there.
        """
        if of not in DENSITIES:
            raise InputError(f"no density {of!r}: choose one of {', '.join(DENSITIES)}")
        (each,) = moved_objects(rename)
        check([each], self.features, self.others, self.columns)
        read = self._read(table, each, columns)
        log_p = np.empty(0)
        if len(read[self.features[0]]):
            try:
                log_p = self.log_densities(read, of, seed)
            except RowError as error:
                raise _named(error, each, read) from error
        return log_p if read.counts is None else ak.unflatten(log_p, read.counts)

    def export(self, path: str | Path, **options: Any) -> Any:
        """Write the map as an ONNX model; see `flowmorph.user.export.export`."""
        from flowmorph.user.export import export

        return export(self, path, **options)

    def usable(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
    ) -> np.ndarray | ak.Array:
        """Say of each row of a table, (N,), bool, whether it can be moved.

        The others have a value that is missing, infinite, outside of declared bounds, or so far
        from the training's that the flows' arithmetic would leave float32, or a category that is
        not known. Arguments and lists as in `log_prob`; raises `InputError` for a column that is
        missing or has no numbers.
        """
        read = self._partial(table, columns, rename, self.others)
        found = self.usable_columns(read)
        return found if read.counts is None else ak.unflatten(found, read.counts)

    def beyond(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
    ) -> dict[str, np.ndarray | ak.Array]:
        """Rows of a table beyond the range of the training, (N,), bool, by feature and condition.

        The names are the transport's; categories have no range. Beyond its range a feature is
        hardly moved; a condition there moves features in a way that nothing was trained for. A
        missing value is not beyond. Arguments, lists and errors as in `usable`.
        """
        read = self._partial(table, columns, rename, self.conditions)
        return {
            name: rows if read.counts is None else ak.unflatten(rows, read.counts)
            for name, rows in self.beyond_columns(read).items()
        }

    def support(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> np.ndarray | ak.Array:
        """Say of each row of a table, (N,), int8, whether the map is to be trusted there.

        0 where it is, 1 beyond the range of the training in a feature or condition, 2 where the
        target has almost no events beside the reference, 3 where the reference has almost none
        beside the target, by the learned densities (`flowmorph.metrics.support`). Arguments, lists
        and errors as in `log_prob`.
        """
        (each,) = moved_objects(rename)
        check([each], self.features, self.others, self.columns)
        read = self._read(table, each, columns)
        try:
            found = self.supported(read, self.place(read, self.dequantization(seed)))
        except RowError as error:
            raise _named(error, each, read) from error
        return found if read.counts is None else ak.unflatten(found, read.counts)

    def weights(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
    ) -> np.ndarray | ak.Array:
        """Weight of each row of a table, (N,), which gives it the target's spectrum of conditions.

        It is the weight that the table has, with its sign, times the factor of `balance`: 0 where
        the target never has such a condition. Where the training had no column of weights, but none
        or an array, it is this factor alone. Arguments, lists and errors as in `log_prob`;
        `InputError` too for a transport that was trained without ``balance``.
        """
        if self.balance is None:
            raise InputError(UNBALANCED)
        (each,) = moved_objects(rename)
        check([each], self.features, [*self.others, *self.weighed], self.columns)
        read = self._read(table, each, columns, self.weighed)
        try:
            found = self.balanced(read, self.place(read, self.dequantization(0)))
        except RowError as error:
            raise _named(error, each, read) from error
        return found if read.counts is None else ak.unflatten(found, read.counts)

    def fold(
        self,
        table: Any,
        columns: Sequence[str] | None = None,
        *,
        rename: Mapping[str, str] | None = None,
    ) -> np.ndarray | ak.Array:
        """Fold of each row of a table, (N,), int64: which training, or classifier, has not seen it.

        It is one of the transport's ``folds``; where there is one training only, one of those of
        the classifiers of ``balance``. All 0 where neither has folds. Programs that use exported
        models choose by it (`flowmorph.user.export`). Arguments, lists and errors as in `log_prob`.
        """
        (each,) = moved_objects(rename)
        check([each], self.features, self.others, self.columns)
        read = self._read(table, each, columns)
        found = self.dealt(read)
        return found if read.counts is None else ak.unflatten(found, read.counts)

    def save(self, path: str | Path) -> None:
        """Write a file that `flowmorph.load` reads, or one in a folder that exists.

        The file needs nothing else, and has the bytes of the one that the transport was read from,
        or that the workflow makes of the same data, settings and seed.
        """
        bundle.save(self.note, [_roles(one) for one in self.morphs], path, self.balance)

    def report(self, reference: Any, target: Any, **options: Any) -> Report:
        """Compare the reference, before and after moving, with the target: `flowmorph.report`."""
        # By the package's own door, which jobs that only move files do not depend on: they need not
        # run again where a figure changes.
        import flowmorph

        return flowmorph.report(self, reference, target, **options)

    def _read(
        self,
        table: Any,
        each: MovedObject,
        columns: Sequence[str] | None,
        more: Sequence[str] = (),
    ) -> Elements:
        others = [*self.others, *more]
        names = {name: each.column(name) for name in (*self.features, *others)}
        return dataframes.read(table, names, columns, others, self.preprocessing.categories)

    def _partial(
        self,
        table: Any,
        columns: Sequence[str] | None,
        rename: Mapping[str, str] | None,
        others: Sequence[str],
    ) -> Elements:
        """Features and other columns of a table, whatever their values are."""
        (each,) = moved_objects(rename)
        check([each], self.features, self.others, self.columns)
        names = {name: each.column(name) for name in (*self.features, *others)}
        known = self.preprocessing.categories
        return dataframes.read(table, names, columns, others, known, partial=True)


def _roles(one: Morph) -> dict[str, Flow]:
    """The flows of a method, by their roles in a transport's file."""
    found = {"reference": one.pair.reference, "target": one.pair.target}
    return found if isinstance(one, BaseTransfer) else found | {"transport": one.flows[0]}


def _named(error: RowError, each: MovedObject, read: Elements) -> RowError:
    """An error about a transport's column as one about the table's."""
    return located(RowError(error.row, each.column(error.column), error.text), read.counts)


def load(path: str | Path, device: str = "auto", threads: int = 1) -> Transport:
    """Read a transport from its file or the folder that holds it; see `flowmorph.load`."""
    threads = setup.checked(threads)
    used = setup.choose(device)
    note, trainings, balance = bundle.read(path)
    mode, morphs = "shared" if note["condition"] else None, []
    for flows in trainings:
        flows = {role: flow.to(used) for role, flow in flows.items()}
        # Where there is no compiler, plain operations do the same in four times the time.
        with contextlib.suppress(InputError):
            for flow in flows.values():
                flow.compile()
        pair = DensityPair(flows["reference"], flows["target"], mode)
        morphs.append(morph(pair, flows.get("transport")))
    return Transport(
        morphs=tuple(morphs),
        preprocessing=Preprocessor.from_json(note["preprocessing"], str(path)),
        features=tuple(note["features"]),
        conditions=tuple(note["condition"]),
        method=note["method"],
        regions=note["regions"],
        device=used,
        event=tuple(note["event"]),
        folds=note["folds"],
        note=note,
        file=bundle.file_of(path).resolve(),
        balance=balance,
        weighed=(note["weights"],) if note["weights"] else (),
        threads=threads,
    )
