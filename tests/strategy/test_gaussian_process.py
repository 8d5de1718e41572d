import numpy as np
from scipy.optimize import approx_fprime

from spikenas.strategy import gaussian_process
from spikenas.strategy.gaussian_process import Features, GaussianProcess, Prior, fit


def _features(n: int, seed: int = 0) -> Features:
    random = np.random.default_rng(seed)
    return Features(choices=random.integers(0, 3, (n, 4)), counts=random.normal(size=(n, 2)))


def test_it_predicts_what_choices_and_counts_explain() -> None:
    features = _features(80)
    targets = features.choices[:, 0] * 1.0 + features.counts[:, 1]

    process = GaussianProcess(
        features[:60], targets[:60], fit(features[:60], targets[:60], Prior())
    )
    mean, deviation = process.predict(features[60:])

    assert np.abs(mean - targets[60:]).mean() < 0.3 * targets.std()
    assert (deviation < targets.std()).all()


def test_it_is_sure_where_it_has_seen_and_unsure_elsewhere() -> None:
    features = _features(20)
    targets = np.sin(features.counts[:, 0])
    far = Features(choices=np.full((1, 4), 7), counts=np.full((1, 2), 9.0))

    process = GaussianProcess(features, targets, fit(features, targets, Prior()))

    assert process.predict(far)[1][0] > 3 * process.predict(features)[1].max()


def test_equal_targets_are_no_error() -> None:
    features = _features(5)

    process = GaussianProcess(features, np.ones(5), fit(features, np.ones(5), Prior()))

    np.testing.assert_allclose(process.predict(features)[0], 1.0)


def test_a_space_without_choices_or_without_counts_is_modelled() -> None:
    both = _features(12)
    targets = both.counts[:, 0]
    for features in (
        Features(choices=both.choices[:, :0], counts=both.counts),
        Features(choices=both.choices, counts=both.counts[:, :0]),
    ):
        mean, _ = GaussianProcess(features, targets, fit(features, targets, Prior())).predict(
            features
        )
        assert mean.shape == (12,)


def test_the_gradient_of_the_posterior_is_the_slope(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    slopes = []

    def note(function, start, **_):  # type: ignore[no-untyped-def]
        slopes.append(function(start)[1])
        slopes.append(approx_fprime(start, lambda logs: function(logs)[0], 1e-6))
        return type("Found", (), {"x": start})

    monkeypatch.setattr(gaussian_process, "minimize", note)
    features = _features(15, seed=3)
    fit(features, features.counts[:, 0] + features.choices[:, 1], Prior())

    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-3)
