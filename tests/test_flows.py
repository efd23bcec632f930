"""Flows: the same mathematics as nflows, exact derivatives, safe on any finite input."""

from __future__ import annotations

import copy
import fcntl

import pytest
import torch
from nflows.transforms import CompositeTransform
from torch.autograd.functional import jacobian

from flowmorph.errors import InputError
from flowmorph.flows import engine, storage
from flowmorph.flows.flow import Architecture, Flow
from flowmorph.flows.made import Shape

# In float32 single points differ by what nflows itself differs from float64, so the mean is held.
MEAN_TOLERANCE = 1e-5


def architecture(features=2, context=0, layers=4, blocks=2, width=24, bins=8) -> Architecture:
    return Architecture(features, context, layers, blocks, width, bins, tail_bound=4.0)


def random_flow(arch: Architecture, dtype=torch.float64, spread=0.1, seed=0) -> Flow:
    torch.manual_seed(seed)
    flow = Flow(arch)
    with torch.no_grad():
        flow.flat += spread * torch.randn_like(flow.flat) * flow.mask
    return flow.to(dtype)


def points(features: int, context: int, dtype, number=300):
    # Some lie inside the splines' box, some outside, some on its edge.
    x = 3 * torch.randn(features, number, dtype=dtype)
    x[:, :2] = torch.tensor([4.0, -4.0], dtype=dtype)
    return x, torch.randn(context, number, dtype=dtype) if context else None


def nflows_parameters_as_flat(flow: Flow, transform: CompositeTransform, values) -> torch.Tensor:
    """Put one tensor per nflows parameter into the order of our flat parameter."""
    for parameter, value in zip(transform.parameters(), values, strict=True):
        parameter.data.copy_(torch.zeros_like(parameter) if value is None else value)
    other = Flow(flow.arch).to(flow.flat.dtype)
    other.read_nflows(transform)
    return other.flat.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("features", range(1, 9))
def test_agrees_with_nflows_in_value_and_gradient(features, context, inverse, dtype):
    flow = random_flow(architecture(features, context), dtype, spread=0.02)
    transform = flow.to_nflows()
    x, c = points(features, context, dtype)
    ours, theirs = x.clone().requires_grad_(), x.T.clone().requires_grad_()
    y, log_det = (flow.inverse if inverse else flow.forward)(ours, c)
    y_n, log_det_n = (transform.inverse if inverse else transform.forward)(
        theirs, None if c is None else c.T
    )
    if dtype == torch.float64:
        torch.testing.assert_close(y, y_n.T, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(log_det, log_det_n, rtol=1e-10, atol=1e-10)
    else:
        assert (y - y_n.T).abs().mean() < MEAN_TOLERANCE
        assert (log_det - log_det_n).abs().mean() < MEAN_TOLERANCE
        exact = copy.deepcopy(flow).double()
        with torch.no_grad():
            y_64, log_det_64 = (exact.inverse if inverse else exact.forward)(
                x.double(), None if c is None else c.double()
            )
        for mine, its, truth in ((y, y_n.T, y_64), (log_det, log_det_n, log_det_64)):
            own_error = (its - truth).abs().max()
            assert (mine - truth).abs().max() <= 4 * own_error + MEAN_TOLERANCE

    def gradients(apply, x, c, chosen, *weights):
        y, log_det = apply(x, c)
        loss = (weight.to(y.dtype) * y)[:, chosen].sum() + log_det[chosen].sum()
        return torch.autograd.grad(loss, (x, *weights), allow_unused=True)

    def gradients_n(chosen):
        def apply(x, c):
            y, log_det = (transform.inverse if inverse else transform.forward)(x, c)
            return y.T, log_det

        g_x, *g_n = gradients(
            apply, theirs, None if c is None else c.T, chosen, *transform.parameters()
        )
        return g_x.T, nflows_parameters_as_flat(flow, transform, g_n)

    # A log-determinant has a kink at the edge of the box: rounding decides on which side the points
    # on the edge are after a layer. They are compared in value only.
    weight, off_edge = torch.randn_like(y), torch.arange(y.shape[1]) >= 2
    apply = flow.inverse if inverse else flow.forward
    if dtype == torch.float64:
        for mine, its in zip(
            gradients(apply, ours, c, off_edge, flow.flat), gradients_n(off_edge), strict=True
        ):
            assert (mine - its).norm() <= 1e-9 * mine.norm()
        return
    exact_x, exact_c = x.double().requires_grad_(), None if c is None else c.double()
    exact_apply = exact.inverse if inverse else exact.forward
    # So it has at every knot, only smaller: few points are that close to one in some layer.
    truth = gradients(exact_apply, exact_x, exact_c, off_edge)[0]
    errors = (gradients(apply, ours, c, off_edge)[0] - truth).norm(dim=0)
    smooth = off_edge & (errors <= 1e-4 * truth.norm(dim=0))
    assert smooth.float().mean() > 0.95
    mine = gradients(apply, ours, c, smooth, flow.flat)
    truths = gradients(exact_apply, exact_x, exact_c, smooth, exact.flat)
    for own, its, truth in zip(mine, gradients_n(smooth), truths, strict=True):
        assert (own - truth).norm() <= 1e-4 * truth.norm()
        assert (its - truth).norm() <= 1e-2 * truth.norm()  # a sum over the same points


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("layers", [1, 3, 4])
def test_inverse_and_log_determinant(features, context, layers):
    # Steeper layers in sequence are beyond what double precision can invert to nine digits.
    flow = random_flow(architecture(features, context, layers), spread=0.04)
    x, c = points(features, context, torch.float64, 20)
    y, log_det = flow(x, c)
    back, log_det_back = flow.inverse(y, c)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-8, atol=1e-8)
    for n in range(2, 6):
        given = None if c is None else c[:, n : n + 1]
        matrix = jacobian(lambda v, given=given: flow(v[:, None], given)[0][:, 0], x[:, n])
        torch.testing.assert_close(torch.linalg.slogdet(matrix)[1], log_det[n].detach())


def test_gradients_by_finite_differences():
    flow = random_flow(architecture(3, 1, layers=2, blocks=1, width=6), spread=0.3)
    x, c = torch.randn(3, 4, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    for apply in (flow.forward, flow.inverse):
        assert torch.autograd.gradcheck(lambda v, apply=apply: apply(v, c), x.requires_grad_())


def test_every_weight_that_exists_gets_a_gradient():
    flow = random_flow(architecture(4, 1), spread=0.2)
    x, c = points(4, 1, torch.float64, 2000)
    for apply in (flow.forward, flow.inverse):
        y, log_det = apply(x, c)
        (grad,) = torch.autograd.grad(y.square().sum() + log_det.sum(), flow.flat)
        assert torch.all(grad[flow.mask == 0] == 0)
        missing = (grad == 0) & (flow.mask == 1)
        # Units that are never active are the exception, and rare.
        assert missing.double().mean() < 0.02


@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("layers", [3, 4, 8])
def test_identity_initialization_is_the_identity(features, layers):
    torch.manual_seed(1)
    flow = Flow(architecture(features, 1, layers), identity=True)
    x, c = points(features, 1, torch.float32)
    for apply in (flow.forward, flow.inverse):
        y, log_det = apply(x, c)
        # With an odd number of layers the features stay reversed between the layers only.
        torch.testing.assert_close(y, x, rtol=0, atol=1e-6)
        torch.testing.assert_close(log_det, torch.zeros_like(log_det), rtol=0, atol=1e-5)


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
def test_finite_on_any_finite_input(spread, inverse):
    flow = random_flow(architecture(3), torch.float32, spread)
    edge = torch.tensor(4.0)
    special = torch.tensor(
        [0.0, -0.0, 1e-45, -1e-45, 1e7, -1e30, 3e38, -3e38, 4.0, -4.0]
        + [torch.nextafter(edge, torch.tensor(s)).item() for s in (0.0, 9.0)]
    )
    x = torch.cat([special.repeat(3, 1), 16 * torch.rand(3, 4000) - 8], dim=1).requires_grad_()
    y, log_det = (flow.inverse if inverse else flow.forward)(x)
    assert torch.isfinite(y).all() and torch.isfinite(log_det).all()
    g_x, g_flat = torch.autograd.grad(
        y[:, x.detach().abs().amax(0) < 10].sum() + log_det.sum(), (x, flow.flat)
    )
    assert torch.isfinite(g_x).all() and torch.isfinite(g_flat).all()


def test_compiled_layers_agree_with_plain_ones():
    plain = random_flow(architecture(2, layers=2, blocks=1, width=8, bins=3), torch.float32)
    compiled = Flow(plain.arch)
    compiled.load_state_dict(plain.state_dict())
    compiled.compile(64)
    x, _ = points(2, 0, torch.float32, 64)
    for name in ("forward", "inverse"):
        results = []
        for flow in (plain, compiled):
            y, log_det = getattr(flow, name)(x)
            (grad,) = torch.autograd.grad(y.square().sum() + log_det.sum(), flow.flat)
            results.append((y.detach(), log_det.detach(), grad))
        for ours, theirs in zip(*results, strict=True):
            assert (ours - theirs).norm() <= 1e-5 * ours.norm()


def test_a_library_that_another_job_compiles_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.setenv(engine.CACHE, str(tmp_path))
    library = engine.Library(Shape(2, 0, 8, 1, 3), 4.0, 64, "forward")
    with open(library.path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        library.make(wait=False)
    assert not library.path.exists()
    assert library.path.parent == tmp_path


def test_libraries_are_those_that_a_training_calls(tmp_path, monkeypatch):
    monkeypatch.setenv(engine.CACHE, str(tmp_path))
    made = []
    monkeypatch.setattr(engine.Library, "load", lambda self: made.append(self) or self.plain())
    trained, frozen = (random_flow(architecture(3, 1), torch.float32) for _ in range(2))
    frozen.requires_grad_(False)
    expected = trained.compile(32).libraries(["inverse"], gradients=True)
    expected += frozen.compile(32).libraries(["forward"], gradients=True)
    x, c = points(3, 1, torch.float32, 32)
    y, log_det = trained.inverse(x, c)
    (log_det + frozen.log_prob(y, c)).mean().backward()
    assert set(made) == set(expected)
    assert len({library.path for library in made}) == 4


def test_storage_round_trip_and_nflows_names(tmp_path):
    flow = random_flow(architecture(3, 1), torch.float32)
    path = tmp_path / "weights.safetensors"
    storage.save(flow, path, {"seed": 1})
    first = path.read_bytes()
    loaded = storage.load(path)
    assert torch.equal(loaded.flat, flow.flat)
    storage.save(loaded, path, {"seed": 1})
    assert path.read_bytes() == first

    from safetensors.torch import load_file

    from flowmorph.flows.flow import build_nflows

    build_nflows(flow.arch).load_state_dict(load_file(path))


def test_a_foreign_weights_file_is_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(InputError, match="weights.safetensors"):
        storage.load(path)
