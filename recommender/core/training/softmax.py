"""Cross-entropy over the whole catalogue without ever holding all logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK = 1024  # rows of logits held at once: 40 MB at 10,000 items


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Computes the loss and its gradients chunk by chunk in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, users: Tensor, outputs: Tensor, bias: Tensor, targets: Tensor, weights: Tensor
    ) -> Tensor:
        d_users = torch.empty_like(users)
        d_outputs = torch.zeros_like(outputs)
        d_bias = torch.zeros_like(bias)
        loss = users.new_zeros(())
        for start in range(0, len(users), CHUNK):
            part, wanted = users[start : start + CHUNK], targets[start : start + CHUNK]
            weight = weights[start : start + CHUNK]
            logits = torch.addmm(bias, part, outputs.T)
            rows = torch.arange(len(part), device=users.device)
            norm = torch.logsumexp(logits, dim=1)
            loss += ((norm - logits[rows, wanted]) * weight).sum()
            error = logits.sub_(norm[:, None]).exp_()
            error[rows, wanted] -= 1
            error *= weight[:, None]
            d_users[start : start + CHUNK] = error @ outputs
            d_outputs.addmm_(error.T, part)
            d_bias += error.sum(0)
        ctx.save_for_backward(d_users, d_outputs, d_bias)
        ctx.rows = max(len(users), 1)
        mean: Tensor = loss / ctx.rows
        return mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        scale = grad / ctx.rows
        d_users, d_outputs, d_bias = ctx.saved_tensors
        return d_users * scale, d_outputs * scale, d_bias * scale, None, None


def full_cross_entropy(
    users: Tensor, outputs: Tensor, bias: Tensor, targets: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Mean over rows of -weight · log softmax(users @ outputs.T + bias)[target]."""
    each = users.new_ones(len(users)) if weights is None else weights
    loss: Tensor = _ChunkedCrossEntropy.apply(users, outputs, bias, targets, each)  # type: ignore[no-untyped-call]
    return loss


def sampled_cross_entropy(
    users: Tensor,
    outputs: Tensor,
    bias: Tensor,
    targets: Tensor,
    negatives: Tensor,
    log_expected: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """The same over the target and shared `negatives`, with logQ correction.

    `log_expected` [items] is the log of how often each item is expected among the negatives
    (Yi et al. 2019); a negative that is the row's own target is left out.
    """
    own = (users * outputs[targets]).sum(1) + bias[targets]
    others = torch.addmm(bias[negatives] - log_expected[negatives], users, outputs[negatives].T)
    others = others.masked_fill(negatives[None, :] == targets[:, None], -torch.inf)
    own = own - log_expected[targets]
    loss = torch.logsumexp(torch.cat([own[:, None], others], 1), 1) - own
    return (loss if weights is None else loss * weights).mean()


class CatalogueLoss:
    """Full softmax over a catalogue of up to `full` items, sampled with logQ above that."""

    def __init__(self, counts: NDArray[np.int64], full: int, negatives: int):
        self.n, self.negatives = len(counts), negatives
        self.sampled = self.n > max(full, negatives)
        chance = (counts.astype(np.float32) + 1) ** 0.75
        self.chance = chance / chance.sum()

    def __call__(
        self,
        users: Tensor,
        outputs: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        rng: np.random.Generator,
    ) -> Tensor:
        if not self.sampled:
            return full_cross_entropy(users, outputs, bias, targets, weights)
        drawn = torch.from_numpy(rng.choice(self.n, self.negatives, p=self.chance))
        expected = torch.from_numpy(np.log(self.chance * self.negatives).astype(np.float32))
        device = users.device
        return sampled_cross_entropy(
            users, outputs, bias, targets, drawn.to(device), expected.to(device), weights
        )
