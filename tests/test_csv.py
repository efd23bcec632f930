"""CSV: cells are text, and come back as the text that they were."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pytest

from flowmorph.errors import InputError
from flowmorph.formats import text
from flowmorph.formats.allowed import Allowed
from flowmorph.formats.tables import open_sample, open_writer
from flowmorph.user.output import Output, check_output

#: Cells of a column by what they are, as they stand in the file.
KEPT = {
    "whole numbers beside an empty cell": ["9007199254740993", "", "1"],
    "beyond 64 bits": ["18446744073709551616", "-340282366920938463463374607431768211456"],
    "leading zeros": ["007", "000", "1"],
    "truth values": ["True", "false", "TRUE"],
    "whole floats": ["5.0", "5.", "5e0", "+5"],
    "beyond float64": ["1e400", "-1e-400"],
    "many digits": ["0.1000000000000000055511151231257827", "1.10"],
    "empty and NaN": ["", "NaN", "nan", "NA", "null", "inf"],
    "empty text and empty cell": ['""', "", "x"],
    "quotes where needed": ['"a{delimiter}b"', '"say ""hi"""', '"line\nbreak"'],
    "spaces": [" a", "b ", "c d"],
    "unicode": ["žluť", "τ21", "🙂"],
    "dates": ["2024-02-29", "2024-02-29 12:30:15.123456789", "12:30"],
    "one quote inside": ['"5"" pipe"', "5"],
}
NEW = {"x_moved": np.array([0.1, -2.5e-300]), "flowmorph_moved": np.array([1, -1], np.int8)}


def cells_of(name: str, delimiter: str = ",") -> list[str]:
    return [cell.replace("{delimiter}", delimiter) for cell in KEPT[name]]


def moved(path: Path, output: Path | None = None, chunk_rows: int = 2) -> Path:
    """The file after a move that changes nothing, with new columns."""
    files = open_sample(str(path))
    output = output or path.with_name("moved" + path.name.removeprefix("a"))
    with open_writer(output, files) as writer:
        for chunk in files.chunks(None, chunk_rows):
            rows = len(next(iter(chunk.values())))
            writer.write({**chunk, **{name: np.resize(v, rows) for name, v in NEW.items()}})
    return output


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("delimiter", [",", "\t"], ids=["csv", "tsv"])
@pytest.mark.parametrize("name", KEPT)
def test_a_line_begins_with_the_bytes_that_it_had(tmp_path, name, delimiter, end):
    rows = [f"{cell}{delimiter}{i}.50" for i, cell in enumerate(cells_of(name, delimiter))]
    new = [f"{delimiter}0.1{delimiter}1", f"{delimiter}-2.5e-300{delimiter}-1"]
    path = tmp_path / ("a.csv" if delimiter == "," else "a.tsv")
    path.write_bytes(end.join([delimiter.join(("c", "x")), *rows, ""]).encode())
    header = delimiter.join(("c", "x", *NEW))
    expected = [header, *(row + new[i % 2] for i, row in enumerate(rows)), ""]
    assert moved(path).read_bytes().decode() == end.join(expected)
    assert moved(path, chunk_rows=100).read_bytes().decode() == end.join(expected)


@pytest.mark.parametrize("suffix", [".csv.gz", ".tsv.gz", ".csv.bz2", ".csv.zst"])
def test_compressed_files_are_read_and_written(tmp_path, suffix):
    content = b"c\tx\n007\t1.5\n" if "tsv" in suffix else b"c,x\n007,1.5\n"
    path = tmp_path / f"a{suffix}"
    with pa.output_stream(str(path), compression=text._codec(path)) as stream:
        stream.write(content)
    once, twice = moved(path), moved(path, tmp_path / f"again{suffix}")
    assert once.name == f"moved{suffix}" and once.read_bytes() == twice.read_bytes()
    opened = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix)
    if opened:
        assert opened(once).read().startswith(content.replace(b"\n", b",", 1)[:3])
    with pa.input_stream(str(once), compression=text._codec(once)) as stream:
        head, row, _ = stream.read().split(b"\n")
    assert head.startswith(content.splitlines()[0]) and row.startswith(content.splitlines()[1])


def test_a_file_with_a_header_only(tmp_path):
    (tmp_path / "a.csv").write_text("c,x\n")
    assert moved(tmp_path / "a.csv").read_text() == "c,x,x_moved,flowmorph_moved\n"


def test_a_file_of_many_blocks(tmp_path):
    """Longer than what is parsed at a time, in chunks that fit in none of its blocks."""
    rows = [f"{i},{i / 7!r},žluť {i % 13}" for i in range(300_000)]
    (tmp_path / "a.csv").write_text("\n".join(["n,x,s", *rows, ""]))
    assert (tmp_path / "a.csv").stat().st_size > 2 * text.BLOCK_BYTES
    files = open_sample(str(tmp_path / "a.csv"))
    assert files.rows == 300_000
    lengths = [len(chunk["x"]) for chunk in files.chunks(["x"], 70_000)]
    assert lengths == [70_000] * 4 + [20_000]
    output = moved(tmp_path / "a.csv", chunk_rows=70_000)
    cut = [line.rsplit(",", 2)[0] for line in output.read_text().splitlines()]
    assert cut == ["n,x,s", *rows]


def test_names_may_hold_anything(tmp_path):
    (tmp_path / "a.csv").write_text('"a,b","two\nlines","say ""hi"""\n1,2,3\n')
    assert open_sample(str(tmp_path / "a.csv")).columns == ["a,b", "two\nlines", 'say "hi"']
    first = moved(tmp_path / "a.csv").read_text()
    assert first.startswith('"a,b","two\nlines","say ""hi""",x_moved,')


def test_a_byte_order_mark_stays(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfx\n1\n")
    assert moved(tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfx,x_moved,")
    assert open_sample(str(tmp_path / "a.csv")).columns == ["x"]


def test_one_column_whose_cells_are_empty(tmp_path):
    (tmp_path / "a.csv").write_text('x\n""\n1\n""\n')
    files = open_sample(str(tmp_path / "a.csv"))
    with open_writer(tmp_path / "b.csv", files) as writer:
        for chunk in files.chunks():
            writer.write(chunk)
    assert (tmp_path / "b.csv").read_text() == 'x\n""\n1\n""\n'


def test_other_readers_see_what_they_saw(tmp_path):
    """Python's csv module and pandas, for every cell of the table above at once."""
    columns = [cells_of(name) for name in KEPT]
    longest = max(map(len, columns))
    cells = [[column[i % len(column)] for column in columns] for i in range(longest)]
    header = ",".join(f'"{name}, x"' for name in KEPT)
    (tmp_path / "a.csv").write_text("\n".join([header, *map(",".join, cells), ""]))
    output = moved(tmp_path / "a.csv")
    texts = [path.read_bytes().decode() for path in (tmp_path / "a.csv", output)]
    before, after = (list(csv.reader(io.StringIO(text, newline=""))) for text in texts)
    assert [row[: len(KEPT)] for row in after] == before
    frame = pandas.read_csv(output)[list(pandas.read_csv(tmp_path / "a.csv").columns)]
    pandas.testing.assert_frame_equal(frame, pandas.read_csv(tmp_path / "a.csv"))


def test_used_columns_are_numbers():
    cells = pa.array([None, "NaN", "5.0", " 7 ", "+1.5", "1e400", "True", "false", "007", "n/a"])
    values = text.numbers(cells, "x")
    expected = [np.nan, np.nan, 5, 7, 1.5, np.inf, 1, 0, 7, np.nan]
    np.testing.assert_array_equal(values, expected)
    assert text.numbers(pa.array([None, None], pa.string()), "x").dtype == np.float64
    with pytest.raises(InputError, match="column 'x' holds text .such as 'much'., not a number"):
        text.numbers(pa.array(["1", "much"]), "x")


def test_only_moved_cells_are_written_anew():
    cells = pa.array(["1.10", None, "NaN", "3.000"])
    where = np.array([True, False, False, True])
    new, clipped = text.moved(cells, np.array([1 / 3, -2.0]), where, "x", Allowed(), True)
    assert new.to_pylist() == ["0.3333333333333333", None, "NaN", "-2"] and clipped == 0
    whole, _ = text.moved(cells, np.array([7.0, -2.0]), where, "x", Allowed(True), True)
    assert whole.to_pylist() == ["7", None, "NaN", "-2"]


def test_what_is_written_of_a_float_is_that_float(tmp_path):
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 10.0 ** rng.integers(-300, 300, 2000)), [5e-324, -0.0]])
    (tmp_path / "a.csv").write_text("\n".join(["x", *map(repr, values.tolist()), ""]))
    files = open_sample(str(tmp_path / "a.csv"))
    (chunk,) = files.chunks()
    read = files.numbers(chunk, "x")
    assert read.tobytes() == values.tobytes()
    new, _ = files.moved(chunk, "x", values, np.ones(len(values), bool), Allowed(), False)
    assert text.numbers(new, "x").tobytes() == values.tobytes()


BAD = {
    "a short row": ("pt,eta\n1,2\n7\n3,4\n", "Expected 2 columns, got 1: 7"),
    "a quote that does not close": ('pt,eta\n1,2\n"3,4\n5,6\n', "no readable CSV file"),
    "two columns of one name": ("pt,pt\n1,2\n", "two columns are named 'pt'"),
    "another encoding": ("pt,n\xe4me\n1,2\n", "no readable CSV file .*utf"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_named(tmp_path, name):
    content, message = BAD[name]
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=f"a.csv: .*{message}|a.csv: {message}"):
        list(open_sample(str(tmp_path / "a.csv")).chunks())


def test_a_column_that_csv_cannot_hold_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    files = open_sample(str(tmp_path / "a.csv"))
    with pytest.raises(InputError, match=r"column 'jet' is list<item: int64>, which a CSV"):
        with open_writer(tmp_path / "b.csv", files) as writer:
            writer.write({"jet": pa.array([[1]])})
    assert check_output(files, ["x"], [], set(), Output("replace")) == {
        "x": "string", "flowmorph_moved": "int8"
    }  # fmt: skip
