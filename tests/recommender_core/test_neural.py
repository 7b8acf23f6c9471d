"""The trained networks: NumPy computes what torch computes, and training ends well or by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recommender.core.data import History
from recommender.core.errors import TrainingDiverged, TrainingStopped
from recommender.core.metrics import Held, mean_gain
from recommender.core.models.lightgcn import LightGCNConfig
from recommender.core.models.sasrec import SASRecConfig
from recommender.core.models.tower import TowerConfig
from recommender.core.splits import leave_last_out, random_share
from recommender.core.training.base import FitOptions
from recommender.core.training.debias import MOST, event_weights
from recommender.core.training.lightgcn import LightGCNFitting
from recommender.core.training.loop import fit_epochs
from recommender.core.training.registry import make_trainer
from recommender.core.training.sasrec import SASRecFitting
from recommender.core.training.softmax import CatalogueLoss, full_cross_entropy
from recommender.core.training.tower import TowerFitting
from recommender.core.training.validating import Validation
from tests.recommender_core.conftest import FAST, events, two_tastes

NEURAL = ["history_tower", "neumf", "lightgcn", "sasrec", "two_tower"]


def test_sasrec_scores_in_numpy_as_in_torch():
    config = SASRecConfig(factors=8, length=6, blocks=2, dropout=0.0)
    fitting = SASRecFitting(config, two_tastes(), FitOptions(seed=2))
    fitting.epoch()  # away from the plain start
    model = fitting.model({})

    for rows in ([3], [3, 7, 1], [5, 4, 3, 2, 1, 0], [9, 8, 5, 4, 3, 2, 1, 0]):
        padded = torch.tensor([[20] * (8 - len(rows)) + rows])[:, -6:]
        with torch.no_grad():
            wanted = fitting.states(padded)[0, -1].numpy()
        assert model.user(History.of(rows)) == pytest.approx(wanted, abs=1e-4)


def test_lightgcn_smooths_over_the_normalised_graph():
    x = two_tastes(12)
    model = make_trainer("lightgcn", {**FAST["lightgcn"], "layers": 2, "half_life": 0}).fit(
        x, FitOptions()
    )
    graph = np.zeros((12, 20))
    graph[x.user_rows, x.item_rows] = 1
    graph /= np.sqrt(graph.sum(1, keepdims=True) * np.maximum(graph.sum(0, keepdims=True), 1))

    # the user's state is one more step of the same graph
    wanted = graph[4] @ model.vectors @ model.vectors.T + model.bias
    assert model.score_one(x.history(4)) == pytest.approx(wanted, abs=1e-5)


def test_one_smoothing_layer_is_the_mean_of_an_item_and_its_neighbourhood():
    x = events([("u", "a", 1.0), ("u", "b", 2.0), ("v", "b", 3.0)])
    fitting = LightGCNFitting(LightGCNConfig(factors=4), x, FitOptions())
    start = fitting.parameters["vectors"].detach().numpy()

    a_of_u, b_of_u, b_of_v = 1 / np.sqrt(2 * 1), 1 / np.sqrt(2 * 2), 1 / np.sqrt(1 * 2)
    u, v = a_of_u * start[0] + b_of_u * start[1], b_of_v * start[1]
    wanted = (start + np.stack([a_of_u * u, b_of_u * u + b_of_v * v])) / 2
    assert fitting.model({}).vectors == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", NEURAL)
def test_an_exploding_fit_ends_by_name(name):
    params = {**FAST[name], "learning_rate": 1e7, "epochs": 40}
    with pytest.raises(TrainingDiverged, match="epoch"):
        make_trainer(name, params).fit(two_tastes(), FitOptions())


@pytest.mark.parametrize("name", NEURAL)
def test_a_killed_fit_goes_on_where_it_stood(name, tmp_path):
    x = two_tastes()
    whole = make_trainer(name, FAST[name]).fit(x, FitOptions(seed=4))

    def stop_after_two(done, total, metrics):
        if done == 2:
            raise TrainingStopped("killed")

    with pytest.raises(TrainingStopped):
        make_trainer(name, FAST[name]).fit(
            x, FitOptions(seed=4, checkpoint_dir=tmp_path, on_progress=stop_after_two)
        )
    begun = []
    again = make_trainer(name, FAST[name]).fit(
        x,
        FitOptions(
            seed=4, checkpoint_dir=tmp_path, on_progress=lambda done, *_: begun.append(done)
        ),
    )
    assert begun == [3]
    for key, array in whole.arrays().items():
        assert np.array_equal(again.arrays()[key], array), key


@pytest.mark.parametrize("name", NEURAL)
def test_validation_ends_a_fit_that_gets_no_better(name):
    split = leave_last_out(two_tastes())
    nothing_to_find = Held(split.held.user_rows, [[0] for _ in split.held.user_rows])
    params = {**FAST[name], "epochs": 50, "patience": 1}
    model = make_trainer(name, params).fit(split.train, FitOptions(held=nothing_to_find))

    assert model.facts()["epochs"] < 50


@pytest.mark.parametrize("name", ["history_tower", "lightgcn", "sasrec", "two_tower"])
def test_large_catalogues_are_trained_on_samples(name):
    x = two_tastes(60)
    small = {**FAST[name], "full_softmax_items": 1, "negatives": 5, "epochs": 2}
    model = make_trainer(name, small).fit(x, FitOptions())

    assert np.isfinite(model.score_one(x.history(0))).all()


def test_the_sampled_loss_learns_frequencies_whatever_it_draws():
    # nothing but a bias to learn: its softmax must become the frequencies of the targets
    counts = np.array([1, 2, 4, 8, 16, 32])
    targets = torch.from_numpy(np.repeat(np.arange(6), counts))
    bias = torch.zeros(6, requires_grad=True)
    nobody = torch.zeros(len(targets), 1)
    loss = CatalogueLoss(counts[::-1].copy(), 1, 3, torch.device("cpu"))  # draws the rare ones most
    rng, optimizer = np.random.default_rng(0), torch.optim.Adam([bias], lr=0.05)
    learned = []
    for _ in range(500):
        optimizer.zero_grad()
        loss(nobody, torch.zeros(6, 1), bias, targets, None, rng).backward()
        optimizer.step()
        learned.append(torch.softmax(bias, 0).detach().numpy())

    # the mean of the later steps: a single one moves with what was drawn for it
    assert np.mean(learned[100:], axis=0) == pytest.approx(counts / 63, abs=0.06)


def test_weights_of_the_loss_weigh_rows():
    users, outputs = torch.randn(4, 3), torch.randn(5, 3)
    bias, targets = torch.zeros(5), torch.tensor([0, 1, 2, 3])
    weights = torch.tensor([2.0, 0.0, 1.0, 1.0])

    each = torch.nn.functional.cross_entropy(users @ outputs.T, targets, reduction="none")
    weighed = full_cross_entropy(users, outputs, bias, targets, weights)
    assert float(weighed) == pytest.approx(float((each * weights).mean()), rel=1e-5)


@pytest.mark.parametrize("split", [leave_last_out, lambda x: random_share(x, 2, share=0.5)])
def test_validation_counts_the_same_ndcg_as_full_rankings(split):
    held_out = split(two_tastes())
    model = make_trainer("history_tower", FAST["history_tower"]).fit(held_out.train, FitOptions())
    tied = replace(model, outputs=np.round(model.outputs), bias=np.zeros(20, np.float32))

    for judged in (model, tied):
        found = Validation(held_out.train, held_out.held, 0).ndcg(judged)
        assert found == pytest.approx(mean_gain(judged, held_out.train, held_out.held))
        assert 0 < found < 1


def test_validation_looks_at_a_seeded_sample_of_very_many_users():
    x = leave_last_out(two_tastes())
    looks = [Validation(x.train, x.held, seed, most=7) for seed in (1, 1, 2)]
    users = [[history.user for history, _ in look.cases] for look in looks]

    assert len(users[0]) == 7
    assert users[0] == users[1] != users[2]


def test_short_epochs_lower_the_learning_rate_by_less():
    config = TowerConfig(decay=0.5, batch=16)
    few = TowerFitting(config, two_tastes(20), FitOptions())
    many = TowerFitting(config, two_tastes(400), FitOptions())

    assert few.decay == pytest.approx(0.5 ** (20 / 100))  # 20 steps an epoch
    assert many.decay == 0.5


def test_the_rate_falls_with_each_epoch_and_threads_come_back():
    class Watched(TowerFitting):
        def epoch(self) -> float:
            rates.append(self.optimizer.param_groups[0]["lr"])
            threads.append(torch.get_num_threads())
            return super().epoch()

    rates: list[float] = []
    threads: list[int] = []
    x, before = two_tastes(400), torch.get_num_threads()
    fitting = Watched(TowerConfig(factors=4, decay=0.5, batch=16), x, FitOptions())
    fit_epochs(fitting, x, FitOptions(), 3, 3, "")

    assert rates == pytest.approx([0.01, 0.005, 0.0025])
    assert threads == [1, 1, 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("decay", "run"), [(0.5, 3), (0.45, 2), (1.0, 6)])
def test_a_fit_ends_before_an_epoch_with_less_than_a_quarter_of_its_rate(decay, run):
    done: list[int] = []
    config = TowerConfig(factors=4, decay=decay, batch=16)
    options = FitOptions(on_progress=lambda epoch, *_: done.append(epoch))
    x = two_tastes(100)
    model = fit_epochs(TowerFitting(config, x, options), x, options, 6, 6, "")

    assert done == list(range(1, run + 1))  # rates 1, 1/2, 1/4; 1, .45; always 1
    assert model.facts()["epochs"] == run


def test_rare_items_weigh_more_and_logged_propensities_win():
    rows = [(f"u{n}", "hit", float(n)) for n in range(16)] + [("u0", "rare", 99.0)]
    x = events(rows)
    weights = event_weights(x, 1.0)
    assert weights is not None
    rare = x.item_rows == 1
    assert weights[rare][0] / weights[~rare][0] == pytest.approx(4)  # (16 / 1)^½
    assert weights.mean() == pytest.approx(1)
    assert event_weights(x, 0.0) is None

    logged = np.full(17, np.nan, np.float32)
    logged[rare] = 0.5
    weights = event_weights(replace(x, propensities=logged), 1.0)
    assert weights[rare][0] / weights[~rare][0] == pytest.approx(2)
    logged[rare] = 1e-9
    weights = event_weights(replace(x, propensities=logged), 1.0)
    assert weights.max() <= 17 * MOST  # one row of 17 can't own the gradient without limit
