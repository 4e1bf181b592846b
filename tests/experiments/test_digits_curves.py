"""The experiments watch a training without changing it, and count a claim as it is."""

import digits_curves as curves
import torch

from resnet_edu.train.step import evaluate, fit


def test_a_watched_training_is_the_training():
    splits, checksums = curves.digits()
    assert set(checksums) == {"digits"} and len(checksums["digits"]) == 64
    watched, alone = (curves.make("residual", 8, seed=3) for _ in range(2))
    rows = curves.curve(watched, splits, every=2, iterations=5, seed=3)
    fit(alone, splits[0], splits[1], iterations=5, seed=3)
    assert [row["iteration"] for row in rows] == [0, 2, 4, 5]
    for key, value in alone.state_dict().items():
        assert torch.equal(value, watched.state_dict()[key]), key
    assert (rows[-1]["train_loss"], rows[-1]["train_error"]) == evaluate(alone, splits[0], splits[1])
    assert (rows[-1]["test_loss"], rows[-1]["test_error"]) == evaluate(alone, splits[2], splits[3])
    assert not watched._forward_pre_hooks


def test_plain_and_residual_start_alike():
    plain, residual = curves.make("plain", 20, seed=1), curves.make("residual", 20, seed=1)
    for one, other in zip(plain.parameters(), residual.parameters(), strict=True):
        assert torch.equal(one, other)


def test_final_takes_the_last_iteration_of_each_matching_curve():
    rows = [
        {"net": net, "seed": seed, "iteration": iteration, "loss": 10 * seed + iteration}
        for net in ("a", "b")
        for seed in (0, 1)
        for iteration in (0, 5)
    ]
    assert curves.final(rows, "loss", net="b") == [5, 15]


def test_claim_counts_and_gives_the_worst_case(capsys):
    curves.claim("more", [2.0, 3.0, 1.0], [1.0, 1.0, 2.0])
    assert capsys.readouterr().out.split() == ["2/3", "at", "least", "x0.5", "and", "-1", "more"]
    curves.claim("zero", [2.0], [0.0])
    assert "xinf" in capsys.readouterr().out
