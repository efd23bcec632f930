"""Flows: the same mathematics as nflows, exact derivatives, safe on any finite input."""

from __future__ import annotations

import copy
import ctypes
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from nflows.transforms import CompositeTransform
from torch.autograd.functional import jacobian

from flowmorph.errors import InputError
from flowmorph.flows import engine, storage
from flowmorph.flows.flow import Architecture, Flow

# In float32 a single point has no bound: beside a knot or on a steep stretch rounding is magnified,
# and which points it hits is chance. Over many points of many splines the errors have the
# distribution that the formula gives them, in any order of its sums. So quantiles of ours may be
# larger than those of another implementation by one bit; for equal formulas they scatter by up to a
# fifth of a bit. A sum over points has few large errors, and scatters more.
POINTS = 500
SPLINES = 40  # of each layer: features times flows
ALLOWED = {  # quantiles, factor
    "y": ((0.5, 0.9, 0.99), 2.0),
    "log_det": ((0.5, 0.9, 0.99), 2.0),
    "gradient by x": ((0.5, 0.9), 2.0),
    "gradient by weights": ((0.5,), 4.0),
}


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
    x[:, :2] = torch.tensor([4.0, -4.0], dtype=dtype)[:number]
    return x, torch.randn(context, number, dtype=dtype) if context else None


class Applied(NamedTuple):
    """A flow's points, images and log-determinants, feature-major and with their graph."""

    x: torch.Tensor
    y: torch.Tensor
    log_det: torch.Tensor
    parameters: list[torch.Tensor]
    flat: Callable  # makes one gradient per parameter the gradient by our flat parameter

    def gradient_by_points(self, weight, chosen=slice(None)) -> torch.Tensor:
        return self._gradients([self.x], weight, chosen)[0]

    def gradient_by_weights(self, weight, chosen) -> torch.Tensor:
        return self.flat(self._gradients(self.parameters, weight, chosen))

    def _gradients(self, by: list[torch.Tensor], weight, chosen) -> tuple:
        """Of a loss that is a sum over the chosen points."""
        loss = (weight.to(self.y.dtype) * self.y)[:, chosen].sum() + self.log_det[chosen].sum()
        return torch.autograd.grad(loss, by, allow_unused=True, retain_graph=True)


def apply_ours(flow: Flow, x, c, inverse: bool) -> Applied:
    x = x.clone().requires_grad_()
    y, log_det = (flow.inverse if inverse else flow.forward)(x, c)
    return Applied(x, y, log_det, [flow.flat], lambda gradients: gradients[0])


def apply_nflows(flow: Flow, transform: CompositeTransform, x, c, inverse: bool) -> Applied:
    x = x.clone().requires_grad_()
    apply = transform.inverse if inverse else transform.forward
    y, log_det = apply(x.T, None if c is None else c.T)

    def flat(gradients: list[torch.Tensor | None]) -> torch.Tensor:
        holder = copy.deepcopy(transform)
        for parameter, value in zip(holder.parameters(), gradients, strict=True):
            parameter.data.copy_(torch.zeros_like(parameter) if value is None else value)
        other = copy.deepcopy(flow).to(x.dtype)
        other.read_nflows(holder)
        return other.flat.detach()

    return Applied(x, y.T, log_det, list(transform.parameters()), flat)


@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("features", range(1, 9))
def test_agrees_with_nflows_in_value_and_gradient(features, context, inverse):
    flow = random_flow(architecture(features, context), spread=0.02)
    transform = flow.to_nflows()
    x, c = points(features, context, torch.float64)
    ours, theirs = apply_ours(flow, x, c, inverse), apply_nflows(flow, transform, x, c, inverse)
    # These flows magnify rounding 10,000 times where it is worst: to 1e-12.
    torch.testing.assert_close(ours.y, theirs.y, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.log_det, theirs.log_det, rtol=1e-10, atol=1e-10)
    # A log-determinant has a kink at the edge of the box: rounding decides on which side the points
    # on the edge are after a layer. They are compared in value only.
    weight, off_edge = torch.randn_like(x), torch.arange(x.shape[1]) >= 2
    for by in (Applied.gradient_by_points, Applied.gradient_by_weights):
        mine, its = (by(one, weight, off_edge) for one in (ours, theirs))
        assert (mine - its).norm() <= 1e-9 * mine.norm()


@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("features", [1, 2, 4, 8])
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_float32_is_as_exact_as_that_of_nflows(compiled, features, context, inverse):
    found = []
    for seed in range(SPLINES // features):
        flow = random_flow(architecture(features, context), torch.float32, 0.02, seed)
        if compiled:
            flow.compile()
        transform = flow.to_nflows()
        exact = copy.deepcopy(transform).double()
        x, c = points(features, context, torch.float32, POINTS)
        ours, theirs = apply_ours(flow, x, c, inverse), apply_nflows(flow, transform, x, c, inverse)
        x, c = x.double(), None if c is None else c.double()
        found.append(errors(ours, theirs, apply_nflows(flow, exact, x, c, inverse)))
    hold_to_each_other(found)


def errors(ours: Applied, theirs: Applied, truth: Applied) -> dict[str, torch.Tensor]:
    """Distances from the truth, in two rows, by point or of a sum over points."""
    every = ours, theirs, truth
    found = {"y": away([one.y for one in every]), "log_det": away([one.log_det for one in every])}
    weight = torch.randn_like(ours.x)
    found["gradient by x"] = away([one.gradient_by_points(weight) for one in every])
    # A log-determinant has a kink at each knot. Points that rounding has put on the other side of
    # one are few, but would be most of a sum's error.
    bound = torch.quantile(found["gradient by x"], 0.9, dim=1, keepdim=True)
    smooth = (found["gradient by x"] <= bound).all(0)
    sums = [one.gradient_by_weights(weight, smooth)[:, None] for one in every]
    found["gradient by weights"] = away(sums) / sums[2].norm()
    return found


def away(found: list[torch.Tensor]) -> torch.Tensor:
    """Distance of each column of the first two from the third's."""
    size = found[0].shape[-1]
    return torch.stack([(one - found[2]).view(-1, size).norm(dim=0) for one in found[:2]]).detach()


def hold_to_each_other(found: list[dict[str, torch.Tensor]]) -> None:
    """The quantiles of the first rows' errors are not larger than those of the second rows'."""
    for name, (quantiles, factor) in ALLOWED.items():
        together = torch.cat([each[name] for each in found], 1)
        ours, theirs = torch.quantile(together, together.new_tensor(quantiles), dim=1).T
        assert (ours <= factor * theirs).all(), name


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("features", [1, 2, 5, 20])
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
    # Some ten operations of a spline matter, on numbers of the size of 1.
    rounding = 10 * layers * torch.finfo(x.dtype).eps
    for apply in (flow.forward, flow.inverse):
        y, log_det = apply(x, c)
        # With an odd number of layers the features stay reversed between the layers only.
        torch.testing.assert_close(y, x, rtol=0, atol=rounding)
        torch.testing.assert_close(log_det, 0 * log_det, rtol=0, atol=features * rounding)


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_finite_on_any_finite_input(compiled, spread, inverse):
    flow = random_flow(architecture(3), torch.float32, spread)
    if compiled:
        flow.compile()
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


@pytest.mark.parametrize("number", [1, 31, 32, 33, 300])
@pytest.mark.parametrize("features, context, blocks", [(1, 0, 0), (2, 0, 2), (5, 2, 1), (9, 1, 2)])
def test_compiled_layers_take_any_number_of_points(features, context, blocks, number):
    plain = random_flow(architecture(features, context, blocks=blocks), torch.float32, 0.02)
    compiled = copy.deepcopy(plain).compile()
    x, c = points(features, context, torch.float32, number)
    x = 1.5 * torch.randn_like(x)  # on the box's edge rounding decides on which side a point is
    weight = torch.randn_like(x)
    for inverse in (False, True):
        ours, theirs = (apply_ours(flow, x, c, inverse) for flow in (compiled, plain))
        for mine, its in (
            (ours.y, theirs.y),
            (ours.log_det, theirs.log_det),
            (ours.gradient_by_points(weight), theirs.gradient_by_points(weight)),
            (
                ours.gradient_by_weights(weight, slice(None)),
                theirs.gradient_by_weights(weight, slice(None)),
            ),
        ):
            assert (mine - its).norm() <= 2e-3 * its.norm() + 1e-4


def test_what_is_not_a_number_stays_so_in_compiled_layers():
    flow = random_flow(architecture(3, 1), torch.float32).compile()
    x, c = points(3, 1, torch.float32, 40)
    c[0, 7] = torch.nan
    for apply in (flow.forward, flow.inverse):
        y, log_det = apply(x.requires_grad_(), c)
        (by_x,) = torch.autograd.grad(y.sum() + log_det.sum(), x)
        assert all(torch.isnan(values[..., 7]).any() for values in (y, log_det, by_x))
        others = torch.arange(40) != 7
        assert all(torch.isfinite(values[..., others]).all() for values in (y, log_det, by_x))


def test_float64_is_left_to_the_plain_layers():
    flow = random_flow(architecture(3, 1)).compile()
    x, c = points(3, 1, torch.float64)
    assert torch.equal(flow(x, c)[0], random_flow(architecture(3, 1))(x, c)[0])


def test_kernels_are_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWMORPH_CACHE", str(tmp_path))
    first = engine._compiled()
    made = first.stat().st_mtime_ns
    assert engine._compiled() == first and first.stat().st_mtime_ns == made
    assert first.parent == tmp_path
    monkeypatch.setattr(engine, "FLAGS", (*engine.FLAGS, "-O1"))
    assert engine._compiled() != first  # what else it depends on makes another library


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWMORPH_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(InputError, match="file/cache: cannot write.*FLOWMORPH_CACHE"):
        engine._compiled()


def test_the_cache_is_the_machines(tmp_path, monkeypatch):
    monkeypatch.delenv("FLOWMORPH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert engine._compiled().parent == tmp_path / "flowmorph"


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    compiler = tmp_path / "bad++"
    compiler.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("FLOWMORPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(InputError, match="bad.*fails: no such flag"):
        engine._compiled()
    assert not list((tmp_path / "cache").glob("*.so"))


@pytest.mark.parametrize("inverse", [False, True])
def test_a_step_leaves_nothing_behind(inverse):
    """Without the garbage collector, which comes late and disturbs what a GPU records."""
    flow = random_flow(architecture(2, 0), torch.float32)
    gc.disable()
    try:
        y, log_det = (flow.inverse if inverse else flow.forward)(torch.randn(2, 5))
        left = weakref.ref(y)
        (y.sum() + log_det.sum()).backward()
        del y, log_det
        assert left() is None
    finally:
        gc.enable()


def test_storage_round_trip_and_nflows_names(tmp_path):
    flow = random_flow(architecture(3, 1), torch.float32)
    path = tmp_path / "flow.safetensors"
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
    path = tmp_path / "flow.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(InputError, match="flow.safetensors"):
        storage.load(path)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc's malloc only")
def test_steps_use_the_memory_of_those_before():
    """In a process of its own, since how much the allocator keeps depends on what was before."""
    code = """
import resource
import torch
from flowmorph.flows.flow import Architecture, Flow
flow, density = (Flow(Architecture(2, 0, 4, 2, 64, 16, 4.0)).compile() for _ in range(2))
density.flat.requires_grad_(False)
x = torch.randn(2, 4096)
def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        flow.flat.grad = None
        y, log_det = flow(x)
        (density.log_prob(y) + log_det).mean().backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps
faults(5)
print(faults(20))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 50  # pages a step; some 4,000 if free memory were given back
