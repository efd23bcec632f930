"""Generated events: determinism, silence, selection, and the detector's documented behaviour."""

import awkward as ak
import numpy as np
import pytest

from flowmorph.collider import detector, events, jets, lhco, pythia
from flowmorph.errors import InputError

CUTS = pythia.PhaseSpace(1100, 2600)
EARLY = pythia.PhaseSpace(900, 2200, -1, jet_pt_min=1100, mass_min=2650, mass_max=4300)


def particles_of(*rows):
    """One event of (id, px, py, pz, e)."""
    names = ("id", "px", "py", "pz", "e")
    return ak.Array([[dict(zip(names, row, strict=True)) for row in rows]])


def many(code, pt, eta, count, mass=0.0):
    """``count`` events with one particle each."""
    pz, e = pt * np.sinh(eta), np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    ones = np.ones(count)
    flat = ak.zip(
        {
            "id": code * ones.astype(int),
            "px": 0 * ones,
            "py": pt * ones,
            "pz": pz * ones,
            "e": e * ones,
        }
    )
    return ak.unflatten(flat, np.ones(count, dtype=int))


@pytest.mark.parametrize("shower", sorted(pythia.SHOWERS))
def test_seed_decides_and_nothing_is_printed(shower, capfd):
    def generate(seed):
        (record,) = pythia.Generator(shower, EARLY, seed).records(5)
        return detector.simulate(pythia.visible(record), np.random.default_rng(seed)).tolist()

    first = generate(2**62 + 7)
    assert generate(2**62 + 7) == first
    assert generate(2**62 + 8) != first
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_showers_differ():
    sizes = []
    for shower in ("simple", "vincia"):
        (record,) = pythia.Generator(shower, CUTS, 4).records(3)
        sizes.append(ak.num(record.prt).tolist())
    assert sizes[0] != sizes[1]


def test_number_of_events_and_visible_particles():
    generator = pythia.Generator("simple", CUTS, 9)
    found = [pythia.visible(record) for record in generator.records(11, size=4)]
    assert [len(batch) for batch in found] == [4, 4, 3]
    everything = ak.flatten(ak.concatenate(found))
    assert not np.isin(np.abs(ak.to_numpy(everything.id)), pythia.INVISIBLE).any()
    # What is seen carries the collision's energy and momentum, up to a few neutrinos.
    energy, px, py = (ak.to_numpy(ak.sum(found[0][name], axis=1)) for name in ("e", "px", "py"))
    assert (energy > 11_000).all() and (energy < 13_000.01).all()
    missing = np.hypot(px, py)
    assert (missing < 400).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("herwig", CUTS, 1), "unknown shower 'herwig': choose one of simple, vincia"),
        (("simple", CUTS, -1), "seed -1 is negative"),
        (("simple", CUTS, 1, ("No:such = on",)), "does not accept the setting 'No:such = on'"),
    ],
)
def test_bad_arguments(arguments, message, capfd):
    with pytest.raises(InputError, match=message):
        pythia.Generator(*arguments)
    assert capfd.readouterr().out == ""


def test_impossible_cuts():
    with pytest.raises(InputError, match="does not start"):
        pythia.Generator("simple", pythia.PhaseSpace(7000, 2600), 1)


@pytest.mark.parametrize("shower", ["simple", "vincia"])
@pytest.mark.parametrize(
    "cuts", [{"jet_pt_min": 6400}, {"mass_min": 4400, "mass_max": 2600}, {"mass_min": 12_900}]
)
def test_a_generator_gives_up_where_the_early_look_keeps_nothing(shower, cuts, monkeypatch):
    """Pythia alone would go on for ever."""
    monkeypatch.setattr(pythia, "MOST_VETOES", 300)
    generator = pythia.Generator(shower, pythia.PhaseSpace(900, 2200, **cuts), 6)
    with pytest.raises(InputError, match="none of 300 events in a row: lower early_jet_pt_gev"):
        next(generator.records(5))


def test_events_that_are_kept_end_a_row_of_others(monkeypatch):
    monkeypatch.setattr(pythia, "MOST_VETOES", 100)
    generator = pythia.Generator("simple", EARLY, 6)
    (record,) = generator.records(60)
    assert len(record) == 60 and generator.early.trials > 100


@pytest.mark.parametrize("shower", ["simple", "vincia"])
def test_early_look(shower):
    """Abandoned events are replaced, and the jets that were seen early are the final ones."""
    generator = pythia.Generator(shower, EARLY, 6)
    (record,) = generator.records(40)
    assert len(record) == 40
    assert generator.early.trials > 60
    seen = events.make_events(detector.simulate(pythia.visible(record), np.random.default_rng(1)))
    pair = jets.cluster(seen)[:, :2]
    total = [ak.to_numpy(ak.sum(pair[name], axis=1)) for name in ("e", "px", "py", "pz")]
    mass = np.sqrt(total[0] ** 2 - total[1] ** 2 - total[2] ** 2 - total[3] ** 2)
    inside = (mass > 2650 / 1.1) & (mass < 4300 * 1.1)
    assert inside.mean() > 0.95
    assert np.median(np.hypot(pair.px, pair.py)[:, 0]) > 1100
    weights = ak.to_numpy(ak.flatten(record.info.weights))
    assert (weights == 1).all()


def test_objects_are_those_of_the_real_events(lhco_tiny):
    """Numbers of objects in ranges of pT and eta, against Delphes' own."""
    generator = pythia.Generator("simple", EARLY, 2)
    (record,) = generator.records(200)
    ours = events.make_events(detector.simulate(pythia.visible(record), np.random.default_rng(2)))
    real = lhco.read_lhco(lhco_tiny, 0, 1000, signal_fraction=0)
    for low, high, field, tolerance in (
        (0.0, 1e9, "pt", 0.08),
        (0.0, 1.0, "pt", 0.12),
        (1.0, 10.0, "pt", 0.08),
        (10.0, 1e9, "pt", 0.08),
        (0.0, 2.5, "eta", 0.08),
        (2.5, 5.0, "eta", 0.15),
    ):
        counts = []
        for sample in (ours, real):
            value = abs(sample[field])
            counts.append(ak.mean(ak.sum((value >= low) & (value < high), axis=1)))
        assert counts[0] == pytest.approx(counts[1], rel=tolerance), (field, low, high)


def test_straight_and_bent_paths():
    pt, eta, phi = np.array([2.0, 2.0, 2.0, 0.2]), np.array([0.5, 0.5, -0.5, 2.0]), np.zeros(4)
    charges = np.array([0, 1, -1, 1])
    eta_calo, phi_calo = detector.propagate(pt, eta, phi, charges)
    assert (eta_calo[0], phi_calo[0]) == (0.5, 0.0)
    # Half the turning angle is asin(R / 2r) with r = pT / (0.3 B) = 1.7553 m.
    turn = np.arcsin(1.29 / (2 * 2.0 / (0.29979 * 3.8)))
    assert phi_calo[1:3] == pytest.approx([-turn, turn], rel=1e-12)
    # The longer path takes it further along the beam.
    assert eta_calo[1] == pytest.approx(np.arcsinh(turn / np.sin(turn) * np.sinh(0.5)))
    assert eta_calo[2] == -eta_calo[1]
    # Too soft for the barrel: it ends in the endcap, near the beam.
    assert eta_calo[3] > 2.5


def test_tower_grids():
    for calorimeter in (detector.ECAL, detector.HCAL):
        edges = calorimeter.eta_edges
        assert len(edges) == len(calorimeter.phi_bins) + 1
        assert (np.diff(edges) > 0).all() and edges[0] == -5 and edges[-1] == 5
        middle = 0.5 * (edges[1:] + edges[:-1])
        numbers = calorimeter.towers(middle, np.full(len(middle), -np.pi + 1e-9))
        assert numbers.tolist() == np.cumsum([0, *calorimeter.phi_bins[:-1]]).tolist()
        assert calorimeter.towers(np.array([5.1, -5.1]), np.zeros(2)).tolist() == [-1, -1]
        # Azimuth pi and -pi are one place.
        assert np.ptp(calorimeter.towers(np.zeros(2) + 0.01, np.array([np.pi, -np.pi]))) == 0


def test_photons_have_the_calorimeter_resolution():
    seen = detector.simulate(many(22, 100.0, 0.3, 4000), np.random.default_rng(1))
    energy = ak.to_numpy(ak.flatten(seen.pt * np.cosh(seen.eta)))
    true = 100 * np.cosh(0.3)
    expected = (1 + 0.64 * 0.3**2) * np.sqrt((0.008 * true) ** 2 + 0.11**2 * true + 0.4**2)
    assert len(energy) == 4000
    assert energy.mean() == pytest.approx(true, rel=1e-3)
    assert energy.std() == pytest.approx(expected, rel=0.05)


def test_tracks_have_their_efficiency():
    seen = detector.simulate(many(13, 50.0, 0.3, 4000), np.random.default_rng(1))
    assert ak.sum(ak.num(seen)) / 4000 == pytest.approx(0.99, abs=0.01)
    pt = ak.to_numpy(ak.flatten(seen.pt))
    assert pt.std() == pytest.approx(50 * np.hypot(0.01, 50 * 1e-4), rel=0.05)
    assert abs(ak.to_numpy(ak.flatten(seen.eta)) - 0.3).max() < 1e-6


def test_charged_hadron_is_counted_once():
    """Track and tower of one pion make one object of about its energy."""
    seen = detector.simulate(many(211, 200.0, 0.3, 4000, mass=0.14), np.random.default_rng(1))
    total = ak.to_numpy(ak.sum(seen.pt, axis=1))
    # Whichever detector is better at 200 GeV (the calorimeter: 11 %) rules; an upward fluctuation
    # of the tower over the track is a spurious neutral hadron, as in Delphes.
    assert np.median(total) == pytest.approx(200, rel=0.05)
    assert total.std() < 0.4 * 200


def test_acceptance():
    rng = np.random.default_rng(1)
    assert ak.sum(ak.num(detector.simulate(many(22, 10.0, 5.2, 50), rng))) == 0
    assert ak.sum(ak.num(detector.simulate(many(211, 0.05, 0.0, 50, mass=0.14), rng))) == 0
    assert ak.sum(ak.num(detector.simulate(many(22, 0.3, 0.0, 200), rng))) < 20
    forward = detector.simulate(many(211, 30.0, 4.0, 200, mass=0.14), rng)
    assert ak.mean(ak.num(forward)) > 0.95


def test_empty_events():
    rng = np.random.default_rng(1)
    assert detector.simulate(many(22, 10.0, 0.0, 2)[:, :0], rng).tolist() == [[], []]
    lone = detector.simulate(particles_of((22, 0.0, 50.0, 0.0, 50.0)), rng)
    assert ak.num(lone).tolist() == [1]


def test_result_is_what_the_event_writer_takes():
    seen = detector.simulate(many(22, 100.0, 1.0, 3), np.random.default_rng(1))
    assert "pt: float32, eta: float32, phi: float32" in str(seen.type)
