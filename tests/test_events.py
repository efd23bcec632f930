"""Event chunks: parquet there and back, row ranges of LHC Olympics files, bad input."""

import tracemalloc

import awkward as ak
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
import tables

from flowmorph.collider import events, lhco
from flowmorph.errors import InputError


def lhco_rows(count, seed=1, label=True):
    """Rows in the LHC Olympics layout with 3 to 9 particles an event."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((count, 2101 if label else 2100))
    for row in rows:
        particles = rng.integers(3, 10)
        values = np.stack(
            [
                rng.exponential(50, particles),
                rng.normal(0, 1, particles),
                rng.uniform(-3, 3, particles),
            ]
        )
        row[: 3 * particles] = values.T.ravel()
    if label:
        rows[:, 2100] = rng.random(count) < 0.3
    return rows


def write_lhco(path, rows, key="df"):
    pandas.DataFrame(rows).to_hdf(path, key=key, mode="w", complib="blosc", complevel=5)
    return path


@pytest.fixture
def chunk():
    return lhco._unpack(lhco_rows(40))


def test_parquet_keeps_every_bit(chunk, tmp_path):
    events.write_events(tmp_path / "a.parquet", chunk)
    again = events.read_events(tmp_path / "a.parquet")
    assert again.tolist() == chunk.tolist()
    assert str(again.type) == str(chunk.type)
    assert "float32" in str(again.type) and "label: int8" in str(again.type)


def test_equal_events_give_equal_bytes(chunk, tmp_path):
    for name in ("a", "b"):
        events.write_events(tmp_path / f"{name}.parquet", chunk)
    # A slice has other buffers but is the same events.
    events.write_events(tmp_path / "c.parquet", ak.concatenate([chunk, chunk])[40:])
    first = (tmp_path / "a.parquet").read_bytes()
    assert (tmp_path / "b.parquet").read_bytes() == first
    assert (tmp_path / "c.parquet").read_bytes() == first


def test_empty_chunk_and_empty_event(tmp_path, chunk):
    empty = events.make_events(ak.Array([[{"pt": 1.0, "eta": 0.0, "phi": 0.0}]])[:, :0])
    for name, some in (("none", chunk[:0]), ("hollow", empty)):
        events.write_events(tmp_path / name, some)
        assert events.read_events(tmp_path / name).tolist() == some.tolist()


@pytest.mark.parametrize(("start", "stop"), [(0, 40), (0, 1), (39, 40), (7, 31)])
def test_row_ranges(tmp_path, start, stop, monkeypatch):
    monkeypatch.setattr(lhco, "BLOCK_ROWS", 9)
    rows = lhco_rows(40)
    path = write_lhco(tmp_path / "x.h5", rows)
    read = lhco.read_lhco(path, start, stop)
    assert read.tolist() == lhco._unpack(rows[start:stop]).tolist()
    assert read.label.tolist() == rows[start:stop, 2100].tolist()
    quiet = lhco.read_lhco(path, start, stop, signal_fraction=0)
    assert quiet.tolist() == read[read.label == 0].tolist()


def test_file_without_labels_is_background(tmp_path):
    path = write_lhco(tmp_path / "x.h5", lhco_rows(5, label=False))
    assert lhco.lhco_rows(path) == 5
    assert lhco.read_lhco(path, 0, 5, signal_fraction=0).label.tolist() == [0] * 5


def test_real_events(lhco_tiny):
    """Facts of the file as its README states them."""
    assert lhco.lhco_rows(lhco_tiny) == 1000
    whole = lhco.read_lhco(lhco_tiny, 0, 1000)
    assert ak.sum(whole.label) == 93
    assert ak.mean(ak.num(whole.pt)) == pytest.approx(170, abs=0.5)
    assert ak.max(abs(whole.eta)) < 5
    assert lhco.read_lhco(lhco_tiny, 250, 260).tolist() == whole[250:260].tolist()
    assert len(lhco.read_lhco(lhco_tiny, 0, 1000, signal_fraction=0)) == 907


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(lhco, "BLOCK_ROWS", 100)
    path = write_lhco(tmp_path / "x.h5", lhco_rows(3000))
    lhco.read_lhco(path, 0, 1)
    tracemalloc.start()
    lhco.read_lhco(path, 100, 2900)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 2101 * 8 / 4


def test_rows_outside_the_file(tmp_path):
    path = write_lhco(tmp_path / "x.h5", lhco_rows(5))
    for start, stop in ((0, 6), (-1, 3), (3, 3), (4, 2)):
        with pytest.raises(
            InputError, match=f"x.h5: rows {start} to {stop} asked for, but it has 5"
        ):
            lhco.read_lhco(path, start, stop)


def test_missing_files(tmp_path):
    for read in (events.read_events, lhco.lhco_rows):
        with pytest.raises(InputError, match="nowhere: no such file"):
            read(tmp_path / "nowhere")


@pytest.mark.parametrize("size", [0, 100, 20_000])
def test_truncated_hdf5(tmp_path, size):
    path = write_lhco(tmp_path / "x.h5", lhco_rows(500))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="x.h5: .*truncated"):
        lhco.read_lhco(path, 0, 500)


def test_damaged_hdf5(tmp_path):
    path = write_lhco(tmp_path / "x.h5", lhco_rows(500))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle - 2000 : middle + 2000] = bytes(4000)
    path.write_bytes(data)
    with pytest.raises(InputError, match="x.h5: rows 0 to 500 cannot be read"):
        lhco.read_lhco(path, 0, 500)


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_truncated_parquet(chunk, tmp_path, cut):
    path = tmp_path / "a.parquet"
    events.write_events(path, chunk)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="a.parquet: no readable parquet file"):
        events.read_events(path)


def test_hdf5_without_df(tmp_path):
    path = write_lhco(tmp_path / "x.h5", lhco_rows(3), key="events")
    with pytest.raises(InputError, match="x.h5: no key 'df' .it has events."):
        lhco.read_lhco(path, 0, 3)


def test_hdf5_of_another_layout(tmp_path):
    path = write_lhco(tmp_path / "x.h5", np.zeros((3, 14)))
    with pytest.raises(InputError, match="2100 or 2101 expected"):
        lhco.read_lhco(path, 0, 3)
    with tables.open_file(tmp_path / "y.h5", "w") as file:
        file.create_table("/", "df", {"pt": tables.Float32Col()})
    with pytest.raises(InputError, match="y.h5: 'df' is not in pandas' fixed format"):
        lhco.read_lhco(tmp_path / "y.h5", 0, 3)


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (0, np.nan, "negative or non-finite pt"),
        (3, -2.0, "negative or non-finite pt"),
        (1, np.inf, "non-finite eta"),
        (5, np.nan, "non-finite phi"),
    ],
)
def test_particles_that_cannot_be(tmp_path, column, value, what, monkeypatch):
    monkeypatch.setattr(lhco, "BLOCK_ROWS", 4)
    rows = lhco_rows(12)
    rows[9, column] = value
    path = write_lhco(tmp_path / "x.h5", rows)
    with pytest.raises(InputError, match=f"x.h5: event 9 has a particle with {what}"):
        lhco.read_lhco(path, 0, 12)
    events.write_events(tmp_path / "a.parquet", lhco._unpack(rows))
    with pytest.raises(InputError, match=f"a.parquet: event 9 has a particle with {what}"):
        events.read_events(tmp_path / "a.parquet")


def test_parquet_of_another_layout(tmp_path):
    lists = pyarrow.array([[1.0, 2.0], [3.0]])
    shorter = pyarrow.array([[1.0], [3.0]])
    label = pyarrow.array([0, 0])
    cases = {
        "column 'label' is missing": {"pt": lists, "eta": lists, "phi": lists},
        "different numbers": {"pt": lists, "eta": shorter, "phi": lists, "label": label},
        "must be lists of numbers": {"pt": label, "eta": lists, "phi": lists, "label": label},
    }
    for message, columns in cases.items():
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
        with pytest.raises(InputError, match=message):
            events.read_events(tmp_path / "a.parquet")
