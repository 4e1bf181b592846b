"""Appendix A's check accepts the five names, however spelled, and says to each wrong one what belongs to it."""

import pytest

from resnet_edu import checks
from resnet_edu.checks import appendix_a

NAMES = {"P": "ImageNet 101 v1", "Q": "CIFAR 44 B", "R": "ImageNet 34 A", "S": "ImageNet 50 v1.5", "T": "CIFAR 56 C"}


def test_it_accepts_the_names(verdict, earns) -> None:
    assert verdict(checks.ex_a_1, NAMES) == "Exercise A.1: right."
    assert earns(checks.ex_a_1, NAMES)


def test_it_accepts_other_spellings(verdict) -> None:
    other = {letter: f" {name.lower().replace(' ', '  ')}" for letter, name in reversed(NAMES.items())}
    assert verdict(checks.ex_a_1, other) == "Exercise A.1: right."


def test_it_knows_the_stub(verdict, earns) -> None:
    assert verdict(checks.ex_a_1, dict.fromkeys(NAMES, ...)) == "Exercise A.1: not attempted yet."
    assert "not attempted" in verdict(checks.ex_a_1, NAMES | {"T": ...})
    assert not earns(checks.ex_a_1, dict.fromkeys(NAMES, ...))


@pytest.mark.parametrize(
    ("letter", "name", "words"),
    [
        ("P", "ImageNet 101 v1.5", "Where does the stride sit?"),
        ("P", "ImageNet 152 v1", "another depth"),
        ("P", "CIFAR 110 A", "the other family"),
        ("P", "ImageNet 101 B", "is v1 or v1.5, where the stride sits, not B"),
        ("P", "ImageNet 101", "family, depth and version"),
        ("P", "ResNet-101 v1", "family, depth and version"),
        ("P", 101, "family, depth and version"),
        ("Q", "CIFAR 44 A", "the shortcut is not"),
        ("Q", "CIFAR 56 B", "another depth"),
        ("Q", "CIFAR 50 B", "no CIFAR ResNet-50 is among the five"),
        ("Q", "CIFAR 1202 A", "no CIFAR ResNet-1202 is among the five; look at depths 20, 32, 44, 56, 110"),
        ("Q", "CIFAR 44 v1", "it has no bottlenecks"),
        ("R", "ImageNet 34 B", "A has the fewest"),
        ("R", "ImageNet 34 C", "A has the fewest"),
        ("R", "ImageNet 18 A", "another depth"),
        ("R", "ImageNet 44 A", "no ImageNet ResNet-44 is among the five"),
        ("S", "ImageNet 50 v1", "Where does the stride sit?"),
        ("S", "ImageNet 34 B", "another depth"),
        ("T", "CIFAR 56 A", "C the most"),
    ],
)
def test_it_names_the_mistake(verdict, earns, letter, name, words) -> None:
    said = verdict(checks.ex_a_1, NAMES | {letter: name})
    assert words in said and letter in said
    assert NAMES[letter] not in said.replace(repr(name), "")  # the check does not give the name away
    assert not earns(checks.ex_a_1, NAMES | {letter: name})


@pytest.mark.parametrize("answer", [None, {}, list(NAMES.values()), {"P": "ImageNet 101 v1"}])
def test_it_asks_for_the_letters(verdict, answer) -> None:
    assert "dict with the keys P, Q, R, S, T" in verdict(checks.ex_a_1, answer)


def test_two_numbers_are_enough_to_tell_all_versions_apart() -> None:
    names = [f"CIFAR {depth} {option}" for depth in appendix_a.CIFAR_DEPTHS for option in "ABC"]
    for depth in appendix_a.LAYERS:
        names += [f"ImageNet {depth} {version}" for version in (("v1", "v1.5") if depth >= 50 else "ABC")]
    numbers = {tuple(appendix_a._measure(name).values()) for name in names}
    assert len(numbers) == len(names)


def test_the_counts_are_the_published_ones() -> None:
    assert appendix_a._measure("ImageNet 50 v1.5") == {"parameters": 25_557_032, "multiply_adds": 4_089_184_256}
    assert appendix_a._measure("ImageNet 50 v1")["multiply_adds"] == 3_857_973_248
    assert appendix_a._measure("CIFAR 20 A")["parameters"] == 269_722
