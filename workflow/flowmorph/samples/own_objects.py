"""The objects of the reference that are moved, and of which no training reads the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowmorph.errors import InputError, RowError
from flowmorph.preprocess.preprocessor import Preprocessor
from flowmorph.samples.own_rows import Settings, opened
from flowmorph.samples.reading import CHUNK_ROWS
from flowmorph.user.elements import of_chunk
from flowmorph.user.output import Output
from flowmorph.user.status import MOVED, status_of


def check_categories(
    reference: Mapping,
    settings: Settings,
    output: Output,
    known: Preprocessor,
    apply: Sequence = (),
) -> None:
    """Raise `InputError`, naming file, column and row, for a category that no row trained on has.

    Of rows of an object that would be moved: known before any training.

    Args:
        reference: keys ``files``, ``tree`` and ``format``.
        settings: of both samples.
        output: what the moved reference is like.
        known: what `own_samples.prepare` gave.
        apply: intervals of the region's column in which rows are moved; none for all rows.
    """
    # Those of the training's own columns are held to the categories where they are read.
    objects = [each for each in output.objects if each.columns]
    if not objects or not known.categories:
        return
    files, features = opened(reference), list(settings.features)
    region = settings.regions["column"] if apply else None
    others = [*settings.condition, *settings.event, *([region] if region else [])]
    names = [each.column(name) for each in objects for name in (*features, *others)]
    for path, first, chunk in files.located(list(dict.fromkeys(names)), CHUNK_ROWS):
        for each in objects:
            try:
                read = of_chunk(files, chunk, each, features, others, known.categories)
                keep = output.outside == "keep"
                status = status_of(read, known, settings.event, region, apply, keep)
                read.check_known(known.categories, status == MOVED)
            except RowError as error:
                raise InputError(f"{path}: {error.at(first + error.row)}") from error
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
