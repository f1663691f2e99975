"""What the pictures of paths and of functions show, in words; reports and `thalweg landscape` say
the same.
"""

from thalweg.report.results import Functions

ALONG = (
    "The training loss along paths, at evenly spaced positions, with error and disagreement under "
    "the pointer. The barrier is the largest rise of the loss above the straight line between its "
    "values at the two ends. An input changes class where the predicted class differs from that at "
    "the path's first end."
)


def of_map(mapped: Functions) -> str:
    """Returns what a map of functions shows."""
    return (
        f"What networks predict at {mapped.inputs} inputs, as points: their distances are those of "
        "predictions, as well as a plane can show them (multidimensional scaling; "
        f"{mapped.shown:.0%} of the squared distances). A thin line joins the end of a path's free "
        "part, its member and the target that it was led to. The retrainings are real ones, which "
        "nothing here has seen."
    )
