from __future__ import annotations

import numpy as np
from scipy import stats

from lab.catalog.initializations import INITIALIZATIONS, Array

# Below this, chance is no excuse.
UNLIKELY = 1e-4


def arranged(name: str, n_out: int, n_in: int, *, times: int) -> tuple[Array, Array]:
    """`times` layers, as they stand before they are scaled: w (times, n_out, n_in), b (times, n_out)."""
    rng, arrange = np.random.default_rng(0), INITIALIZATIONS[name].arrange
    layers = [arrange(rng.standard_normal((n_out, n_in)), rng.standard_normal(n_out), rng) for _ in range(times)]
    return np.array([w for w, _ in layers]), np.array([b for _, b in layers])


def test_orthogonal_weights_favour_no_direction() -> None:
    w, _ = arranged("orthogonal", 3, 3, times=2000)

    # A coordinate of a point on a sphere in three dimensions is uniform (Archimedes).
    for entries in (w / np.sqrt(3)).reshape(-1, 9).T:
        assert stats.kstest(entries, stats.uniform(-1, 2).cdf).pvalue > UNLIKELY
    # Turns are as likely as mirrors.
    assert stats.binomtest(int((np.linalg.det(w) > 0).sum()), 2000).pvalue > UNLIKELY


def test_rai_replaces_one_entry_of_each_row_wherever_it_stands() -> None:
    n_out, n_in, times = 5, 7, 800
    scale = 0.6007 / np.sqrt(n_in)
    w, b = arranged("rai", n_out, n_in, times=times)
    rows = np.concatenate([w, b[:, :, None]], axis=2).reshape(-1, n_in + 1) * scale

    # What was drawn before, from the same stream.
    rng, drawn = np.random.default_rng(0), []
    for _ in range(times):
        drawn.append(np.column_stack([rng.standard_normal((n_out, n_in)), rng.standard_normal(n_out)]))
        INITIALIZATIONS["rai"].arrange(drawn[-1][:, :-1], drawn[-1][:, -1], rng)
    replaced = ~np.isclose(rows, np.concatenate(drawn) * scale, rtol=1e-12, atol=0)

    assert (replaced.sum(axis=1) == 1).all()
    assert stats.chisquare(replaced.sum(axis=0)).pvalue > UNLIKELY
    assert stats.kstest(rows[replaced], stats.beta(2, 1).cdf).pvalue > UNLIKELY
    assert stats.kstest(rows[~replaced], stats.norm(scale=scale).cdf).pvalue > UNLIKELY
