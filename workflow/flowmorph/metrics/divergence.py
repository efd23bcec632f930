"""Likelihoods, and Kullback-Leibler divergences of a learned density from a known one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flowmorph.samples.unweighting import relative


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Average independent numbers, shape (n,) with n >= 2, with the standard error.

    With ``weights`` (n,), the error is that of a ratio of sums, sqrt(sum w^2 (v - mean)^2) / sum w.
    """
    values = np.asarray(values, dtype=np.float64)
    if weights is not None:
        weights = relative(weights)
        average = np.average(values, weights=weights)
        spread = np.sqrt(np.sum(np.square(weights * (values - average))))
        return Estimate(float(average), float(spread / np.sum(weights)))
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def kl_divergence(log_p: np.ndarray, log_q: np.ndarray) -> Estimate:
    """Estimate D(p || q) = E_p[log p - log q] in nats, with its standard error.

    Both arguments, shape (n,), are log-densities at the same points drawn from p: log_p exact,
    log_q the model's. Pointwise differences make the error far smaller than that of the two
    likelihoods. Raises ValueError where log_p is not finite: such points are not drawn from p.
    Source: Kullback and Leibler, Ann. Math. Stat. 22 (1951) 79.
    """
    log_p = np.asarray(log_p, dtype=np.float64)
    log_q = np.asarray(log_q, dtype=np.float64)
    if log_p.shape != log_q.shape or log_p.ndim != 1:
        raise ValueError(f"log-densities of shapes {log_p.shape} and {log_q.shape} do not pair up")
    if not np.isfinite(log_p).all():
        raise ValueError("log_p is not finite everywhere: the points must be drawn from p")
    return mean(log_p - log_q)


def likelihood_numbers(
    log_q: np.ndarray, log_p: np.ndarray | None, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Give the likelihood numbers of a density, by name, from its log-density, (n,) in nats.

    The points must be ones that it was not trained on. ``log_p`` is the exact log-density at the
    same points where it is known, and None elsewhere; with it come the divergence and the entropy,
    which is the lowest mean negative log-likelihood possible. ``weights``, (n,), are those of the
    points; the likelihood is then their weighted mean.
    """
    likelihood = mean(log_q, weights)
    numbers = {
        "points": float(len(log_q)),
        "log_likelihood": likelihood.value,
        "log_likelihood_error": likelihood.error,
    }
    if log_p is not None:
        divergence = kl_divergence(log_p, log_q)
        numbers |= {
            "divergence": divergence.value,
            "divergence_error": divergence.error,
            "entropy": -mean(log_p).value,
        }
    return numbers
