"""Jets and N-subjettiness: closed-form cases, sliced arrays, the second engine."""

import awkward as ak
import numpy as np
import pytest

from flowmorph.collider import detector, events, jets, lhco, pythia
from flowmorph.errors import InputError


def event(*particles):
    pt, eta, phi = zip(*particles, strict=True)
    return {"pt": list(pt), "eta": list(eta), "phi": list(phi), "label": 0}


@pytest.fixture(scope="module")
def dijets():
    (record,) = pythia.Generator("simple", pythia.PhaseSpace(1100, 2600), seed=3).records(60)
    return events.make_events(detector.simulate(pythia.visible(record), np.random.default_rng(3)))


def test_two_prongs_in_closed_form():
    # Two equal massless particles at angle 0.6, back to back with a single one.
    array = ak.Array([event((100, 0.0, 0.3), (100, 0.0, -0.3), (200, 0.0, np.pi))])
    found = jets.cluster(array)
    assert ak.num(found).tolist() == [2]
    lone, pair = np.argsort(ak.to_numpy(jets.mass(found))[0])
    assert jets.mass(found)[0, pair] == pytest.approx(200 * np.sin(0.3), rel=1e-9)
    assert jets.mass(found)[0, lone] == pytest.approx(0, abs=1e-4)
    assert found.px[0, pair] == pytest.approx(200 * np.cos(0.3), rel=1e-9)
    tau = jets.subjettiness(array, found.constituents[:, int(pair)])
    # One axis in the middle leaves both particles at 0.3; two axes leave nothing.
    assert tau[0] == pytest.approx([0.3, 0.0], abs=1e-6)


def test_three_equal_prongs_in_closed_form():
    array = ak.Array([event((50, 0.0, -0.4), (50, 0.0, 0.0), (50, 0.0, 0.4))])
    tau = jets.subjettiness(array, ak.Array([[0, 1, 2]]))
    # tau_1: axis on the middle one. tau_2: one axis alone, the other beside a pair at 0.4 (beta = 1
    # leaves 0.4 / 3 in total wherever it lies between the two).
    assert tau[0] == pytest.approx([0.8 / 3, 0.4 / 3], rel=1e-3)


def test_jets_are_ordered_by_pt_and_soft_ones_dropped():
    array = ak.Array([event((30, 0, 0), (300, 1, 2), (19, -2, -2), (100, -1, -1))])
    found = jets.cluster(array)
    assert np.hypot(found.px, found.py)[0].tolist() == pytest.approx([300, 100, 30])
    assert found.constituents[0].tolist() == [[1], [3], [0]]


def test_constituents_add_up_to_their_jet(dijets):
    found = jets.cluster(dijets)
    momenta = jets.four_momenta(dijets)
    for i in (0, 1):
        mine = momenta[found.constituents[:, i]]
        for ours, theirs in (("px", "px"), ("pz", "pz"), ("e", "E")):
            np.testing.assert_allclose(found[ours][:, i], ak.sum(mine[theirs], axis=1), rtol=1e-9)


def test_jets_do_not_depend_on_the_neighbours(dijets):
    """Slices share memory with their parent: the known way to cluster the wrong particles."""
    whole = jets.cluster(dijets)
    tau = jets.subjettiness(dijets, whole.constituents[:, 0])
    for chosen in (slice(7, 23), slice(None, None, 3), np.array([40, 2, 11]), slice(59, 60)):
        part = dijets[chosen]
        again = jets.cluster(part)
        assert again.tolist() == whole[chosen].tolist()
        assert (jets.subjettiness(part, again.constituents[:, 0]) == tau[chosen]).all()


def test_empty_events_and_arrays(dijets):
    array = ak.concatenate([dijets[:2], dijets[:1][["pt", "eta", "phi", "label"]][:0]])
    assert len(jets.cluster(array[:0])) == 0
    nobody = ak.Array([event((300, 0.0, 0.0)), {"pt": [], "eta": [], "phi": [], "label": 0}])
    assert ak.num(jets.cluster(nobody)).tolist() == [1, 0]
    assert jets.subjettiness(dijets[:0], ak.Array([[0]])[:0]).shape == (0, 2)


def test_radius_decides():
    array = ak.Array([event((100, 0.0, 0.0), (100, 0.0, 0.7))])
    assert ak.num(jets.cluster(array, radius=1.0)).tolist() == [1]
    assert ak.num(jets.cluster(array, radius=0.5)).tolist() == [2]


def test_unknown_engine(dijets):
    with pytest.raises(InputError, match="unknown jet engine 'sisjet'"):
        jets.cluster(dijets, engine="sisjet")


def test_banner_is_silent(capfd, dijets):
    jets.cluster(dijets[:1])
    assert capfd.readouterr().out == ""


def same_jets(array):
    ours, theirs = (jets.cluster(array, engine=engine) for engine in ("fastjet", "pyjet"))
    assert ak.num(ours).tolist() == ak.num(theirs).tolist()
    for name in ("px", "py", "pz", "e"):
        np.testing.assert_allclose(
            ak.flatten(ours[name]), ak.flatten(theirs[name]), rtol=1e-9, atol=1e-6
        )
    members = [ak.sort(found.constituents, axis=2).tolist() for found in (ours, theirs)]
    assert members[0] == members[1]
    for i in (0, 1):
        tau = [jets.subjettiness(array, found.constituents[:, i]) for found in (ours, theirs)]
        np.testing.assert_allclose(*tau, rtol=1e-9)


def test_engines_give_equal_jets_on_generated_events(dijets):
    pytest.importorskip("pyjet", reason="second jet engine not installed")
    same_jets(dijets)


def test_engines_give_equal_jets_on_real_events(lhco_tiny):
    pytest.importorskip("pyjet", reason="second jet engine not installed")
    same_jets(lhco.read_lhco(lhco_tiny, 0, 60))


def test_pyjet_absent(monkeypatch, dijets):
    monkeypatch.setitem(__import__("sys").modules, "pyjet", None)
    with pytest.raises(InputError, match="pyjet cannot be imported"):
        jets.cluster(dijets, engine="pyjet")
