"""What the pictures of the landscape, of paths and of functions show, in words; reports and
`thalweg landscape` say the same.
"""

from collections.abc import Mapping

import numpy as np

from thalweg.report.pictured import Functions, Landscape, Profile
from thalweg.report.tables import percent

BARRIER = (
    "The barrier is the largest rise of the loss above the straight line between its values at the "
    "two ends. An input changes class where the predicted class differs from that at the path's "
    "first end."
)
ALONG = (
    "The training loss along paths, at evenly spaced positions, with error and disagreement under "
    f"the pointer. {BARRIER}"
)


def of_map(mapped: Functions) -> str:
    """Returns what a map of functions shows."""
    return (
        f"What networks predict at {mapped.inputs} inputs, as points: their distances are those of "
        "predictions, as well as a plane can show them (multidimensional scaling; it shows "
        f"{percent(mapped.shown)} of the squared distances). A thin line joins the end of a path's "
        "free part, its member and the target that it was led to. The retrainings are real ones, "
        "which nothing here has seen."
    )


def seen_on_plane(landscape: Landscape) -> str:
    """Says between what values loss and error lie on the plane."""
    loss, error = landscape.train_loss, 100 * landscape.error
    return (
        f"On the plane the training loss lies between {np.nanmin(loss):.3g} and "
        f"{np.nanmax(loss):.3g} nats, and the {landscape.error_title} between "
        f"{np.nanmin(error):.1f} and {np.nanmax(error):.1f} %. What lies off the plane is not "
        "shown."
    )


def seen_along(profiles: Mapping[str, Profile]) -> str:
    """Says how high the barriers are, and how many inputs change class at the paths' last ends."""
    barriers = {name: profile.barrier for name, profile in profiles.items()}
    changed = {name: float(profile.disagreement[-1]) for name, profile in profiles.items()}
    high, low = max(barriers, key=barriers.__getitem__), min(barriers, key=barriers.__getitem__)
    far = max(changed, key=changed.__getitem__)
    share = percent(changed[far], 1)
    if len(profiles) == 1:
        return (
            f"The barrier is {barriers[high]:.3g} nats, and {share} of the inputs have changed "
            "class at the last end."
        )
    return (
        f"The barriers lie between {barriers[low]:.3g} ({low}) and {barriers[high]:.3g} nats "
        f"({high}). At the last end, at most {share} of the inputs have changed class ({far})."
    )


def seen_on_map(mapped: Functions) -> str:
    """Says how far apart the first group's points are from the others, on average over points."""
    first, *others = mapped.points
    centre = mapped.points[first].mean(0)
    away = {
        name: float(np.linalg.norm(mapped.points[name] - centre, axis=1).mean()) for name in others
    }
    if not away:
        return ""
    told = ", ".join(f"{name} {distance:.2g}" for name, distance in away.items())
    return f"Mean distances from “{first}” on the map are: {told}."
