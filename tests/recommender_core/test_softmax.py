"""The losses over a catalogue and the means before each target, beside torch's own arithmetic."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recommender.core.training.drawing import Drawing
from recommender.core.training.means import DecayedMeans, chosen
from recommender.core.training.sequences import Segments
from recommender.core.training.softmax import (
    CHUNK,
    DRAW_ROWS,
    full_cross_entropy,
    sampled_cross_entropy,
)
from tests.recommender_core.conftest import events, two_tastes

ITEMS, FACTORS = 30, 5


def drawn_case(rows: int, seed: int = 0) -> tuple[list[Tensor], Tensor, Tensor]:
    """[users, outputs, bias] that want gradients, targets, and weights of the rows."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((rows, FACTORS), (ITEMS, FACTORS), (ITEMS,))
    leaves = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    targets = torch.randint(0, ITEMS, (rows,), generator=generator)
    return leaves, targets, torch.rand(rows, generator=generator)


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[np.ndarray]:
    return [g.numpy() for g in torch.autograd.grad(loss, leaves)]


def close(found: list[np.ndarray], wanted: list[np.ndarray]) -> bool:
    return all(np.allclose(a, b, atol=1e-6) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("rows", [1, CHUNK, 2 * CHUNK + 7])
@pytest.mark.parametrize("weighed", [False, True])
def test_the_chunked_loss_is_the_cross_entropy_of_torch(rows, weighed):
    leaves, targets, weights = drawn_case(rows)
    users, outputs, bias = leaves

    given = weights if weighed else None
    ours = full_cross_entropy(users, outputs, bias, targets, given)
    each = functional.cross_entropy(users @ outputs.T + bias, targets, reduction="none")
    wanted = (each * weights).mean() if weighed else each.mean()
    assert float(ours.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    assert close(gradients(ours, leaves), gradients(wanted, leaves))


@pytest.mark.parametrize("weighed", [False, True])
def test_the_sampled_loss_is_the_corrected_cross_entropy_of_target_and_drawn(weighed):
    leaves, targets, weights = drawn_case(DRAW_ROWS + 7)
    users, outputs, bias = leaves
    drawing = Drawing(np.arange(1, ITEMS + 1) ** 2.0, 12)
    rng = np.random.default_rng(0)
    draws = [torch.from_numpy(drawing.draw(rng)) for _ in range(2)]
    log_chance = torch.from_numpy(drawing.log_chance)

    given = weights if weighed else None
    ours = sampled_cross_entropy(users, outputs, bias, targets, draws, log_chance, given)
    corrected = users @ outputs.T + bias - log_chance
    own = corrected.gather(1, targets[:, None])
    parts = []
    for span, drawn in zip((slice(0, DRAW_ROWS), slice(DRAW_ROWS, None)), draws, strict=True):
        twice = drawn == targets[span, None]
        others = corrected[span][:, drawn].masked_fill(twice, -torch.inf)
        parts.append(torch.logsumexp(torch.cat([own[span], others], 1), 1) - own[span, 0])
    each = torch.cat(parts)
    wanted = (each * weights).mean() if weighed else each.mean()
    assert float(ours.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    assert close(gradients(ours, leaves), gradients(wanted, leaves))


def test_each_item_is_drawn_as_often_as_its_chance_says():
    drawing = Drawing(np.array([100.0, 50, 8, 4, 2, 2, 1, 1, 1, 1]), 4)

    # the two large ones are certain, the other two places are shared in proportion
    assert drawing.chance == pytest.approx([1, 1, 0.8, 0.4, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1])
    rng, rounds = np.random.default_rng(5), 4000
    draws = [drawing.draw(rng) for _ in range(rounds)]
    assert all(len(set(draw.tolist())) == len(draw) for draw in draws)
    found = np.bincount(np.concatenate(draws), minlength=10) / rounds
    assert found == pytest.approx(drawing.chance, abs=0.03)  # four standard errors
    pairs = np.mean([{2, 3} <= set(draw.tolist()) for draw in draws])
    assert pairs == pytest.approx(0.8 * 0.4, abs=0.03)  # one tells nothing about the other


@pytest.mark.parametrize(
    ("known", "corrected", "at_rest"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
def test_few_negatives_pull_away_from_the_truth_in_no_direction(known, corrected, at_rest):
    # items taken with the frequencies f and nothing but a bias to learn: over all 31 draws and
    # all targets the gradient vanishes at log f, there alone, and with the correction alone
    frequencies = np.array([0.5, 0.25, 0.15, 0.06, 0.04])
    chance = np.array([0.2, 0.3, 0.1, 0.7, 0.5])  # of being drawn, far from f
    told = np.log(frequencies if known else np.full(5, 0.2))
    bias = torch.from_numpy(told).float().requires_grad_()
    log_chance = torch.from_numpy(np.log(chance) if corrected else np.zeros(5)).float()
    nobody, outputs, targets = torch.zeros(5, 1), torch.zeros(5, 1), torch.arange(5)
    weights = torch.from_numpy(5 * frequencies).float()
    expected = np.zeros(5)
    for there in product((False, True), repeat=5):
        if not any(there):
            continue  # the target alone has no gradient
        likely = np.prod(np.where(there, chance, 1 - chance))
        drawn = torch.from_numpy(np.flatnonzero(there))
        loss = sampled_cross_entropy(nobody, outputs, bias, targets, [drawn], log_chance, weights)
        expected += likely * gradients(loss, [bias])[0]

    assert (np.abs(expected).max() < 1e-6) == at_rest
    assert at_rest or np.abs(expected).max() > 0.01


def test_the_loss_never_holds_all_logits():
    users = torch.zeros(20 * CHUNK, 2, requires_grad=True)
    outputs, bias = torch.zeros(100, 2), torch.zeros(100)
    targets = torch.zeros(len(users), dtype=torch.int64)
    activity = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity], profile_memory=True) as profile:
        full_cross_entropy(users, outputs, bias, targets).backward()

    taken = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < taken <= 4 * CHUNK * 100 + 4 * users.numel() * 6  # one chunk, not 20


def test_means_before_each_target_are_those_of_the_definition():
    half_lives, context, targets = (1.0, 8.0, 0.0), 12, 6
    rng = np.random.default_rng(0)
    rows = rng.integers(0, ITEMS, (7, context + targets))
    weights = rng.random(rows.shape).astype(np.float32) * (rng.random(rows.shape) > 0.3)
    table = torch.randn((3, ITEMS, FACTORS), generator=torch.Generator().manual_seed(1))
    table.requires_grad_()

    ours = DecayedMeans(half_lives, context, targets)(table, rows, weights.astype(np.float32))
    wanted = []
    for segment, target in np.ndindex(7, targets):
        before = context + target
        age = np.arange(before - 1, -1, -1)
        total = torch.zeros(FACTORS)
        for vectors, half_life in zip(table, half_lives, strict=True):
            decay = 0.5 ** (age / half_life) if half_life else np.ones(before)
            share = torch.from_numpy(decay * weights[segment, :before]).float()
            total = total + share @ vectors[rows[segment, :before]] / (share.sum() + 1e-6)
        wanted.append(total)
    by_hand = torch.stack(wanted).view(7, targets, FACTORS)
    assert torch.allclose(ours, by_hand, atol=1e-5)
    pull = torch.randn(by_hand.shape, generator=torch.Generator().manual_seed(2))
    assert close(
        gradients((ours * pull).sum(), [table]), gradients((by_hand * pull).sum(), [table])
    )


def test_chosen_rows_carry_their_gradient_home():
    x = torch.arange(12.0).view(2, 3, 2).requires_grad_()
    kept = np.array([[True, False, True], [False, False, True]])

    picked = chosen(x, kept)
    assert picked.tolist() == x[torch.from_numpy(kept)].tolist()
    (gradient,) = torch.autograd.grad((picked * picked).sum(), [x])
    assert gradient.tolist() == (2 * x * torch.from_numpy(kept)[:, :, None]).tolist()


def test_every_event_but_a_users_first_is_a_target_once():
    x = two_tastes(9)
    pieces = Segments(x, 3, 2)
    seen: list[int] = []
    for part in pieces.batches(np.random.default_rng(0), 4):
        assert part.shape[1] == 5
        for row in part.tolist():
            told = [event for event in row if event >= 0]
            assert told == list(range(told[0], told[0] + len(told)))  # no ties: in time's order
            assert len({int(x.user_rows[event]) for event in told}) == 1
            seen += [event for event in row[3:] if event >= 0]

    firsts = set(x.indptr[:-1].tolist())
    assert sorted(seen) == [event for event in range(len(x)) if event not in firsts]


def test_only_events_of_one_moment_change_places():
    x = events(
        [("u", "a", 1.0), ("u", "b", 2.0), ("u", "c", 2.0), ("u", "d", 3.0), ("v", "a", 3.0)]
    )
    pieces, orders = Segments(x, 2, 2), set()
    rng = np.random.default_rng(0)
    for _ in range(30):
        pieces.shuffle(rng)
        orders.add(tuple(pieces.order.tolist()))
    assert orders == {(0, 1, 2, 3, 4), (0, 2, 1, 3, 4)}
