"""The checks of the exercises: ``from resnet_edu import checks``, then ``checks.ex_1_2(answer)``."""
