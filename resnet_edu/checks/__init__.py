"""The checks of the exercises: ``from resnet_edu import checks``, then ``checks.ex_1_2(answer)``."""

from resnet_edu.checks.appendix_a import ex_a_1
from resnet_edu.checks.ch01 import ex_1_1, ex_1_2, ex_1_3, ex_1_4, ex_1_5
from resnet_edu.checks.ch04 import ex_4_1, ex_4_2, ex_4_3, ex_4_4
from resnet_edu.checks.ch05 import ex_5_1, ex_5_2, ex_5_3, ex_5_4

__all__ = [
    "ex_1_1",
    "ex_1_2",
    "ex_1_3",
    "ex_1_4",
    "ex_1_5",
    "ex_4_1",
    "ex_4_2",
    "ex_4_3",
    "ex_4_4",
    "ex_5_1",
    "ex_5_2",
    "ex_5_3",
    "ex_5_4",
    "ex_a_1",
]
