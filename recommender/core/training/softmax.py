"""Cross-entropy over the whole catalogue without ever holding all logits.

Loss and gradients come chunk by chunk in the forward pass. A chunk of logits becomes powers of 2
(half the price of exp) in place and is never divided by its sums: that division, and the weights,
go to the rows of user vectors, which are much narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recommender.core.training.drawing import Drawing

CHUNK = 512  # rows of logits held at once: 20 MB at 10,000 items
DRAW_ROWS = 256  # rows that share a draw of negatives
LOG2_E = float(np.log2(np.e))
POWER = 0.75  # of an item's count, in its chance to be drawn


class _FullCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        outputs: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor | None,
    ) -> Tensor:
        d_users = torch.empty_like(users)
        d_outputs = torch.zeros_like(outputs)
        d_bias = torch.zeros_like(bias)
        loss = users.new_zeros(())
        buffer = users.new_empty((min(CHUNK, len(users)), len(outputs)))
        base = bias * LOG2_E
        for start in range(0, len(users), CHUNK):
            span = slice(start, start + CHUNK)
            part, wanted = users[span], targets[span]
            error = torch.addmm(base, part * LOG2_E, outputs.T, out=buffer[: len(part)])
            top = error.amax(1, keepdim=True)
            rows = torch.arange(len(part), device=users.device)
            own = error[rows, wanted] - top[:, 0]
            error.sub_(top).exp2_()
            total = error.sum(1)
            error[rows, wanted] -= total
            each, scale = total.log2() - own, total.reciprocal()
            if weights is not None:
                each *= weights[span]
                scale *= weights[span]
            loss += each.sum()
            torch.mm(error, outputs, out=d_users[span])
            d_users[span] *= scale[:, None]
            d_outputs.addmm_(error.T, part * scale[:, None])
            d_bias.addmv_(error.T, scale)
        ctx.save_for_backward(d_users, d_outputs, d_bias)
        ctx.rows = max(len(users), 1)
        mean: Tensor = loss / (LOG2_E * ctx.rows)
        return mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        scale = grad / ctx.rows
        d_users, d_outputs, d_bias = ctx.saved_tensors
        return d_users * scale, d_outputs * scale, d_bias * scale, None, None


class _SampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        outputs: Tensor,
        bias: Tensor,
        targets: Tensor,
        draws: Sequence[Tensor],
        log_chance: Tensor,
        weights: Tensor | None,
    ) -> Tensor:
        corrected = bias - log_chance
        wanted, wanted_bias = outputs.index_select(0, targets), corrected[targets]
        d_users, d_outputs = torch.empty_like(users), torch.zeros_like(outputs)
        d_bias = torch.zeros_like(bias)
        missing = torch.empty_like(wanted_bias)  # gradient of each row's target logit
        loss = users.new_zeros(())
        place = targets.new_full((len(outputs),), -1)  # of an item among the drawn
        buffer = users.new_empty(min(DRAW_ROWS, len(users)) * max(map(len, draws), default=0))
        for start, drawn in zip(range(0, len(users), DRAW_ROWS), draws, strict=True):
            span = slice(start, start + DRAW_ROWS)
            part, others = users[span], outputs.index_select(0, drawn)
            error = buffer[: len(part) * len(drawn)].view(len(part), len(drawn))
            torch.addmm(corrected[drawn] * LOG2_E, part * LOG2_E, others.T, out=error)
            place[drawn] = torch.arange(len(drawn), device=drawn.device)
            twice = torch.nonzero(place[targets[span]] >= 0)[:, 0]
            error[twice, place[targets[span]][twice]] = -torch.inf
            place[drawn] = -1
            own = ((part * wanted[span]).sum(1) + wanted_bias[span]) * LOG2_E
            top = torch.maximum(error.amax(1), own)
            own -= top
            error.sub_(top[:, None]).exp2_()
            rest = error.sum(1)
            total = rest + own.exp2()
            each, scale = total.log2() - own, total.reciprocal()
            if weights is not None:
                each *= weights[span]
                scale *= weights[span]
            loss += each.sum()
            missing[span] = -rest * scale
            torch.mm(error, others, out=d_users[span])
            d_users[span] *= scale[:, None]
            d_outputs.index_add_(0, drawn, error.T @ (part * scale[:, None]))
            d_bias.index_add_(0, drawn, error.T @ scale)
        d_users.addcmul_(wanted, missing[:, None])
        d_outputs.index_add_(0, targets, users * missing[:, None])
        d_bias.index_add_(0, targets, missing)
        ctx.save_for_backward(d_users, d_outputs, d_bias)
        ctx.rows = max(len(users), 1)
        mean: Tensor = loss / (LOG2_E * ctx.rows)
        return mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None, None]:
        scale = grad / ctx.rows
        d_users, d_outputs, d_bias = ctx.saved_tensors
        return d_users * scale, d_outputs * scale, d_bias * scale, None, None, None, None


def full_cross_entropy(
    users: Tensor, outputs: Tensor, bias: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean over rows of -weight · log softmax(users @ outputs.T + bias)[target]."""
    loss: Tensor = _FullCrossEntropy.apply(users, outputs, bias, targets, weights)  # type: ignore[no-untyped-call]
    return loss


def sampled_cross_entropy(
    users: Tensor,
    outputs: Tensor,
    bias: Tensor,
    targets: Tensor,
    draws: Sequence[Tensor],
    log_chance: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """The same among the target and drawn items, each less its `log_chance` to be drawn.

    There is a draw for every DRAW_ROWS rows: what one leaves out, the next may hold.
    That is the logQ correction (Bengio, Senécal 2008; Yi et al. 2019). Where items are drawn one
    independently of the other, the target is, given who is there, one of them with exactly these
    odds: the expected gradient is 0 where the full loss has its least, however few are drawn.
    """
    loss: Tensor = _SampledCrossEntropy.apply(  # type: ignore[no-untyped-call]
        users, outputs, bias, targets, draws, log_chance, weights
    )
    return loss


class CatalogueLoss:
    """Full softmax over a catalogue of up to `full` items, over about `negatives` drawn above."""

    def __init__(self, counts: NDArray[np.int64], full: int, negatives: int, device: torch.device):
        self.drawing: Drawing | None = None
        if len(counts) > max(full, negatives):
            self.drawing = Drawing((counts + 1.0) ** POWER, negatives)
            self.log_chance = torch.from_numpy(self.drawing.log_chance).to(device)

    def __call__(
        self,
        users: Tensor,
        outputs: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        rng: np.random.Generator,
    ) -> Tensor:
        if self.drawing is None:
            return full_cross_entropy(users, outputs, bias, targets, weights)
        draws = [
            torch.from_numpy(self.drawing.draw(rng)).to(users.device)
            for _ in range(0, len(users), DRAW_ROWS)
        ]
        return sampled_cross_entropy(users, outputs, bias, targets, draws, self.log_chance, weights)
