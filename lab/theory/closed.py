"""Moments of activations that have a closed form: exact at any variance, and a check on the quadrature.

Each function takes (q, **parameters), q > 0, and returns what it knows of `Moments` by field name; h ~ N(0, q),
s = sqrt(q).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import erfcx, ndtr

from lab.catalog.slopes import SELU_ALPHA, SELU_SCALE
from lab.spec import ActivationSpec

Known = dict[str, float]


def closed_moments(spec: ActivationSpec, q: float) -> Known:
    """What has a closed form, of scale_out * phi(scale_in * h) + shift; empty where nothing has."""
    own = dict(spec.parameters)
    scale_in, scale_out, shift = (float(own.pop(name)) for name in ("scale_in", "scale_out", "shift"))
    if spec.name not in CLOSED or q == 0 or scale_in == 0:
        return {}
    known = CLOSED[spec.name](scale_in**2 * q, **own)
    steepness = scale_out * scale_in
    factors = {"slope_mean": steepness, "slope_second": steepness**2, "slope_fourth": steepness**4}
    wrapped = {name: factor * known[name] for name, factor in factors.items() if name in known}
    if "mean" in known:
        wrapped["mean"] = scale_out * known["mean"] + shift
    if "second_moment" in known:
        wrapped["second_moment"] = scale_out**2 * known["second_moment"] + shift * (2 * wrapped["mean"] - shift)
    return wrapped


def _identity(q: float) -> Known:
    return {"mean": 0.0, "second_moment": q, "slope_mean": 1.0, "slope_second": 1.0, "slope_fourth": 1.0}


def _leaky_relu(q: float, *, negative_slope: float) -> Known:
    a = negative_slope
    return {
        "mean": (1 - a) * math.sqrt(q / (2 * math.pi)),
        "second_moment": q * (1 + a**2) / 2,
        "slope_mean": (1 + a) / 2,
        "slope_second": (1 + a**2) / 2,
        "slope_fourth": (1 + a**4) / 2,
    }


def _exponential_linear(q: float, *, alpha: float, rate: float = 1.0, scale: float = 1.0) -> Known:
    """Scale * (h if h > 0 else alpha * (exp(rate * h) - 1)); E[exp(k h); h < 0] = exp(k^2 q/2) Phi(-k s)."""
    # The terms are of order 1 and cancel to order q: at small variances only quadrature keeps its digits.
    if rate**2 * q < 1e-3:
        return {}

    def below(k: float) -> float:
        # The scaled complementary error function: the two factors apart overflow from k^2 q = 1420 on.
        return float(erfcx(k * math.sqrt(q / 2))) / 2

    slope = alpha * rate
    return {
        "mean": scale * (math.sqrt(q / (2 * math.pi)) + alpha * (below(rate) - 0.5)),
        "second_moment": scale**2 * (q / 2 + alpha**2 * (below(2 * rate) - 2 * below(rate) + 0.5)),
        "slope_mean": scale * (0.5 + slope * below(rate)),
        "slope_second": scale**2 * (0.5 + slope**2 * below(2 * rate)),
        "slope_fourth": scale**4 * (0.5 + slope**4 * below(4 * rate)),
    }


def _selu(q: float) -> Known:
    return _exponential_linear(q, alpha=SELU_ALPHA, scale=SELU_SCALE)


def _celu(q: float, *, alpha: float) -> Known:
    return _exponential_linear(q, alpha=alpha, rate=1 / alpha)


def _gelu(q: float) -> Known:
    bend = math.asin(q / (1 + q)) + 2 * q / ((1 + q) * math.sqrt(1 + 2 * q))
    return {
        "mean": q / math.sqrt(2 * math.pi * (1 + q)),
        "second_moment": q / 4 + q * bend / (2 * math.pi),
        "slope_mean": 0.5,
        "slope_second": 0.25 + (bend + q * (1 + 2 * q) ** -1.5) / (2 * math.pi),
    }


def _erf(q: float) -> Known:
    return {
        "mean": 0.0,
        "second_moment": 2 / math.pi * math.asin(2 * q / (1 + 2 * q)),
        "slope_mean": 2 / math.sqrt(math.pi * (1 + 2 * q)),
        "slope_second": 4 / math.pi / math.sqrt(1 + 4 * q),
        "slope_fourth": (4 / math.pi) ** 2 / math.sqrt(1 + 8 * q),
    }


def _hard_tanh(q: float) -> Known:
    inside = math.erf(1 / math.sqrt(2 * q))
    # Integrated by parts: E[h^2; |h| < 1] = q P(|h| < 1) - 2 q density(1), h's density at 1.
    edge = math.sqrt(2 * q / math.pi) * math.exp(-1 / (2 * q))
    return {
        "mean": 0.0,
        "second_moment": q * inside - edge + 1 - inside,
        "slope_mean": inside,
        "slope_second": inside,
        "slope_fourth": inside,
    }


def _relu6(q: float) -> Known:
    inside = float(ndtr(6 / math.sqrt(q))) - 0.5
    return {"slope_mean": inside, "slope_second": inside, "slope_fourth": inside}


def _sin(q: float) -> Known:
    return {
        "mean": 0.0,
        "second_moment": -math.expm1(-2 * q) / 2,
        "slope_mean": math.exp(-q / 2),
        "slope_second": (1 + math.exp(-2 * q)) / 2,
        "slope_fourth": 3 / 8 + math.exp(-2 * q) / 2 + math.exp(-8 * q) / 8,
    }


def _square(q: float) -> Known:
    return {"mean": q, "second_moment": 3 * q**2, "slope_mean": 0.0, "slope_second": 4 * q, "slope_fourth": 48 * q**2}


CLOSED: dict[str, Callable[..., Known]] = {
    "identity": _identity,
    "relu": lambda q: _leaky_relu(q, negative_slope=0.0),
    "leaky_relu": _leaky_relu,
    "elu": lambda q, alpha: _exponential_linear(q, alpha=alpha),
    "selu": _selu,
    "celu": _celu,
    "gelu": _gelu,
    "erf": _erf,
    "hard_tanh": _hard_tanh,
    "relu6": _relu6,
    "sin": _sin,
    "square": _square,
    "sigmoid": lambda q: {"mean": 0.5},
    "tanh": lambda q: {"mean": 0.0},
}
"""Cho and Saul 2009 for relu, Williams 1997 for erf; the others follow by parts."""
