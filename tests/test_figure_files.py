"""The figures as files: one style, the same bytes every time, and the scripts that draw them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from figure_samples import (
    LOSS_CSV,
    ROTATED_SEED,
    TOY_SEED,
    events,
    regions,
)
from matplotlib.colors import to_rgb
from scripts_by_name import path_of, script

from flowmorph.errors import InputError
from flowmorph.figures import (
    closure,
    distances,
    features,
    grids,
    looks,
    losses,
    scatter,
    schematics,
    style,
)
from flowmorph.formats import flat_root
from flowmorph.plan.methods import PUBLISHED
from flowmorph.samples import moved, toy_parts

ROOT = Path(__file__).parent.parent


# --- style


def test_methods_differ_in_colour_line_and_lightness():
    drawn = [looks.LOOKS[method] for method in PUBLISHED]
    assert len({look.colour for look in drawn}) == len({str(look.line) for look in drawn}) == 5
    luminance = []
    for look in drawn:
        rgb = np.array(to_rgb(look.colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        luminance.append(116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16)
    assert np.diff(sorted(luminance)).min() > 9  # told apart in grey


def test_unknown_sample_is_named():
    with pytest.raises(InputError, match="no style for sample 'teleport'"):
        looks.look("teleport")


def test_other_formats_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="fig.svg"):
        style.save(style.figure(1, 1), [tmp_path / "fig.png", tmp_path / "fig.svg"])
    assert not list(tmp_path.iterdir())


def test_drawing_ignores_and_keeps_the_callers_settings(tmp_path, science):
    style.save(distances.distance_figure([science]), [tmp_path / "plain.png"])
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True}):
        style.save(distances.distance_figure([science]), [tmp_path / "altered.png"])
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "altered.png").read_bytes()


def circles(sample: moved.MovedSample) -> np.ndarray:
    return toy_parts.drawn_circles(len(sample), np.random.default_rng(TOY_SEED))


DRAWINGS = {
    "fig1": lambda **_: schematics.architecture(),
    "fig2": lambda **_: schematics.conditional_architecture(),
    "scatter": lambda toy, **_: scatter.transport_scatter(toy, circles(toy), same_circle=True),
    "grid": lambda toy, **_: grids.density_grid([("four circles → star", toy)]),
    "distances": lambda toy, **_: distances.distance_figure([toy], units="u", note="here"),
    "two_axes": lambda toy, **_: distances.distance_figure([toy], linear=10.0),
    "per_feature": lambda science, **_: distances.feature_distance_figure(science),
    "features": lambda **_: features.feature_distributions(events(1), events(2)),
    "ratios": lambda science, **_: features.feature_ratios(science, names=["base_transfer"]),
    "closure": lambda **_: closure.closure_figure(regions()),
    "loss": lambda history, **_: losses.loss_curve(history, title="density of star"),
    "table1": lambda **_: schematics.method_table(),
}


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_equal_bytes_twice(tmp_path, toy, science, history, draw):
    for run in ("first", "second"):
        fig = draw(toy=toy, science=science, history=history)
        style.save(fig, [tmp_path / f"{run}.pdf", tmp_path / f"{run}.png"])
    for suffix in (".pdf", ".png"):
        first = (tmp_path / f"first{suffix}").read_bytes()
        assert first == (tmp_path / f"second{suffix}").read_bytes()
        assert b"Date" not in first and len(first) < 300_000
    assert (tmp_path / "first.pdf").read_bytes().startswith(b"%PDF")


def test_closure_needs_every_number():
    incomplete = {name: numbers[:-1] for name, numbers in regions().items()}
    with pytest.raises(InputError, match="no measure 'distance_mean' of identity_init"):
        closure.closure_figure(incomplete)


def test_equal_bytes_in_other_processes(tmp_path):
    for seed in ("1", "2"):
        run_script(
            "plot_schematic.py",
            "--drawing",
            "conditional",
            "--output",
            tmp_path / f"{seed}.pdf",
            tmp_path / f"{seed}.png",
            environment={"PYTHONHASHSEED": seed},
        )
    for suffix in (".pdf", ".png"):
        assert (tmp_path / f"1{suffix}").read_bytes() == (tmp_path / f"2{suffix}").read_bytes()


# --- scripts


def run_script(name: str, *arguments, environment: dict[str, str] | None = None):
    return subprocess.run(
        [sys.executable, path_of(name.removesuffix(".py")), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")} | (environment or {}),
        check=True,
        capture_output=True,
        text=True,
    )


def test_scripts_draw_what_they_are_given(tmp_path, toy, rotated, science):
    for name, sample in (("toy", toy), ("rotated", rotated), ("science", science)):
        sample.save(tmp_path / f"{name}.npz")
    (tmp_path / "loss.csv").write_text(LOSS_CSV)
    for sample in (1, 2):
        flat_root.write_tables(tmp_path / f"{sample}.root", {"features": events(sample)})
    task = ["--titles", "four circles → four circles"]
    calls = {
        "plot_schematic": ["--drawing", "architecture"],
        "plot_scatter": [
            *("--moved", "rotated.npz", "--seed", str(ROTATED_SEED)),
            *("--angles=7.5:45", "--same-circle"),
        ],
        "plot_grid": ["--moved", "rotated.npz", *task, "--angles=7.5:45", "--angles=45:7.5"],
        "plot_distances": ["--moved", "toy.npz", "toy.npz", "--linear", "10"],
        "plot_distances_per_feature": ["--moved", "science.npz", "--note", "sidebands"],
        "plot_features": ["--reference", "1.root", "--target", "2.root", "--all-masses"],
        "plot_ratios": ["--moved", "science.npz"],
        "plot_loss": ["--losses", "loss.csv", "--titles", "star"],
    }
    for name, arguments in calls.items():
        output = tmp_path / "figures" / f"{name}.png"
        files = [tmp_path / a if (tmp_path / a).is_file() else a for a in arguments]
        script(name).main([*map(str, files), "--output", str(output)])
        assert output.read_bytes().startswith(b"\x89PNG"), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("flows_for_flows"), "no array 'flows_for_flows'"),
        (lambda arrays: arrays.update(target=arrays["target"][:-1]), "different lengths"),
        (lambda arrays: arrays["base_transfer"].__setitem__(0, np.nan), "finite"),
    ],
)
def test_damaged_samples_are_named_and_leave_no_figure(tmp_path, toy, change, message):
    toy.save(tmp_path / "toy.npz")
    arrays = dict(np.load(tmp_path / "toy.npz"))
    change(arrays)
    np.savez(tmp_path / "toy.npz", **arrays)
    output = tmp_path / "fig.png"
    with pytest.raises(InputError, match=message):
        script("plot_distances").main(
            ["--moved", str(tmp_path / "toy.npz"), "--output", str(output)]
        )
    assert not output.exists()


def test_points_of_another_seed_are_named_and_leave_no_figure(tmp_path, toy):
    toy.save(tmp_path / "toy.npz")
    output = tmp_path / "fig.png"
    options = ["--moved", str(tmp_path / "toy.npz"), "--output", str(output), "--seed"]
    script("plot_scatter").main([*options, str(TOY_SEED)])
    output.unlink()
    with pytest.raises(InputError, match=f"toy.npz, --seed {TOY_SEED + 1}: these points were not"):
        script("plot_scatter").main([*options, str(TOY_SEED + 1)])
    assert not output.exists()


def test_missing_and_unreadable_samples_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.npz: no such file"):
        moved.MovedSample.load(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(InputError, match="text.npz: not a file of moved samples"):
        moved.MovedSample.load(tmp_path / "text.npz")


def test_plotting_scripts_start_without_heavy_packages():
    heavy = {"torch", "pandas", "scipy", "matplotlib.pyplot", "awkward"}
    names = sorted(path.stem for path in (ROOT / "workflow/scripts/plot").glob("*.py"))
    for name in ("plot_features", "plot_closure_bins"):  # read ROOT files, and the preprocessing
        names.remove(name)
    code = (
        "import sys, runpy\n"
        f"for name in {names}:\n"
        f"    runpy.run_path('{ROOT}/workflow/scripts/plot/' + name + '.py', run_name=name)\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
