"""What is drawn, as arrays: a tensor from any device, or anything that numpy takes."""

import numpy as np
import torch
from torch import Tensor


def plain(values) -> np.ndarray:
    """Return the values as they are; only bfloat16, which numpy does not have, widened."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def numbers(values) -> np.ndarray:
    """Return the values as floats."""
    return (values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)).astype(float)
