"""ONNX models of transports: equal to the transport in onnxruntime, or refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
from scripts_by_name import script
from test_bundle import content, put
from transports import make, table

import flowmorph
from flowmorph import user
from flowmorph.__main__ import FURTHER_OUTPUTS, main
from flowmorph.errors import InputError
from flowmorph.preprocess.categories import Categories
from flowmorph.user import export
from flowmorph.user.export import check, columns, flows, model

ALL = ("log_det", "log_reference", "log_target")
EXAMPLE = Path(__file__).resolve().parents[1] / "examples/cpp/move.cpp"


def loaded(folder: Path, features=("x",), condition=(), **options):
    return flowmorph.load(str(make(folder, features, condition, **options)), device="cpu")


def spiked(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = table(rows, seed) | {"s": rng.gamma(2, 1, rows), "b": rng.beta(2, 3, rows)}
    found["s"][rng.random(rows) < 0.4] = 0.0
    found["s"][rng.random(rows) < 0.1] = -999.0
    found["b"][rng.random(rows) < 0.2] = 1.0
    return found | {"era": rng.integers(0, 3, rows).astype(float)}


def run(path: Path, given: dict) -> dict[str, np.ndarray]:
    session = check.session(path.read_bytes())
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def inputs(transport, rows: dict, kind=np.float32) -> dict:
    """What `transport.move` sees, and the random numbers that it takes."""
    read = {name: np.asarray(rows[name], kind).astype(float) for name in transport.columns}
    noise = transport.dequantization(0).of(read)
    given = {name: read[name].astype(kind) for name in (*transport.features, *transport.conditions)}
    for name in given.copy():
        known = transport.preprocessing
        if name in known.maps and columns.Column.of(known, name).noisy:
            given[f"{name}_uniform"] = noise[name].random(len(read[name])).astype(kind)
    return given


@pytest.mark.parametrize("method", ["movement_penalty", "base_transfer"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_model_moves_as_the_transport(tmp_path, method, precision):
    """Heavy tails, whole numbers and a condition; with onnxruntime beside `move` and densities."""
    transport = loaded(tmp_path, ("x", "k"), ("m",), method=method)
    found = transport.export(tmp_path / "t.onnx", precision=precision, outputs=ALL)
    assert found.rows > 4000 and found.difference < (1e-7 if precision == "float32" else 1e-11)
    rows = table(3000, seed=4)
    rows["x"] = np.where(np.arange(3000) % 50, rows["x"], 40 * rows["x"]).astype(np.float32)
    rows["m"] = rows["m"].astype(precision)
    given = inputs(transport, rows, np.dtype(precision))
    got, ours = run(tmp_path / "t.onnx", given), transport.move(rows)
    assert got["x_moved"].dtype == np.dtype(precision)
    # The transport's own rounding, in float32, of flows that are steep: random weights.
    gap = np.abs(got["x_moved"] - ours["x"]) / np.maximum(1, np.abs(ours["x"]))
    assert np.median(gap) < 1e-6 and np.quantile(gap, 0.999) < 2e-4 and gap.max() < 2e-3
    assert (got["k_moved"] != ours["k"]).mean() < 1e-3
    wanted = transport.log_prob(rows, of="reference")
    np.testing.assert_allclose(got["log_reference"], wanted, rtol=1e-3, atol=3e-3)


def test_the_jacobian_is_that_of_the_map(tmp_path):
    """log_det of one feature beside a finite difference of moved values."""
    loaded(tmp_path).export(
        tmp_path / "t.onnx", precision="float64", outputs=["log_det", "log_target"]
    )
    x, step = np.linspace(2.0, 9.0, 400), 1e-6
    here, low, high = (run(tmp_path / "t.onnx", {"x": x + d}) for d in (0, -step, step))
    slope = (high["x_moved"] - low["x_moved"]) / (2 * step)
    np.testing.assert_allclose(here["log_det"], np.log(slope), atol=1e-3)


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("method", ["movement_penalty", "base_transfer"])
def test_every_kind_of_column(tmp_path, arithmetic, method):
    """Spikes inside and outside of the range and at a bound, logit with bounds, categories."""
    options = {
        "s": {"spike": (0.0, -999.0), "transform": "quantile"},
        "b": {"spike": (1.0,), "transform": "logit", "bounds": (0.0, 1.0)},
        "k": {"integer": True, "transform": "logit", "bounds": (0, 40)},
        "m": {"transform": "logit"},
    }
    transport = loaded(
        tmp_path, ("s", "k", "b"), ("m", "era"), method=method, train=spiked(2000),
        categories={"era": Categories.of(["2016", "2017", "2018"])}, **options,
    )  # fmt: skip
    found = transport.export(tmp_path / "t.onnx", arithmetic=arithmetic, outputs=ALL)
    assert found.rows > 3000
    rows = spiked(500, seed=3)
    given = {name: rows[name].astype(np.float32) for name in ("s", "k", "b", "m")}
    given |= {f"{name}_uniform": np.full(500, 0.4, np.float32) for name in ("s", "k", "b")}
    got = run(tmp_path / "t.onnx", given | {"era": rows["era"].astype(np.int64)})
    assert np.isfinite(list(got.values())).all()
    assert (got["s_moved"] == 0).any() and (got["s_moved"] == -999).any()
    assert (got["b_moved"] == 1).any() and ((got["b_moved"] >= 0) & (got["b_moved"] <= 1)).all()
    np.testing.assert_array_equal(got["k_moved"], np.clip(np.round(got["k_moved"]), 0, 40))
    assert np.isnan(run(tmp_path / "t.onnx", given | {"era": np.full(500, 3)})["s_moved"]).all()
    note = model.note(onnx.load(tmp_path / "t.onnx"))
    assert note["categories"] == {"era": {"0": "2016", "1": "2017", "2": "2018"}}
    train = spiked(2000)["k"]
    assert note["training_range"]["k"] == [train.min(), train.max()]


def test_rows_that_move_refuses_are_not_a_number_and_disturb_no_others(tmp_path):
    transport = loaded(tmp_path, ("x", "k"), ("m",))
    transport.export(tmp_path / "t.onnx", outputs=["log_det"])
    x = np.array([5, np.nan, np.inf, 3e38, 5, 5, 5], np.float32)
    m = np.array([1, 1, 1, 1, np.nan, 1, 1], np.float32)
    u = np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 0.5], np.float32)
    given = {"x": x, "k": np.full(7, 4, np.float32), "k_uniform": u, "m": m}
    got = run(tmp_path / "t.onnx", given)
    for values in got.values():
        assert np.isnan(values).tolist() == [False] + [True] * 5 + [False]
        assert values[0] == values[-1]
    for rows in (0, 1):
        few = run(tmp_path / "t.onnx", {name: values[:rows] for name, values in given.items()})
        np.testing.assert_array_equal(few["x_moved"], got["x_moved"][:rows])


def test_folds_and_variations_are_chosen(tmp_path):
    transport = loaded(tmp_path, folds=2, variations=1)
    with pytest.raises(InputError, match="2 folds, each with a map of its own.*fold 0 to 1"):
        transport.export(tmp_path / "t.onnx")
    for fold, variation, message in ((2, 0, "no fold 2"), (-1, 0, "no fold"), (0, 2, "variation")):
        with pytest.raises(InputError, match=message):
            transport.export(tmp_path / "t.onnx", fold=fold, variation=variation)
    x = np.linspace(0, 10, 50).astype(np.float32)
    moved = []
    for variation in (0, 1):
        for fold in (0, 1):
            path = tmp_path / f"{variation}{fold}.onnx"
            transport.export(path, fold=fold, variation=variation)
            note = model.note(onnx.load(path))
            assert (note["variation"], note["fold"]) == (variation, fold)
            moved.append(run(path, {"x": x})["x_moved"])
        ours = transport.move({"x": x}, variation=variation)["x"]
        near = np.isclose(moved[-2:], ours, rtol=1e-4, atol=1e-4)
        assert near.any(axis=0).all() and not near.all()
    assert len({each.tobytes() for each in moved}) == 4


def test_the_file_says_what_it_is(tmp_path):
    transport = loaded(tmp_path, ("x", "k"), ("m",))
    for name in ("a.onnx", "b.onnx"):
        transport.export(tmp_path / name, outputs=ALL)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    made = onnx.load(tmp_path / "a.onnx")
    assert [(each.domain, each.version) for each in made.opset_import] == [("", 17)]
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "rows"
    note = model.note(made)
    assert list(note["outputs"]) == sorted(["x_moved", "k_moved", *ALL])
    assert set(note["inputs"]) == {"x", "k", "m", "k_uniform"}
    assert note["flows"]["transport"]["seed"] == 1 and note["method"] == "movement_penalty"
    assert note["training_range"]["m"] == pytest.approx([0, 2], abs=0.01)
    assert note["agreement"]["difference"] < 1e-5


def test_a_model_that_is_wrong_is_refused_and_not_written(tmp_path, monkeypatch):
    transport = loaded(tmp_path, ("x", "k"), ("m",))

    def wrong(module, name, change):
        right = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: change(right(*given)))
        with pytest.raises(InputError, match=r"the model's .* \(at x = .*please report this") as e:
            transport.export(tmp_path / "t.onnx", precision="float64", outputs=ALL)
        assert "\n" not in str(e.value) and not (tmp_path / "t.onnx").exists()
        monkeypatch.undo()

    wrong(flows, "_softplus", lambda value: value + 1e-3)
    wrong(columns.Column, "inverse", lambda value: value * (1 + 3e-5))
    wrong(columns.Column, "log_slope", lambda value: value + 1e-3)
    monkeypatch.setattr(model, "FARTHEST", 3.0)
    with pytest.raises(InputError, match="and the transport takes this row"):
        transport.export(tmp_path / "t.onnx")


def test_values_too_fine_for_float32_are_refused(tmp_path):
    """A million, give or take one: float32 knows 30 numbers there."""
    fine = table(2000)
    fine["x"] = 1e6 + np.random.default_rng(1).uniform(-1, 1, 2000)
    transport = loaded(tmp_path, train=fine, x={})
    with pytest.raises(InputError, match="x_moved is .*: export in float64"):
        transport.export(tmp_path / "t.onnx")
    assert transport.export(tmp_path / "t.onnx", precision="float64").difference < 1e-11


@pytest.mark.parametrize("transform", ["minmax", "quantile"])
@pytest.mark.parametrize(("place", "width"), [(3.0969, 0.01), (172.5, 0.5), (-91.19, 0.1)])
def test_narrow_features_far_from_zero_are_exported(tmp_path, place, width, transform):
    """Masses of resonances, of which float32 has some thousand numbers, and not a hundred."""
    narrow = table(2000)
    narrow["x"] = np.random.default_rng(1).normal(place, width, 2000)
    transport = loaded(tmp_path, train=narrow, x={"transform": transform})
    for options in ({}, {"outputs": ALL}, {"arithmetic": "float32"}):
        transport.export(tmp_path / "t.onnx", **options)
    given = {"x": narrow["x"].astype(np.float32)}
    got, ours = run(tmp_path / "t.onnx", given)["x_moved"], transport.move(given)["x"]
    np.testing.assert_allclose(got, ours, atol=2e-3 * width)


def test_an_error_beside_rounding_is_still_refused(tmp_path, monkeypatch):
    narrow = table(2000)
    narrow["x"] = np.random.default_rng(1).normal(3.0969, 0.01, 2000)
    transport, right = loaded(tmp_path, train=narrow, x={}), columns.Column.inverse
    monkeypatch.setattr(columns.Column, "inverse", lambda *given: right(*given) + 1e-6)
    with pytest.raises(InputError, match="x_moved is .*: export in float64"):
        transport.export(tmp_path / "t.onnx")


def test_names_that_meet_are_refused(tmp_path):
    train = table(2000)
    train |= {"k_uniform": train["m"], "k_moved": train["m"], "log_det": train["m"]}
    for name in ("k_uniform", "k_moved"):
        transport = loaded(tmp_path, ("k",), (name,), train=train)
        with pytest.raises(InputError, match=f"column '{name}': another input or output"):
            transport.export(tmp_path / "t.onnx")
    transport = loaded(tmp_path, ("k",), ("log_det",), train=train)
    transport.export(tmp_path / "t.onnx")
    with pytest.raises(InputError, match="column 'log_det'"):
        transport.export(tmp_path / "t.onnx", outputs=["log_det"])


def test_choices_that_there_are_not_are_named(tmp_path):
    transport = loaded(tmp_path)
    for options, message in (
        ({"precision": "float16"}, "no precision 'float16'"),
        ({"arithmetic": "int"}, "no arithmetic 'int'"),
        ({"outputs": ["density"]}, "no output 'density': choose among log_det"),
    ):
        with pytest.raises(InputError, match=message):
            export.export(transport, tmp_path / "t.onnx", **options)


def test_the_command_offers_every_further_output():
    assert set(FURTHER_OUTPUTS) == set(model.EXTRAS)


def test_the_command_writes_the_same_file(tmp_path, capsys):
    transport = loaded(tmp_path)
    transport.export(tmp_path / "a.onnx", outputs=["log_det"])
    main(["export", "--transport", str(tmp_path), "--output", str(tmp_path / "b.onnx"),
          "--also", "log_det"])  # fmt: skip
    assert "b.onnx: agrees with the transport in" in capsys.readouterr().err
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_transport_is_not_overwritten_by_its_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded(tmp_path)
    file = tmp_path / "transport.safetensors"
    (tmp_path / "t.onnx").hardlink_to(file)
    (tmp_path / "link.onnx").symlink_to(file)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    names = {
        "transport.safetensors": "transport.safetensors: .* end its name with '.onnx'",
        str(file): "transport.safetensors: .* end its name with '.onnx'",
        "model": "model: the output is an ONNX model: end its name with '.onnx'",
        "t.onnx": "t.onnx: is the transport itself: choose another name",
        "link.onnx": "link.onnx: is the transport itself: choose another name",
    }
    for place in (".", "t.onnx"):
        transport = flowmorph.load(place)
        for name, message in names.items():
            with pytest.raises(InputError, match=message):
                transport.export(name)
            with pytest.raises(InputError, match=message):
                main(["export", "--transport", place, "--output", name])
    monkeypatch.chdir("/")
    with pytest.raises(InputError, match="is the transport itself"):
        transport.export(tmp_path / "link.onnx")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("precision", [[], ["--precision", "float64"]], ids=str)
def test_the_rules_script_writes_a_model_a_fold(tmp_path, precision):
    transport = loaded(tmp_path, folds=2)
    paths = [tmp_path / f"{fold}.onnx" for fold in (0, 1)]
    command = ["--transport", str(tmp_path), *precision, "--outputs", *map(str, paths)]
    script("export_transport").main(command)
    for fold, path in enumerate(paths):
        transport.export(tmp_path / "t.onnx", fold=fold, precision=(precision or ["float32"])[-1])
        assert path.read_bytes() == (tmp_path / "t.onnx").read_bytes()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package):
    make(tmp_path, ("x",), ())
    for name in [name for name in sys.modules if name.startswith("flowmorph.user.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(user, "export")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"the package {package} is needed: pip install"):
        main(["export", "--transport", str(tmp_path), "--output", str(tmp_path / "t.onnx")])
    assert not (tmp_path / "t.onnx").exists()


def test_a_file_that_does_not_say_what_made_it_is_exported(tmp_path):
    """What made the flows is for people: nothing depends on it."""
    transport = loaded(tmp_path)
    note, tensors = content(tmp_path / "transport.safetensors")
    note["flows"] = {k: {"architecture": v["architecture"]} for k, v in note["flows"].items()}
    other = flowmorph.load(str(put(tmp_path / "other.safetensors", note, tensors)), device="cpu")
    other.export(tmp_path / "other.onnx")
    transport.export(tmp_path / "t.onnx")
    x = {"x": np.linspace(0, 10, 50).astype(np.float32)}
    np.testing.assert_array_equal(
        *(run(tmp_path / f"{n}.onnx", x)["x_moved"] for n in ("t", "other"))
    )


def headers() -> Path:
    """The folder of onnxruntime's C headers; skips the test where there is none."""
    places = [os.environ.get("ONNXRUNTIME_INCLUDE"), "/usr/include/onnxruntime"]
    places += ["/usr/local/include/onnxruntime", "/usr/include", "/usr/local/include"]
    for place in filter(None, places):
        for found in [Path(place), *Path(place).glob("core/session")]:
            if (found / "onnxruntime_c_api.h").is_file():
                return found
    pytest.skip("no onnxruntime_c_api.h (libonnxruntime-dev): set ONNXRUNTIME_INCLUDE")


def test_the_cpp_example_gives_the_same(tmp_path):
    include, compiler = headers(), shutil.which(os.environ.get("CXX", "g++"))
    if not compiler:
        pytest.skip("no C++ compiler")
    library = next(resources.files("onnxruntime").joinpath("capi").glob("libonnxruntime.so*"))
    # The name under which programs look for it.
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)
    program = tmp_path / "move"
    subprocess.run(
        [compiler, "-std=c++17", "-Wall", "-Werror", EXAMPLE, f"-I{include}", str(library),
         f"-Wl,-rpath,{tmp_path}", "-o", program], check=True,
    )  # fmt: skip
    transport = loaded(
        tmp_path, ("x", "k"), ("m", "era"), train=spiked(2000),
        categories={"era": Categories.of(["2016", "2017", "2018"])},
    )  # fmt: skip
    transport.export(tmp_path / "t.onnx", outputs=["log_det"])
    rows = spiked(200, seed=9)
    given = {name: rows[name].astype(np.float32) for name in ("x", "k", "m")}
    given["k_uniform"] = np.linspace(0, 0.99, 200).astype(np.float32)
    given["era"] = rows["era"].astype(np.int64)
    text = ",".join(given).replace("era", "era:int") + "\n"
    text += "\n".join(
        ",".join(f"{v:.9g}" for v in row) for row in zip(*given.values(), strict=True)
    )
    names = ["k_moved", "log_det", "x_moved"]
    done = subprocess.run(
        [program, tmp_path / "t.onnx", ",".join(names)],
        input=text + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    head, *lines = done.stdout.splitlines()
    assert head.split(",") == names
    got, ours = (
        np.array([line.split(",") for line in lines], np.float32),
        run(tmp_path / "t.onnx", given),
    )
    np.testing.assert_allclose(got.T, [ours[name] for name in names], rtol=1e-6)
    failed = subprocess.run(
        [program, tmp_path / "t.onnx", "pt_moved"], input=text + "\n", capture_output=True,
        text=True,
    )  # fmt: skip
    assert failed.returncode == 1 and "pt_moved" in failed.stderr
