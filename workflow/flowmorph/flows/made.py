"""Masked autoregressive residual network (MADE) in the layout of nflows, with an O(1)-pass inverse.

Hidden units are sorted by degree: unit of degree g may see inputs 1 to g only, and feature i is
driven by units of degree below i. Inverting a layer therefore needs each hidden unit once: after
feature g is known, the units of degree g are computed, then feature g + 1. This sweep costs about
half of one dense pass, where the textbook inverse repeats the dense pass for each feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flowmorph.flows.spline import evaluate, evaluate_vjp

# The network sees features up to here, and larger ones as this: in float32 it would overflow.
SIGHT = 1e6

#: Rows or columns of a matrix: their numbers, or all.
Places = Tensor | slice


@dataclass(frozen=True)
class Shape:
    """Sizes of one autoregressive layer."""

    features: int
    context: int
    width: int
    blocks: int
    bins: int

    @property
    def outputs(self) -> int:
        """Raw spline parameters of all features."""
        return self.features * (3 * self.bins - 1)


class Layout:
    """Where each weight of a layer lies in a flat vector, and how nflows orders and masks it."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        groups = max(1, shape.features - 1)
        first = min(1, shape.features - 1)
        degrees = torch.arange(shape.width, device="cpu") % groups + first
        self.order = torch.argsort(degrees, stable=True)
        degrees = degrees[self.order]
        # Hidden rows of degree g for g = 0 .. D - 1.
        counts = [int((degrees == g).sum()) for g in range(shape.features)]
        ends = [sum(counts[: g + 1]) for g in range(shape.features)]
        self.groups = [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]

        inputs = torch.arange(1, shape.features + 1, device="cpu")
        outputs = inputs.repeat_interleave(3 * shape.bins - 1)
        in_mask = degrees[:, None] >= inputs
        hidden_mask = degrees[:, None] >= degrees
        out_mask = outputs[:, None] > degrees
        hidden, every = self.order, slice(None)
        # name -> (rows, columns, mask): rows and columns in the order of nflows.
        self.entries: dict[str, tuple[Places, Places | None, Tensor | None]] = {}

        def linear(name: str, rows: Places, columns: Places, mask: Tensor | None) -> None:
            self.entries[f"{name}.weight"] = (rows, columns, mask)
            self.entries[f"{name}.bias"] = (rows, None, None)

        linear("initial_layer", hidden, every, in_mask)
        if shape.context:
            linear("context_layer", hidden, every, None)
        for block in range(shape.blocks):
            if shape.context:
                linear(f"blocks.{block}.context_layer", hidden, every, None)
            for index in range(2):
                linear(f"blocks.{block}.linear_layers.{index}", hidden, hidden, hidden_mask)
        linear("final_layer", every, hidden, out_mask)

        self.slices: dict[str, tuple[int, tuple[int, int]]] = {}
        offset = 0
        for name, (_, columns, mask) in self.entries.items():
            rows = shape.outputs if name.startswith("final") else shape.width
            if columns is None:
                size = (rows, 1)
            elif mask is None:
                size = (rows, shape.context)
            else:
                size = mask.shape[0], mask.shape[1]
            self.slices[name] = (offset, size)
            offset += size[0] * size[1]
        self.size = offset
        # Outputs that no hidden unit drives: of several features, the first one's.
        self.fixed = 3 * shape.bins - 1 if shape.features > 1 else 0

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Matrices and column vectors of a layer as views of its flat vector."""
        return {
            name: flat[start : start + rows * columns].view(rows, columns)
            for name, (start, (rows, columns)) in self.slices.items()
        }

    def mask(self) -> Tensor:
        """Flat vector that is 1 where a weight exists and 0 where the mask cuts it."""
        flat = torch.ones(self.size, dtype=torch.float32, device="cpu")
        views = self.views(flat)
        for name, (_, _, mask) in self.entries.items():
            if mask is not None:
                views[name].copy_(mask)
        return flat

    def per_weight(self, value: float, condition: Tensor) -> Tensor:
        """Flat vector of a value at each weight, 0 at biases.

        Args:
            value: of each weight.
            condition: what is added at the weights of each condition, (C,).
        """
        flat = torch.zeros(self.size, dtype=torch.float32, device="cpu")
        for name, view in self.views(flat).items():
            if name.endswith("weight"):
                view.fill_(value)
            if name.endswith("context_layer.weight"):
                view.add_(condition)
        return flat

    def read(self, network: nn.Module, flat: Tensor) -> None:
        """Copy the weights of an nflows MADE into the flat vector."""
        views, parameters = self.views(flat), dict(network.named_parameters())
        for name, (rows, columns, mask) in self.entries.items():
            weight = parameters[name].detach()[rows]
            weight = weight[:, None] if columns is None else weight[:, columns]
            views[name].copy_(weight if mask is None else weight * mask)

    def write(self, flat: Tensor, network: nn.Module) -> None:
        """Copy the flat vector into an nflows MADE."""
        views, parameters = self.views(flat), dict(network.named_parameters())
        for name, (rows, columns, _) in self.entries.items():
            rows = torch.argsort(rows) if isinstance(rows, Tensor) else rows
            columns = torch.argsort(columns) if isinstance(columns, Tensor) else columns
            weight = views[name].detach()[rows]
            weight = weight[:, 0] if columns is None else weight[:, columns]
            parameters[name].data.copy_(weight)


Tape = tuple[Tensor, ...]


class Autoregressive:
    """One layer: splines whose parameters a masked network computes from the features before.

    The four methods are pure functions of tensors, so that a compiler can take each as a whole.
    Shapes: features (D, B), context (C, B) or None, log-determinants (B,), weights flat. ``tape``
    is what the matching vector-Jacobian product needs.
    """

    def __init__(self, layout: Layout, bound: float) -> None:
        self.layout, self.bound, self.shape = layout, bound, layout.shape

    def forward(
        self, x: Tensor, context: Tensor | None, flat: Tensor
    ) -> tuple[Tensor, Tensor, Tape]:
        """Image, log-determinant and tape."""
        w = self.layout.views(flat)
        h = w["initial_layer.weight"] @ _seen(x) + w["initial_layer.bias"]
        from_context = self._initial_context(context, w)
        if context is not None:
            h = h + from_context
        activations: list[Tensor] = []
        for first, second, given in self._blocks():
            u = torch.relu(h)
            t = w[f"{first}.weight"] @ u + w[f"{first}.bias"]
            if context is not None:
                t = t + (w[f"{given}.weight"] @ context + w[f"{given}.bias"])
            v = torch.relu(t)
            h = h + (w[f"{second}.weight"] @ v + w[f"{second}.bias"])
            activations += [u, v]
        driven = slice(self.layout.fixed, None)
        raw = w["final_layer.weight"][driven] @ h + w["final_layer.bias"][driven]
        raws = [*self._fixed(w), raw.view(-1, 3 * self.shape.bins - 1, x.shape[1])]
        parts = [
            evaluate(values, raw, self.bound, inverse=False)
            for values, raw in zip(self._split(x), raws, strict=True)
        ]
        log_det, *others = (part.sum(0) for _, part in parts)
        image, log_det = _stack([part for part, _ in parts]), sum(others, log_det)
        return image, log_det, (x, raws[-1], h, from_context, *activations)

    def forward_vjp(
        self, tape: Tape, context: Tensor | None, flat: Tensor,
        g_image: Tensor, g_log_det: Tensor, g_flat: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Gradient by x of :meth:`forward`; that by the weights goes to ``g_flat``, if given."""
        w = self.layout.views(flat)
        x, raw, h, from_context, *activations = tape
        g_log = g_log_det.expand_as(g_image)
        given = [self._split(values) for values in (x, g_image, g_log)]
        parts = [
            evaluate_vjp(values, raw, self.bound, False, by_image, by_log)
            for raw, values, by_image, by_log in zip([*self._fixed(w), raw], *given, strict=True)
        ]
        g_x, g_raws = _stack([part for part, _ in parts]), [part.flatten(0, 1) for _, part in parts]
        g_h = w["final_layer.weight"][self.layout.fixed :].T @ g_raws[-1]
        inner: list[Tensor] = []
        for block, (first, second, _) in reversed(list(enumerate(self._blocks()))):
            u, v = activations[2 * block : 2 * block + 2]
            g_t = torch.where(v > 0, w[f"{second}.weight"].T @ g_h, 0.0)
            inner = [g_t, g_h, *inner]
            g_h = g_h + torch.where(u > 0, w[f"{first}.weight"].T @ g_t, 0.0)
        g_x = g_x + _seen_vjp(x, w["initial_layer.weight"].T @ g_h)
        if g_flat is not None:
            g_flat.copy_(
                self._weight_gradients(x, h, from_context, activations, context, g_raws, g_h, inner)
            )
        return g_x

    def inverse(
        self, y: Tensor, context: Tensor | None, flat: Tensor
    ) -> tuple[Tensor, Tensor, Tape]:
        """Preimage, log-determinant of the inverse and tape, in one sweep over the degrees."""
        w = self.layout.views(flat)
        from_context = self._initial_context(context, w)
        per_feature = 3 * self.shape.bins - 1
        blocks = self._blocks()
        x = y[:0]
        hidden: list[Tensor] = []
        columns: list[list[Tensor]] = [[] for _ in range(2 * len(blocks))]
        raws: list[Tensor] = []
        log_det = torch.zeros_like(y[0])
        for g, rows in enumerate(self.layout.groups):
            known = slice(0, rows.stop)
            if rows.stop > rows.start:
                part = w["initial_layer.weight"][rows, :g] @ _seen(x)
                part = part + w["initial_layer.bias"][rows]
                if context is not None:
                    part = part + from_context[rows]
                for block, (first, second, given) in enumerate(blocks):
                    us, vs = columns[2 * block : 2 * block + 2]
                    us.append(torch.relu(part))
                    t = w[f"{first}.weight"][rows, known] @ _stack(us) + w[f"{first}.bias"][rows]
                    if context is not None:
                        t = t + (w[f"{given}.weight"][rows] @ context + w[f"{given}.bias"][rows])
                    vs.append(torch.relu(t))
                    part = part + (
                        w[f"{second}.weight"][rows, known] @ _stack(vs) + w[f"{second}.bias"][rows]
                    )
                hidden.append(part)
            outputs = slice(g * per_feature, (g + 1) * per_feature)
            raw = w["final_layer.bias"][outputs]
            if hidden:
                raw = raw + w["final_layer.weight"][outputs, known] @ _stack(hidden)
                raws.append(raw[None])
            image, log_slope = evaluate(y[g : g + 1], raw[None], self.bound, inverse=True)
            x = torch.cat([x, image])
            log_det = log_det - log_slope[0]
        activations = [_stack(column) for column in columns]
        return x, log_det, (y, x, torch.cat(raws), _stack(hidden), from_context, *activations)

    def inverse_vjp(
        self, tape: Tape, context: Tensor | None, flat: Tensor,
        g_preimage: Tensor, g_log_det: Tensor, g_flat: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """The same of :meth:`inverse`, by y: the sweep from the last feature on."""
        w = self.layout.views(flat)
        y, x, raw, h, from_context, *activations = tape
        blocks = self._blocks()
        per_feature = 3 * self.shape.bins - 1
        raws = [*self._fixed(w), *raw.split(1)]
        # Lists grow towards lower degrees; stacked, they are the rows from the current degree on.
        g_y: list[Tensor] = []
        g_raw: list[Tensor] = []
        g_hidden: list[Tensor] = []
        inner: list[list[Tensor]] = [[] for _ in range(2 * len(blocks))]
        # The inverse's log-determinant is minus the forward map's log-slope.
        g_log = -g_log_det[None]
        for g, rows in reversed(list(enumerate(self.layout.groups))):
            g_x = g_preimage[g : g + 1]
            if g_hidden:
                # Feature g feeds the units of higher degree, all of which are finished by now.
                seen_by = w["initial_layer.weight"][rows.stop :, g : g + 1]
                g_x = g_x + _seen_vjp(x[g : g + 1], seen_by.T @ _stack(g_hidden))
            by_y, by_raw = evaluate_vjp(y[g : g + 1], raws[g], self.bound, True, g_x, g_log)
            g_y.insert(0, by_y)
            g_raw.insert(0, by_raw[0])
            if rows.stop == rows.start:
                continue
            above = slice(rows.start, None)
            part = w["final_layer.weight"][g * per_feature :, rows].T @ _stack(g_raw)
            for block, (first, second, _) in reversed(list(enumerate(blocks))):
                u, v = activations[2 * block : 2 * block + 2]
                g_ts, g_outs = inner[2 * block : 2 * block + 2]
                g_outs.insert(0, part)
                g_v = w[f"{second}.weight"][above, rows].T @ _stack(g_outs)
                g_ts.insert(0, torch.where(v[rows] > 0, g_v, 0.0))
                g_u = w[f"{first}.weight"][above, rows].T @ _stack(g_ts)
                part = part + torch.where(u[rows] > 0, g_u, 0.0)
            g_hidden.insert(0, part)
        if g_flat is not None:
            fixed = 1 if self.layout.fixed else 0
            g_raws = [*g_raw[:fixed], _stack(g_raw[fixed:])]
            parts = _stack(g_hidden), [_stack(part) for part in inner]
            g_flat.copy_(
                self._weight_gradients(x, h, from_context, activations, context, g_raws, *parts)
            )
        return _stack(g_y)

    def _blocks(self) -> list[tuple[str, str, str]]:
        return [
            (
                f"blocks.{i}.linear_layers.0",
                f"blocks.{i}.linear_layers.1",
                f"blocks.{i}.context_layer",
            )
            for i in range(self.shape.blocks)
        ]

    def _fixed(self, w: dict[str, Tensor]) -> list[Tensor]:
        """The parameters that are the same for all points, (1, 3K - 1, 1), if there are any."""
        rows = self.layout.fixed
        return [w["final_layer.bias"][None, :rows]] if rows else []

    def _split(self, values: Tensor) -> list[Tensor]:
        """The features with such parameters, if there are any, and the others."""
        return [values[:1], values[1:]] if self.layout.fixed else [values]

    def _initial_context(self, context: Tensor | None, w: dict[str, Tensor]) -> Tensor:
        if context is None:
            return w["initial_layer.bias"][:0]
        return torch.relu(w["context_layer.weight"] @ context + w["context_layer.bias"])

    def _weight_gradients(
        self, x: Tensor, h: Tensor, from_context: Tensor, activations: list[Tensor],
        context: Tensor | None, g_raws: list[Tensor], g_h: Tensor, inner: list[Tensor],
    ) -> Tensor:  # fmt: skip
        """Flat gradient, before the mask, from activations and the gradients by outputs.

        ``g_raws`` are those of the driven outputs, (rows, B), after those of fixed ones, (rows, 1).
        """
        grads: dict[str, Tensor] = {}

        def linear(name: str, grad: Tensor, given: Tensor) -> None:
            grads[f"{name}.weight"] = grad @ given.T
            grads[f"{name}.bias"] = grad.sum(1)

        linear("initial_layer", g_h, _seen(x))
        if context is not None:
            linear("context_layer", torch.where(from_context > 0, g_h, 0.0), context)
        for block, (first, second, given) in enumerate(self._blocks()):
            (u, v), (g_t, g_out) = (
                part[2 * block : 2 * block + 2] for part in (activations, inner)
            )
            linear(first, g_t, u)
            linear(second, g_out, v)
            if context is not None:
                linear(given, g_t, context)
        *fixed, driven = g_raws
        linear("final_layer", driven, h)
        if fixed:
            weight, bias = grads["final_layer.weight"], grads["final_layer.bias"]
            grads["final_layer.weight"] = torch.cat(
                [torch.zeros_like(weight[:1]).expand(len(fixed[0]), -1), weight]
            )
            grads["final_layer.bias"] = torch.cat([fixed[0][:, 0], bias])
        return torch.cat([grads[name].reshape(-1) for name in self.layout.entries])


def _seen(x: Tensor) -> Tensor:
    return x.clamp(-SIGHT, SIGHT)


def _seen_vjp(x: Tensor, grad: Tensor) -> Tensor:
    return torch.where(x.abs() <= SIGHT, grad, 0.0)


def _stack(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
