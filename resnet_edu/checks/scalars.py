"""One number that a reader answers with, whether Python's, NumPy's or PyTorch's."""

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


def _shown(met) -> str:
    return repr(met) if len(repr(met)) <= 60 else f"a {type(met).__name__}"
