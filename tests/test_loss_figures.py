"""Figures of losses."""

from __future__ import annotations

import numpy as np
import pytest
from figure_samples import (
    LOSS_CSV,
    texts,
)

from flowmorph.errors import InputError
from flowmorph.figures import (
    losses,
)


def test_loss_curve_shows_the_table(tmp_path):
    (tmp_path / "loss.csv").write_text(LOSS_CSV)
    fig = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv"), title="density of star")
    training, validation, kept = fig.axes[0].lines
    np.testing.assert_array_equal(training.get_ydata(), [3.5, 2.5, 2.25])
    np.testing.assert_array_equal(validation.get_xdata(), [50, 100])
    lowest = validation.get_ydata().min()
    assert kept.get_ydata() == [lowest] and kept.get_label() == f"kept, {lowest:.4f}"
    assert fig.axes[0].get_ylabel() == "loss [nats]" and "density of star" in texts(fig)


def test_a_long_title_of_a_loss_curve_stays_within_the_picture(history):
    title = "rotated checkerboard → checkerboard, identity initialization, training 2"
    fig = losses.loss_curve(history, title=title)
    fig.canvas.draw()
    box = fig.axes[0].title.get_window_extent()
    assert box.x0 > 0 and box.x1 < fig.bbox.x1 and box.y1 <= fig.bbox.y1
    assert fig.axes[0].get_title().replace("\n", " ") == title


def test_loss_curve_shows_where_a_training_went_back(tmp_path):
    (tmp_path / "loss.csv").write_text(LOSS_CSV + "100,1,2,0,2.2,2.3,0,1\n")
    lines = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0].lines
    back = lines[3]
    assert back.get_label() == "went back"
    assert (*back.get_xdata(), *back.get_ydata()) == (100, 2.375)


def test_loss_curve_shows_where_a_phase_ends(tmp_path):
    (tmp_path / "loss.csv").write_text(LOSS_CSV + "150,1.5,2,1,2.9,2.3,0,0\n")
    lines = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0].lines
    (end,) = [line for line in lines if line.get_linestyle() == ":"]
    assert list(end.get_xdata()) == [100, 100]


def test_loss_curve_shows_the_other_starts_in_grey(tmp_path):
    head, *rows = LOSS_CSV.splitlines(keepends=True)
    others = "30,0.3,1,0,3.1,3,0.001,0\n50,0.5,1,0,2.9,2.8,0.001,0\n10,0.1,3,0,4,4,0.001,0\n"
    (tmp_path / "loss.csv").write_text(head + others + "".join(rows))
    lines = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0].lines
    grey = [list(line.get_ydata()) for line in lines if line.get_color() == "0.7"]
    assert grey == [[3.1, 2.9], [4.0]]
    assert [line.get_label() for line in lines][-1] == "kept, 2.3750"


def test_loss_curve_shows_the_lowest_possible_loss(tmp_path):
    head, *rows = LOSS_CSV.splitlines()
    above = [f"{float(row.split(',')[5]) - 1.25}" if row.split(",")[5] else "" for row in rows]
    table = [f"{head},above_lowest", *map(",".join, zip(rows, above, strict=True))]
    (tmp_path / "loss.csv").write_text("\n".join(table) + "\n")
    axis = losses.loss_curve(losses.read_losses(tmp_path / "loss.csv")).axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "lowest possible"]
    assert line.get_ydata() == pytest.approx([1.25, 1.25]) and axis.get_ylim()[0] < 1.25


def test_loss_curve_without_validation(history):
    history["validation_loss"][:] = np.nan
    assert len(losses.loss_curve(history).axes[0].lines) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("step,epoch\n1,2\n", "no column 'start'"),
        (LOSS_CSV.splitlines()[0] + "\n", "no rows"),
        (LOSS_CSV.replace("2.5,", "x,"), "not a number"),
    ],
)
def test_bad_loss_tables_are_named(tmp_path, content, message):
    (tmp_path / "loss.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        losses.read_losses(tmp_path / "loss.csv")
