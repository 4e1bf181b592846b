"""What is drawn, as arrays: a tensor from any device, or anything that numpy takes."""

import numpy as np
from torch import Tensor


def plain(values) -> np.ndarray:
    """Return the values as they are."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def numbers(values) -> np.ndarray:
    """Return the values as floats."""
    return (values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)).astype(float)
