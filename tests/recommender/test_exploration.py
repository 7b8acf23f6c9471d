"""The chances by which new courses are drawn."""

import numpy as np
import pytest

from recommender.serving.catalogue import chances_of_winning


def chances(hits: list[float], misses: list[float]) -> list[float]:
    return chances_of_winning(np.array(hits, float), np.array(misses, float)).tolist()


def test_a_course_with_one_click_beats_an_unknown_one_in_two_draws_of_three():
    # P(Beta(2, 1) > Beta(1, 1)) is the mean of Beta(2, 1): 2/3
    assert chances([0, 1], [0, 0]) == pytest.approx([1 / 3, 2 / 3], abs=1e-4)


def test_what_nothing_is_known_about_is_drawn_equally():
    assert chances([0] * 4, [0] * 4) == pytest.approx([0.25] * 4)


def test_many_courses_agree_with_thompson_sampling_itself():
    hits, misses = [0, 3, 10, 0], [0, 10, 20, 50]
    rng = np.random.default_rng(0)
    draws = rng.beta(np.add(1, hits), np.add(1, misses), size=(200_000, 4))
    seen = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)

    assert chances(hits, misses) == pytest.approx(seen.tolist(), abs=5 * 0.5 / 200_000**0.5)
