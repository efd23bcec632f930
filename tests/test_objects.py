"""Columns under other names, and several objects of a row in one pass."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from test_formats import KINDS, SUFFIXES, tree_of
from test_formats import write as write_kind
from test_moved_files import read
from transports import table

from flowmorph.__main__ import main
from flowmorph.errors import InputError
from flowmorph.plan.objects import MovedObject, check, moved_objects, typed
from flowmorph.user.moved_files import move_files
from flowmorph.user.output import Output

RENAMED = {"x": "lead_x", "k": "lead_k", "m": "mass"}
LEAD, SUBLEAD = {"x": "lead_x", "k": "lead_k"}, {"x": "sub_x", "k": "sub_k"}


def two(rows: int = 400) -> dict[str, np.ndarray]:
    """A table with two objects of each row, and a condition of both."""
    first, second = table(rows), table(rows, 1)
    return {
        "lead_x": first["x"],
        "sub_x": second["x"],
        "lead_k": first["k"],
        "sub_k": second["k"],
        "m": first["m"],
    }


def parquet(path: Path, columns: dict) -> str:
    pa.parquet.write_table(pa.table(columns), path)
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_may_have_another_name(transport, tmp_path, kind):
    """Features, and a condition that is the regions' column as well."""
    start = table(200)
    suffix = SUFFIXES.get(kind, "h5")
    plain = write_kind(tmp_path / f"plain.{suffix}", kind, start)
    other = {RENAMED.get(name, name): values for name, values in start.items()}
    renamed = write_kind(tmp_path / f"renamed.{suffix}", kind, other)
    results = []
    for path, columns in ((plain, {}), (renamed, RENAMED)):
        output = tmp_path / f"{path.stem}_out.{suffix}"
        move_files(
            transport, [str(path)], output, tree=tree_of(kind),
            output=Output(objects=moved_objects(columns)),
        )  # fmt: skip
        results.append(read(output, tree_of(kind)))
    assert sorted(results[1]) == sorted([*other, "lead_x_moved", "lead_k_moved", "flowmorph_moved"])
    for name, values in results[0].items():
        base = name.removesuffix("_moved")
        again = results[1][RENAMED.get(base, base) + name[len(base) :]]
        assert np.array_equal(again, values)


def test_a_column_of_regions_alone_may_have_another_name(transport, tmp_path):
    start = table(200)
    moved = typed(["m=mass=2"], [], transport.columns)
    columns = {("mass=2" if name == "m" else name): values for name, values in start.items()}
    source = parquet(tmp_path / "in.parquet", columns)
    for everywhere in (False, True):
        counts = move_files(
            transport, [source], tmp_path / "out.parquet", output=Output(objects=moved),
            everywhere=everywhere,
        )  # fmt: skip
        assert counts.moved == (200 if everywhere else (start["m"] < 1).sum())


def test_tables_in_python_have_other_names_too(transport):
    start = table(300)
    expected = transport.move(start)
    other = {RENAMED.get(name, name): values for name, values in start.items()}
    for given in (other, pd.DataFrame(other), pa.table(other), ak.Array(other)):
        moved = transport.move(given, rename=RENAMED)
        for name in start:
            assert np.array_equal(moved[RENAMED.get(name, name)], expected[name])
        log_p = transport.log_prob(given, rename=RENAMED)
        assert np.array_equal(log_p, transport.log_prob(start))
        assert transport.usable(given, rename=RENAMED).all()
        found, expected_beyond = transport.beyond(given, rename=RENAMED), transport.beyond(start)
        assert found.keys() == expected_beyond.keys()
        assert all(np.array_equal(found[name], expected_beyond[name]) for name in found)
    matrix = np.stack([other[name].astype(float) for name in ("lead_x", "mass", "lead_k")], axis=1)
    moved = transport.move(matrix, ["lead_x", "mass", "lead_k"], rename=RENAMED)
    plain = transport.move(matrix, ["x", "m", "k"])
    assert np.array_equal(moved, plain)
    for function in (transport.move, transport.usable, transport.beyond):
        with pytest.raises(InputError, match="no column 'lead_x', which the transport needs"):
            function(start, rename=RENAMED)
    with pytest.raises(InputError, match="column 'mass': the value of row 5 is missing"):
        transport.move(other | {"mass": np.where(np.arange(300) == 5, np.nan, 1)}, rename=RENAMED)
    with pytest.raises(InputError, match="column 'mass': row 5: 1e.30 is too far outside"):
        transport.move(other | {"mass": np.where(np.arange(300) == 5, 1e30, 1)}, rename=RENAMED)


@pytest.mark.parametrize("columns", ["append", "replace"])
def test_objects_are_moved_in_one_pass_and_whatever_the_others_are(transport, tmp_path, columns):
    start = two()
    source = parquet(tmp_path / "in.parquet", start)
    together = moved_objects(objects={"lead": LEAD, "sublead": SUBLEAD})
    counts = move_files(
        transport, [source], tmp_path / "both.parquet", output=Output(columns, objects=together)
    )
    both = read(tmp_path / "both.parquet")
    end = "" if columns == "replace" else "_moved"
    new = [f"{name}{end}" for name in ("lead_x", "lead_k")] + ["flowmorph_lead_moved"]
    new += [f"{name}{end}" for name in ("sub_x", "sub_k")] + ["flowmorph_sublead_moved"]
    assert list(both) == [*start, *(name for name in new if name not in start)]
    for each, status in zip(together, ("lead", "sublead"), strict=True):
        output = tmp_path / f"{each.name}.parquet"
        move_files(transport, [source], output, output=Output(columns, objects=[each]))
        alone = read(output)
        for name in (*alone,):
            if name.startswith(("lead_x", "lead_k") if status == "lead" else ("sub_x", "sub_k")):
                assert np.array_equal(both[name], alone[name])
        name = f"flowmorph_{status}_moved"
        assert np.array_equal(both[name], alone[name])
        assert np.array_equal(both[name] == 1, start["m"] < 1)
        assert counts.objects[status].moved == (start["m"] < 1).sum()
    assert counts.rows == 800 and counts.moved == 2 * (start["m"] < 1).sum()
    by_hand = transport.move(start, objects={"lead": LEAD, "sublead": SUBLEAD})
    inside = start["m"] < 1
    np.testing.assert_allclose(both[f"sub_x{end}"][~inside], start["sub_x"][~inside])
    where = {name: values[inside] for name, values in start.items()}
    by_hand = transport.move(where, objects={"lead": LEAD, "sublead": SUBLEAD})
    for name in ("lead_x", "sub_x", "lead_k", "sub_k"):
        np.testing.assert_allclose(both[name + end][inside], by_hand[name], rtol=1e-6)


def test_noise_on_whole_numbers_is_another_for_each_object(transport):
    start = table(2000)
    twins = {"a_x": start["x"], "a_k": start["k"], "m": start["m"]}
    twins |= {"b_x": start["x"], "b_k": start["k"]}
    one, other = ({"x": f"{name}_x", "k": f"{name}_k"} for name in "ab")
    moved = transport.move(twins, objects={"a": one, "b": other})
    assert (moved["a_k"] != moved["b_k"]).mean() > 0.02
    np.testing.assert_allclose(moved["a_k"].mean(), moved["b_k"].mean(), atol=0.15)
    again = transport.move(twins, objects={"b": other})
    assert np.array_equal(again["b_k"], moved["b_k"]) and again["a_k"] is twins["a_k"]


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize("how", ["append", "replace"])
def test_columns_of_one_array_are_objects(transport, tmp_path, suffix, how):
    """Arrays (N, 2) of npz and HDF5 are columns x[0] and x[1]."""
    start = two()
    arrays = {c: np.stack([start[f"lead_{c}"], start[f"sub_{c}"]], axis=1) for c in "xk"}
    arrays["m"] = start["m"]
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    if suffix == "npz":
        np.savez(source, **arrays)
    else:
        with h5py.File(source, "w") as file:
            file.update(arrays)
    named = {name: {"x": f"x[{i}]", "k": f"k[{i}]"} for i, name in enumerate(("lead", "sub"))}
    move_files(
        transport, [str(source)], output, everywhere=True,
        output=Output(how, objects=moved_objects(objects=named)),
    )  # fmt: skip
    expected = transport.move(start, objects={"lead": LEAD, "sub": SUBLEAD})
    after = read(output)
    for i, name in enumerate(("lead", "sub")):
        for column in "xk":
            new = f"{column}[{i}]" + ("_moved" if how == "append" else "")
            assert np.array_equal(after[new], expected[f"{name}_{column}"])
        assert (after[f"flowmorph_{name}_moved"] == 1).all()


def test_lists_of_two_objects(transport, tmp_path):
    """Muons and electrons of each event: lists of other lengths."""
    rng = np.random.default_rng(4)
    columns, flat = {"m": rng.uniform(0, 1, 100)}, {}
    for seed, name in enumerate(("muon", "electron")):
        counts = rng.integers(0, 4, 100)
        flat[name] = table(int(counts.sum()), seed) | {"m": np.repeat(columns["m"], counts)}
        columns |= {f"{name}_{c}": ak.unflatten(flat[name][c], counts) for c in "xk"}
    made = {name: v if name == "m" else ak.to_arrow(v, extensionarray=False)
            for name, v in columns.items()}  # fmt: skip
    source = parquet(tmp_path / "in.parquet", made)
    named = {name: {"x": f"{name}_x", "k": f"{name}_k"} for name in flat}
    output = Output(objects=moved_objects(objects=named))
    move_files(transport, [source], tmp_path / "out.parquet", output=output)
    after = pa.parquet.read_table(tmp_path / "out.parquet")
    for name, start in flat.items():
        alone = transport.move(
            {f"{name}_x": start["x"], f"{name}_k": start["k"], "m": start["m"]},
            objects={name: named[name]},
        )
        for column in (f"{name}_x", f"{name}_k"):
            found = ak.from_arrow(after[f"{column}_moved"])
            assert ak.num(found).to_list() == ak.num(columns[column]).to_list()
            np.testing.assert_allclose(ak.flatten(found), alone[column], rtol=1e-6)
        status = ak.from_arrow(after[f"flowmorph_{name}_moved"])
        assert ak.num(status).to_list() == ak.num(columns[f"{name}_x"]).to_list()


# --- the command


def command(folder, source, output, *more) -> list[str]:
    return ["move", "--transport", str(folder), "--input", str(source), "--output", str(output),
            "--device", "cpu", *more]  # fmt: skip


def test_the_command_takes_names_with_any_sign(folder, transport, tmp_path, capsys):
    odd = {"x": "a,b:c=d", "k": "x=k", "m": "m m"}
    start = table(150)
    columns = {odd.get(name, name): values for name, values in start.items()}
    source = parquet(tmp_path / "in.parquet", columns)
    out = tmp_path / "out.parquet"
    main(command(folder, source, out, "--rename", "x=a,b:c=d", "--rename", "k=x=k", "m=m m"))
    assert list(read(out))[-3:] == ["a,b:c=d_moved", "x=k_moved", "flowmorph_moved"]
    assert "150 rows: " in capsys.readouterr().err
    main(command(folder, source, tmp_path / "one.parquet", "--object", "jet", "x=a,b:c=d", "k=x=k",
                 "--rename", "m=m m"))  # fmt: skip
    assert list(read(tmp_path / "one.parquet"))[-1] == "flowmorph_jet_moved"


def test_the_command_moves_objects_and_counts_each(folder, tmp_path, capsys):
    start = two()
    source, output = parquet(tmp_path / "in.parquet", start), tmp_path / "out.parquet"
    main(command(folder, source, output, "--object", "lead", "x=lead_x", "k=lead_k",
                 "--object", "sublead", "x=sub_x", "k=sub_k", "--suffix", "_new"))  # fmt: skip
    assert list(read(output)) == [
        *start, "lead_x_new", "lead_k_new", "flowmorph_lead_new",
        "sub_x_new", "sub_k_new", "flowmorph_sublead_new",
    ]  # fmt: skip
    inside = (start["m"] < 1).sum()
    lines = capsys.readouterr().err.splitlines()
    for line, name in zip(lines, ("lead", "sublead"), strict=True):
        assert line.startswith(f"{output}: {name}: 400 rows: {inside} moved, {400 - inside} outs")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rename", "y=lead_x"], "--rename 'y=lead_x': give a column of the transport .x, k, m."),
        (["--rename", "x"], "--rename 'x': give a column of the transport .x, k, m., an equals"),
        (["--rename", "x="], "--rename 'x=': give a column of the transport"),
        (["--rename", "x=a", "x=b"], "--rename 'x=b': 'x' is named twice"),
        (["--rename", "x=lead_x"], "in.parquet: no column 'k' .it has lead_x, sub_x"),
        (["--rename", "x=lead_x"], r"\): correct the name, or say which one it is .*--object"),
        (["--rename", "x=lead_x", "k=lead_k", "--suffix", ""], "suffix '': give letters, digits"),
        (["--rename", "x=lead_x", "k=lead_k", "--suffix", "a b"], "suffix 'a b': give letters"),
        (["--rename", "x=sub_k", "k=sub_k"], "'x' and 'k' of the transport would both be column"),
        (["--rename", "x=m", "k=sub_k"], "'x' and 'm' of the transport would both be column 'm'"),
        (["--object", "x=lead_x"], "--object 'x=lead_x': the object's name comes first"),
        (["--object", "a", "--object", "a"], "--object a: is named twice"),
        (["--object", "a", "q=lead_x"], "--object a 'q=lead_x': give a column of the transport"),
        (["--object", "a", "--object", "b"], "objects 'a' and 'b' would both move column 'x'"),
        (
            ["--object", "a", "x=lead_x", "--object", "b", "x=sub_x"],
            "objects 'a' and 'b' would both move column 'k'",
        ),
        (
            ["--object", "a", "x=lead_x", "k=lead_k", "--object", "b", "x=sub_x", "k=none"],
            "in.parquet: no column 'none'",
        ),
        (
            ["--object", "a", "x=lead_x", "k=lead_k", "--columns", "replace", "--drop", "lead_*"],
            "column 'lead_x' is dropped and replaced",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused(folder, tmp_path, options, message):
    source, output = parquet(tmp_path / "in.parquet", two(20)), tmp_path / "out.parquet"
    with pytest.raises(InputError, match=message) as error:
        main(command(folder, source, output, *options))
    assert not output.exists() and "\n" not in str(error.value)


def test_names_that_clash_with_a_status_are_refused(transport, tmp_path):
    columns = table(20)
    columns = {"flowmorph_a": columns.pop("x"), **columns}
    source = parquet(tmp_path / "in.parquet", columns)
    output = Output(objects=moved_objects(objects={"a": {"x": "flowmorph_a"}}))
    with pytest.raises(InputError, match="two columns of the output would be named 'flowmorph_a_m"):
        move_files(transport, [source], tmp_path / "out.parquet", output=output)


# --- names


def test_what_objects_do_not_name_is_as_the_transport_has_it():
    assert moved_objects() == (MovedObject(),) and MovedObject().column("x") == "x"
    lead, other = moved_objects({"m": "mass"}, {"lead": {}, "other": {"x": "y", "m": "n"}})
    assert [lead.column(name) for name in "xm"] == ["x", "mass"]
    assert [other.column(name) for name in "xm"] == ["y", "n"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"rename": "lead_x"}, "rename: 'lead_x': give a dict such as"),
        ({"rename": ["x", "lead_x"]}, "rename: .*: give a dict such as"),
        ({"objects": ["lead"]}, "objects: .'lead'.: give a dict such as .'lead'"),
        ({"objects": {"lead": ["lead_x"]}}, "object 'lead': .'lead_x'.: give a dict such as"),
        ({"objects": {1: {"x": "lead_x"}}}, "object 1: its name needs letters"),
    ],
)
def test_names_from_python_are_dicts(transport, names, message):
    with pytest.raises(InputError, match=message):
        transport.move(two(20), **names)


def test_a_text_with_two_readings_is_refused():
    known = ["a", "a=b"]
    assert typed(["a=c"], [], known) == (MovedObject("", {"a": "c"}),)
    with pytest.raises(InputError, match="--rename 'a=b=c': may mean 'a' or 'a=b'"):
        typed(["a=b=c"], [], known)


def test_objects_are_held_to_the_transports_columns():
    for name in ("a b", "é", "-"):
        with pytest.raises(InputError, match=f"object '{name}': its name needs letters"):
            check([MovedObject(name)], ["x"], [], ["x"])
    with pytest.raises(
        InputError, match="object 'a': the transport has no column 'y' .it has x, m"
    ):
        check([MovedObject("a", {"y": "z"})], ["x"], ["m"], ["x", "m"])
    check([MovedObject("a", {"m": "x"})], ["x"], [], ["x", "m"])
