"""Toys: samples follow the densities, which are normalised, safe and of published entropy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flowmorph.errors import InputError
from flowmorph.samples import toys

# toy_entropy_nats of the reference numbers, to the digits given there.
ENTROPY = {"fourcircles": 2.870, "star": 1.286, "checkerboard": 3.4657359}
ANGLES = [7.5, 15, 22.5, 30, 37.5, 45]
BOX = 4.4


def midpoints(cells, low=-BOX, high=BOX):
    edges = np.linspace(low, high, cells + 1)
    x, y = np.meshgrid((edges[1:] + edges[:-1]) / 2, (edges[1:] + edges[:-1]) / 2, indexing="ij")
    return edges, np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize("name", toys.TOYS)
def test_density_integrates_to_one(name):
    edges, points = midpoints(880)  # the checkerboard's edges fall on edges of these cells
    total = np.exp(toys.log_density(name, points)).sum() * (edges[1] - edges[0]) ** 2
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", toys.TOYS)
@pytest.mark.parametrize("angle", [7.5, 37.5, 200])
def test_rotated_density_integrates_to_one(name, angle):
    edges, points = midpoints(880)
    log_p = toys.log_density_rotated(name, points, np.full((len(points), 1), angle / 45))
    total = np.exp(log_p).sum() * (edges[1] - edges[0]) ** 2
    tolerance = 2e-3 if name == "checkerboard" else 1e-9  # its sharp edges cross grid cells
    assert total == pytest.approx(1, abs=tolerance)


def chi2_pvalue(x, log_density, cells=44, fine=10):
    """Compare a histogram with the density integrated over the same cells."""
    edges, points = midpoints(cells * fine)
    p = np.exp(log_density(points)) * (edges[1] - edges[0]) ** 2
    expected = len(x) * p.reshape(cells, fine, cells, fine).sum(axis=(1, 3))
    counts = np.histogram2d(*x.T, bins=edges[::fine])[0]
    enough = expected > 10
    assert counts[expected == 0].sum() == 0
    rest_expected = len(x) - expected[enough].sum()
    observed = np.append(counts[enough], len(x) - counts[enough].sum())
    expected = np.append(expected[enough], rest_expected)
    if rest_expected < 10:
        observed, expected = observed[:-1], expected[:-1]
    return stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(expected) - 1)


@pytest.mark.parametrize("name", toys.TOYS)
def test_samples_follow_the_density(name):
    x = toys.sample_toy(name, 200_000, np.random.default_rng(1))
    assert x.shape == (200_000, 2) and x.dtype == np.float64
    assert chi2_pvalue(x, lambda points: toys.log_density(name, points)) > 1e-3


@pytest.mark.parametrize("name", ["fourcircles", "star"])
def test_chi2_would_see_a_slightly_wrong_width(name, monkeypatch):
    x = toys.sample_toy(name, 200_000, np.random.default_rng(1))
    monkeypatch.setattr(toys, "SMEAR", 0.103)
    assert chi2_pvalue(x, lambda points: toys.log_density(name, points)) < 1e-3


@pytest.mark.parametrize("name", ["fourcircles", "star"])
def test_rotated_samples_follow_the_density(name):
    x, condition = toys.sample_rotated_toy(name, 200_000, [30.0], np.random.default_rng(2))
    assert np.unique(condition) == pytest.approx([30 / 45])

    def log_density(points):
        return toys.log_density_rotated(name, points, np.full((len(points), 1), 30 / 45))

    assert chi2_pvalue(x, log_density) > 1e-3


@pytest.mark.parametrize("sign", [1, -1], ids=["counterclockwise", "clockwise"])
@pytest.mark.parametrize("name", toys.TOYS)
def test_rotation_turns_by_the_angle_and_scales(name, sign):
    angles = [sign * angle for angle in ANGLES]
    x, condition = toys.sample_rotated_toy(name, 1000, angles, np.random.default_rng(3))
    plain = toys.sample_toy(name, 1000, np.random.default_rng(3))
    assert condition.shape == (1000, 1)
    assert set(np.round(condition[:, 0] * 45, 9)) == set(angles)
    turned = (x[:, 0] + 1j * x[:, 1]) / (plain[:, 0] + 1j * plain[:, 1])
    assert np.abs(turned) == pytest.approx(math.sqrt(0.5))
    assert np.rad2deg(np.angle(turned)) == pytest.approx(condition[:, 0] * 45)
    assert toys.log_density_rotated(name, x, condition) == pytest.approx(
        toys.log_density(name, plain) + math.log(2)
    )
    assert np.abs(toys.sample_rotated_toy("checkerboard", 5000, angles, plain_rng())[0]).max() <= 4


def plain_rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("name", toys.TOYS)
def test_entropies_are_the_published_ones(name):
    edges, points = midpoints(880)
    log_p = toys.log_density(name, points)
    p = np.exp(log_p)
    entropy = -(p * np.where(p > 0, log_p, 0)).sum() * (edges[1] - edges[0]) ** 2
    digits = 7 if name == "checkerboard" else 3
    # Published from 4e5 samples: the last digit of three carries a statistical error of about one.
    assert entropy == pytest.approx(ENTROPY[name], abs=1.5 * 10**-digits)
    sampled = -toys.log_density(name, toys.sample_toy(name, 400_000, plain_rng()))
    assert sampled.mean() == pytest.approx(
        entropy, abs=4 * sampled.std() / math.sqrt(400_000) + 1e-12
    )


def test_densities_at_points_known_by_hand():
    at = np.array([[1e-9, 0.5], [2.1, 1.0], [-2.1, 1.0], [4.5, 0.0]])
    assert toys.log_density("checkerboard", at) == pytest.approx(
        [-math.log(32), -np.inf, -math.log(32), -np.inf]
    )
    # One arm only at its middle: (1/4) (1/2) / (sqrt(2 pi) 0.1).
    star = toys.log_density("star", np.array([[1.6, 0.0], [0.0, -1.6]]))
    assert star == pytest.approx(math.log(1 / 8 / (math.sqrt(2 * math.pi) * 0.1)), abs=1e-12)
    # The rings about (-1, 1) and (1, -1) pass through (1, 1), the other two are far from it.
    ring = stats.norm.pdf(0, scale=0.1) / (2 * math.pi * 2)
    middle = toys.log_density("fourcircles", np.array([[1.0, 1.0]]))
    assert middle == pytest.approx(math.log(2 * ring / 4), abs=1e-3)


@pytest.mark.parametrize("name", toys.TOYS)
def test_single_precision_points_keep_their_density(name):
    x = toys.sample_toy(name, 300_000, np.random.default_rng(7)).astype(np.float32)
    assert np.isfinite(toys.log_density(name, x)).all()
    x, condition = toys.sample_rotated_toy(name, 300_000, ANGLES, np.random.default_rng(8))
    log_p = toys.log_density_rotated(name, x.astype(np.float32), condition.astype(np.float32))
    assert np.isfinite(log_p).all()


def test_checkerboard_edges_belong_to_the_squares():
    nudged = np.array([[2.0, 1.0], [2.0000005, 1.0], [4.0, 3.0], [-4.0, -4.0], [4.0000005, 3.0]])
    assert np.isfinite(toys.log_density("checkerboard", nudged)).all()
    outside = np.array([[2.00001, 1.0], [4.00001, 3.0], [5.0, 2.0]])
    assert np.isneginf(toys.log_density("checkerboard", outside)).all()


coordinate = st.floats(-1e150, 1e150)


@settings(deadline=None)  # cores may be shared
@given(st.sampled_from(["fourcircles", "star"]), coordinate, coordinate)
def test_log_density_is_finite_everywhere(name, x, y):
    assert np.isfinite(toys.log_density(name, np.array([[x, y]]))).all()
    assert np.isfinite(toys.log_density_rotated(name, np.array([[x, y]]), np.array([[0.5]]))).all()


@settings(deadline=None)  # cores may be shared
@given(st.sampled_from(toys.TOYS), st.floats(-10, 10), st.floats(-10, 10))
def test_densities_have_the_symmetry_of_their_toy(name, x, y):
    half_turn = toys.log_density(name, np.array([[x, y], [-x, -y]]))
    assert half_turn[0] == pytest.approx(half_turn[1], abs=1e-9)


def test_same_seed_gives_the_same_points():
    for name in toys.TOYS:
        first = toys.sample_toy(name, 100, np.random.default_rng(9))
        assert np.array_equal(first, toys.sample_toy(name, 100, np.random.default_rng(9)))


def test_unknown_toy_is_named_with_the_choices():
    with pytest.raises(InputError, match="'moons'.*fourcircles, star, checkerboard"):
        toys.sample_toy("moons", 1, plain_rng())
    with pytest.raises(InputError, match="unknown toy"):
        toys.log_density("moons", np.zeros((1, 2)))
    with pytest.raises(InputError, match="at least one angle"):
        toys.sample_rotated_toy("star", 1, [], plain_rng())
