"""The trivial row: its scale identity."""

import pytest
import torch

from retrainings import synthetic
from thalweg.emulators.trivial import Trivial
from thalweg.predictions import Predictions, impurity


@pytest.mark.parametrize("power", [1.0, 0.5])
@pytest.mark.parametrize("anchors", [2, 4])
def test_on_calibration_the_mean_square_of_u_is_the_anchors_mean_variance(anchors, power):
    (calibration,) = synthetic(200, anchors)
    found = Trivial(power).emulate(calibration, calibration, draws=3, seed=0)
    assert found.u().square().mean().item() == pytest.approx(
        calibration.u().square().mean().item(), rel=1e-12
    )
    assert torch.equal(found.log_probs, calibration.log_probs), "its draws are the anchors"


def test_u_is_in_proportion_to_the_impurity_of_the_first_anchor():
    (calibration,) = synthetic(200, 2)
    (asked,) = synthetic(50, 2, seed=1)
    found = Trivial().emulate(calibration, asked, draws=3, seed=0)
    p = asked.log_probs[0].exp()
    assert torch.allclose(
        found.u() / found.u()[0], (1 - p.square().sum(-1)) / (1 - p[0].square().sum()), rtol=1e-12
    )


def test_sure_networks_have_no_uncertainty():
    sure = Predictions(torch.tensor([[[0.0, -1e3]]]).expand(2, 5, 2).contiguous())
    assert torch.equal(impurity(sure), torch.zeros(5, dtype=torch.float64))
    assert torch.equal(Trivial().emulate(sure, sure, draws=1, seed=0).u(), torch.zeros(5))
