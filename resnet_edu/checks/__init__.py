"""The checks of the exercises: ``from resnet_edu import checks``, then ``checks.ex_1_2(answer)``."""

from resnet_edu.checks.appendix_a import ex_a_1
from resnet_edu.checks.ch01 import ex_1_1, ex_1_2, ex_1_3, ex_1_4, ex_1_5
from resnet_edu.checks.ch02 import ex_2_1, ex_2_2, ex_2_3, ex_2_4, ex_2_5
from resnet_edu.checks.ch03 import ex_3_1, ex_3_2, ex_3_3, ex_3_4, ex_3_5
from resnet_edu.checks.ch04 import ex_4_1, ex_4_2, ex_4_3, ex_4_4
from resnet_edu.checks.ch05 import ex_5_1, ex_5_2, ex_5_3, ex_5_4
from resnet_edu.checks.ch06 import ex_6_1, ex_6_2, ex_6_3, ex_6_4
from resnet_edu.checks.ch07 import ex_7_1, ex_7_2, ex_7_3, ex_7_4
from resnet_edu.checks.ch08 import ex_8_1, ex_8_2
from resnet_edu.checks.ch08_holes import ex_8_5
from resnet_edu.checks.ch08_loop import ex_8_3, ex_8_4
from resnet_edu.checks.ch09 import ex_9_1, ex_9_2, ex_9_3, ex_9_4

__all__ = [
    "ex_1_1",
    "ex_1_2",
    "ex_1_3",
    "ex_1_4",
    "ex_1_5",
    "ex_2_1",
    "ex_2_2",
    "ex_2_3",
    "ex_2_4",
    "ex_2_5",
    "ex_3_1",
    "ex_3_2",
    "ex_3_3",
    "ex_3_4",
    "ex_3_5",
    "ex_4_1",
    "ex_4_2",
    "ex_4_3",
    "ex_4_4",
    "ex_5_1",
    "ex_5_2",
    "ex_5_3",
    "ex_5_4",
    "ex_6_1",
    "ex_6_2",
    "ex_6_3",
    "ex_6_4",
    "ex_7_1",
    "ex_7_2",
    "ex_7_3",
    "ex_7_4",
    "ex_8_1",
    "ex_8_2",
    "ex_8_3",
    "ex_8_4",
    "ex_8_5",
    "ex_9_1",
    "ex_9_2",
    "ex_9_3",
    "ex_9_4",
    "ex_a_1",
]
