"""The checks of the exercises: ``from resnet_edu import checks``, then ``checks.ex_1_2(answer)``."""

from resnet_edu.checks.ch01 import ex_1_1, ex_1_2, ex_1_3, ex_1_4, ex_1_5

__all__ = ["ex_1_1", "ex_1_2", "ex_1_3", "ex_1_4", "ex_1_5"]
