"""scikit-learn's contract, checked by scikit-learn, and what the estimators add to it."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from thalweg import InputError, Recipe
from thalweg.estimators import RetrainingClassifier, RetrainingRegressor

SHORT = Recipe(epochs=20, optimizer="adamw", lr=0.03)


@parametrize_with_checks(
    [RetrainingClassifier(networks=2, recipe=SHORT), RetrainingRegressor(networks=2, recipe=SHORT)],
    expected_failed_checks=lambda _: {
        # batches of other sizes are rounded otherwise, and the check allows 1e-7
        "check_methods_subset_invariance": "networks compute in single precision"
    },
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs(240, centers=3, n_features=4, cluster_std=3.0, random_state=0)
    return StandardScaler().fit_transform(x), np.array(["low", "middle", "high"])[y]


def test_an_ensemble_is_that_of_its_networks(blobs):
    x, y = blobs
    model = RetrainingClassifier(networks=3, random_state=1).fit(x, y)
    found = model.predictions(x)
    assert found.members == 3 and model.cost_.trainings == 3
    p = found.probs().double().numpy()
    np.testing.assert_allclose(model.predict_proba(x), p.mean(0), atol=1e-6)
    np.testing.assert_allclose(model.std(x), p.std(0, ddof=1), atol=1e-5)
    np.testing.assert_allclose(model.u(x) ** 2, p.var(0, ddof=1).sum(1), atol=1e-5)
    assert set(model.predict(x)) <= {"low", "middle", "high"} and model.score(x, y) > 0.6


def test_values_are_in_units_and_as_many_as_the_targets(blobs):
    x, _ = blobs
    truth = 300 + 20 * x[:, 0]
    flat = RetrainingRegressor(networks=3, random_state=1).fit(x, truth)
    y, u = flat.predict(x, return_std=True)
    assert y.shape == u.shape == (240,) and abs(y - truth).mean() < 5 and 0 < u.mean() < 5
    both = RetrainingRegressor(networks=2, random_state=1).fit(x, np.stack([truth, -truth], 1))
    y, u = both.predict(x, return_std=True)
    assert y.shape == u.shape == (240, 2) and abs(y[:, 1] + truth).mean() < 5


def test_a_seed_repeats_a_fit_and_another_does_not(blobs):
    x, y = blobs
    one, same, other = (
        RetrainingClassifier(networks=2, recipe=SHORT, random_state=s).fit(x, y).u(x)
        for s in (3, 3, 4)
    )
    assert (one == same).all() and (one != other).any()


@pytest.mark.filterwarnings("ignore:.*unlabelled inputs", "ignore:.*narrow copies")
def test_a_budget_asks_the_quantifier_and_survives_a_pickle(blobs):
    x, y = blobs
    model = RetrainingClassifier(networks=1, budget=1.0, recipe=SHORT, random_state=0).fit(x, y)
    assert 1 < model.cost_.trainings <= 2.2 and model.predictions(x).members == 100
    again = pickle.loads(pickle.dumps(model))
    assert (again.u(x) == model.u(x)).all() and again.u(x).mean() > 0
    # what is held out is not trained on
    assert len(model._problem.train_loader.inputs) == 192 and len(model._problem.unlabelled) == 48


def test_one_network_alone_is_refused(blobs):
    with pytest.raises(InputError, match="says nothing of retrainings"):
        RetrainingClassifier(networks=1).fit(*blobs)
    with pytest.raises(InputError, match="one class"):
        RetrainingClassifier().fit(blobs[0], ["a"] * 240)


def small(inputs, outputs):
    return nn.Linear(inputs, outputs)


def test_it_works_in_pipelines_and_searches(blobs):
    x, y = blobs
    pipe = make_pipeline(StandardScaler(), RetrainingClassifier(small, networks=2, recipe=SHORT))
    assert cross_validate(pipe, x, y, cv=2)["test_score"].shape == (2,)
    search = GridSearchCV(pipe, {"retrainingclassifier__networks": [2, 3]}, cv=2).fit(x, y)
    assert search.best_estimator_[-1].predictions(x).members in (2, 3)
    assert isinstance(search.best_estimator_[-1]._problem.build("x"), nn.Linear)


def test_numbers_beyond_single_precision_are_refused():
    x = np.array([[1e300], [0.0], [1.0], [2.0]])
    with pytest.raises(InputError, match="single precision"):
        RetrainingRegressor(networks=2).fit(x, torch.arange(4).numpy())
