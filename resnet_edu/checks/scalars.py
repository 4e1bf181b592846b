"""A number that a reader answers with, or a few in a tuple, whether Python's, NumPy's or PyTorch's."""

from resnet_edu.checks.verdict import Wrong


def number(what: str, met) -> float:
    """Return the number that was met, or raise :class:`Wrong` where it is none.

    Example:
        >>> import numpy as np, torch
        >>> number("it", 2), number("it", np.float32(2)), number("it", torch.tensor([2]))
        (2.0, 2.0, 2.0)
        >>> number("it", "2")
        Traceback (most recent call last):
        resnet_edu.checks.verdict.Wrong: it should be one number, but it is '2'.
    """
    try:
        plain = met.item() if hasattr(met, "item") else met  # an array or a tensor of one number
        if isinstance(plain, bool | str | bytes | bytearray):
            raise TypeError
        return float(plain)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise Wrong(f"{what} should be one number, but it is {_shown(met)}.") from None


def whole_number(what: str, met) -> int:
    """Return the whole number that was met, or raise :class:`Wrong` where it is none; 468.0 is one.

    Example:
        >>> import numpy as np
        >>> whole_number("it", np.int64(468)), whole_number("it", 468.0)
        (468, 468)
        >>> whole_number("it", 468.75)
        Traceback (most recent call last):
        resnet_edu.checks.verdict.Wrong: it should be a whole number, but it is 468.75.
    """
    found = number(what, met)
    if not found.is_integer():
        raise Wrong(f"{what} should be a whole number, but it is {_shown(met)}.")
    return int(found)


def whole_numbers(what: str, met) -> tuple[int, ...]:
    """Return the whole numbers that were met in a tuple, a list, an array or a tensor, or raise :class:`Wrong`.

    Example:
        >>> import torch
        >>> whole_numbers("it", [2, 16.0]), whole_numbers("it", torch.zeros(2, 16).shape)
        ((2, 16), (2, 16))
        >>> whole_numbers("it", torch.tensor([2, 16]))
        (2, 16)
        >>> whole_numbers("it", (2, 16.5))
        Traceback (most recent call last):
        resnet_edu.checks.verdict.Wrong: it should be a tuple of whole numbers, but it is (2, 16.5).
    """
    plain = met.tolist() if hasattr(met, "tolist") else met  # a list, if it is an array or a tensor
    try:
        if not isinstance(plain, tuple | list):
            raise Wrong
        return tuple(whole_number(what, part) for part in plain)
    except Wrong:
        raise Wrong(f"{what} should be a tuple of whole numbers, but it is {_shown(met)}.") from None


def _shown(met) -> str:
    return repr(met) if len(repr(met)) <= 60 else f"a {type(met).__name__}"
