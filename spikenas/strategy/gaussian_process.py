"""`GaussianProcess`: predicts one objective of a member from its choices and counts.

The kernel is a sum of four, for members x, x' with choices c and counts n (standardised):

    k(x, x') = sum_j w_j [c_j = c'_j]                    additive
             + a exp(-sum_j theta_j [c_j != c'_j])       product over Hamming distances
             + b exp(-1/2 sum_m v_m (n_m - n'_m)^2)      smooth in the counts
             + l sum_m n_m n'_m / M                      linear in the counts

Hyper-parameters maximise the posterior (MAP): marginal likelihood (Rasmussen & Williams 2006,
equations 5.8 and 5.9) times log-normal priors, which are wide and depend on no data but for the
number of choices. A sum of an additive and a product kernel is that of Duvenaud 2011, the product
over Hamming distances that of Hutter 2011; automatic relevance (theta, v) is Neal 1996.

Axes: n members seen, m members asked about, J choices, M counts.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array: TypeAlias = NDArray[np.float64]
_JITTER = 1e-6
_ITERATIONS = 25
_FAR = 6.0  # spreads from a median, where the line search may not go


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Members as numbers.

    Attributes:
        choices: [n, J], a code for each value; codes are equal where values are.
        counts: [n, M], standardised.
    """

    choices: NDArray[np.int64]
    counts: Array

    def __len__(self) -> int:
        return len(self.choices)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> "Features":
        return Features(choices=self.choices[rows], counts=self.counts[rows])

    def joined(self, other: "Features") -> "Features":
        """Return these members and then the others."""
        return Features(
            choices=np.concatenate([self.choices, other.choices]),
            counts=np.concatenate([self.counts, other.counts]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Medians of the log-normal priors, for a target of variance 1, and their spreads."""

    additive: float = 0.4  # of all w_j together
    product: float = 0.4
    relevance: float = 0.4  # theta_j
    smooth: float = 0.4
    smooth_relevance: float = 0.25  # v_m: a length of two standard deviations
    linear: float = 0.1
    noise: float = 0.05

    def medians(self, num_choices: int, num_counts: int) -> Array:
        """Return the logarithms, in the order of `_Parameters`."""
        each = max(1, num_choices)
        logs: Array = np.log(
            np.concatenate(
                [
                    [self.product, self.smooth, self.linear, self.noise],
                    np.full(num_choices, self.additive / each),
                    np.full(num_choices, self.relevance),
                    np.full(num_counts, self.smooth_relevance),
                ]
            )
        )
        return logs

    def spreads(self, num_choices: int, num_counts: int) -> Array:
        """Return the standard deviations of the logarithms."""
        return np.concatenate(
            [np.ones(4), np.full(num_choices, 0.7), np.ones(num_choices), np.full(num_counts, 0.7)]
        )


class _Parameters:
    """Views of one vector of logarithms."""

    def __init__(self, logs: Array, num_choices: int) -> None:
        values = np.exp(logs)
        self.product, self.smooth, self.linear, self.noise = values[:4]
        self.additive = values[4 : 4 + num_choices]
        self.relevance = values[4 + num_choices : 4 + 2 * num_choices]
        self.smooth_relevance = values[4 + 2 * num_choices :]


class GaussianProcess:
    """A posterior, given hyper-parameters; the mean of the targets is its prior mean.

    Args:
        targets: [n].
        logs: of the hyper-parameters, from `fit`.
    """

    def __init__(self, features: Features, targets: Array, logs: Array) -> None:
        self._features = features
        self._parameters = _Parameters(logs, features.choices.shape[1])
        self._mean, self._scale = float(targets.mean()), float(targets.std()) or 1.0
        noise = (self._parameters.noise + _JITTER) * np.eye(len(features))
        self._factor = cholesky(self._kernel(features, features) + noise, lower=True)
        self._weights = cho_solve((self._factor, True), (targets - self._mean) / self._scale)

    def predict(self, features: Features) -> tuple[Array, Array]:
        """Return the mean and the standard deviation without noise, [m] each."""
        p = self._parameters
        covariance = self._kernel(features, self._features)  # [m, n]
        explained = solve_triangular(
            self._factor, covariance.T, lower=True, check_finite=False
        )  # [n, m]
        num_counts = max(1, features.counts.shape[1])
        own = p.product + p.smooth * bool(features.counts.shape[1]) + p.additive.sum()
        own = own + p.linear * (features.counts**2).sum(1) / num_counts
        variance = np.maximum(own - (explained**2).sum(0), 1e-9)
        mean = covariance @ self._weights * self._scale + self._mean
        return mean, np.sqrt(variance) * self._scale

    def _kernel(self, a: Features, b: Features) -> Array:
        p = self._parameters
        num_counts = max(1, a.counts.shape[1])
        num_values = 2 + int(max(a.choices.max(initial=0), b.choices.max(initial=0)))
        ones_a, ones_b = (_one_hot(each.choices, num_values) for each in (a, b))
        additive = ones_a * np.repeat(p.additive, num_values) @ ones_b.T
        common = ones_a * np.repeat(p.relevance, num_values) @ ones_b.T
        distance = p.relevance.sum() - common
        kernel: Array = additive + p.product * np.exp(-distance)
        if a.counts.shape[1]:
            left, right = (each.counts * np.sqrt(p.smooth_relevance) for each in (a, b))
            apart = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
            kernel += p.smooth * np.exp(-0.5 * np.maximum(apart, 0.0))
            kernel += p.linear / num_counts * (a.counts @ b.counts.T)
        return kernel


def _one_hot(codes: NDArray[np.int64], num_values: int) -> Array:
    """Return [n, J * values]; an absent choice, -1, is a value too."""
    hot = codes[:, :, None] == np.arange(-1, num_values - 1)
    flat: Array = hot.reshape(len(codes), codes.shape[1] * num_values).astype(np.float64)
    return flat


def fit(features: Features, targets: Array, prior: Prior) -> Array:
    """Return the logarithms of the hyper-parameters of largest posterior density.

    A pure function, remembered: while the record stands, an ask costs no new fit.
    """
    return _fit_bytes(
        features.choices.tobytes(), features.counts.tobytes(), targets.tobytes(), prior
    )


@lru_cache(maxsize=64)
def _fit_bytes(choices: bytes, counts: bytes, targets: bytes, prior: Prior) -> Array:
    z = np.frombuffer(targets)
    features = Features(
        choices=np.frombuffer(choices, dtype=np.int64).reshape(len(z), -1),
        counts=np.frombuffer(counts).reshape(len(z), -1),
    )
    return _fit(features, z, prior)


def _fit(features: Features, targets: Array, prior: Prior) -> Array:
    J, M = features.choices.shape[1], features.counts.shape[1]
    codes, counts = features.choices, features.counts
    unequal = (codes[:, None] != codes[None]).transpose(2, 0, 1).astype(np.float64)  # [J, n, n]
    apart = ((counts[:, None] - counts[None]) ** 2).transpose(2, 0, 1)  # [M, n, n]
    linear = counts @ counts.T / max(1, M)
    identity = np.eye(len(features))
    z = (targets - targets.mean()) / (targets.std() or 1.0)
    medians, spreads = prior.medians(J, M), prior.spreads(J, M)

    def negative_log_posterior(logs: Array) -> tuple[float, Array]:
        p = _Parameters(logs, J)
        product = p.product * np.exp(-np.tensordot(p.relevance, unequal, 1))
        smooth = p.smooth * np.exp(-0.5 * np.tensordot(p.smooth_relevance, apart, 1)) * bool(M)
        kernel = p.additive.sum() - np.tensordot(p.additive, unequal, 1) + product + smooth
        kernel += p.linear * linear + (p.noise + _JITTER) * identity
        try:
            factor = cholesky(kernel, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(logs)
        inverse = cho_solve((factor, True), identity, check_finite=False)
        weights = inverse @ z
        deviations = (logs - medians) / spreads
        value = 0.5 * z @ weights + np.log(np.diag(factor)).sum() + 0.5 * (deviations**2).sum()
        slope = 0.5 * (inverse - np.outer(weights, weights))  # of the value by the kernel, [n, n]
        by_product, by_smooth = slope * product, slope * smooth
        gradient = np.concatenate(
            [
                [by_product.sum(), by_smooth.sum()],
                [p.linear * (slope * linear).sum(), p.noise * np.trace(slope)],
                p.additive * (slope.sum() - _contracted(unequal, slope)),
                -p.relevance * _contracted(unequal, by_product),
                -0.5 * p.smooth_relevance * _contracted(apart, by_smooth),
            ]
        )
        return float(value), gradient + deviations / spreads

    found = minimize(
        negative_log_posterior,
        medians,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(medians - _FAR * spreads, medians + _FAR * spreads, strict=True)),
        options={"maxiter": _ITERATIONS},
    )
    logs: Array = found.x
    return logs


def _contracted(stack: Array, matrix: Array) -> Array:
    """Return the sum of each [n, n] of a stack times the matrix."""
    return stack.reshape(len(stack), matrix.size) @ matrix.ravel()
