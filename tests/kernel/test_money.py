from hypothesis import given
from hypothesis import strategies as st

from kernel.money import floor_bp, largest_remainder, yuan


def test_the_fen_left_over_go_to_the_largest_remainders() -> None:
    # 100 over 1:1:1 → 33.3 each: one fen is left, the earliest line takes it.
    assert largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    # 10 over 3:3:4 of 10 → exact; 11 → 3.3, 3.3, 4.4: the last has the largest remainder.
    assert largest_remainder(11, [3, 3, 4]) == [3, 3, 5]


def test_zero_weights_share_evenly_and_zero_total_gives_zeros() -> None:
    assert largest_remainder(3, [0, 0]) == [2, 1]
    assert largest_remainder(0, [5, 7]) == [0, 0]


@given(
    st.integers(0, 10**9),
    st.lists(st.integers(0, 10**7), min_size=1, max_size=20),
)
def test_parts_add_up_and_stay_within_a_fen_of_the_exact_share(
    total: int, weights: list[int]
) -> None:
    parts = largest_remainder(total, weights)

    assert sum(parts) == total
    whole = sum(weights) or len(weights)
    shares = weights if sum(weights) else [1] * len(weights)
    assert all(
        abs(part * whole - total * share) < whole for part, share in zip(parts, shares, strict=True)
    )


def test_basis_points_round_down_and_yuan_has_two_decimals() -> None:
    assert floor_bp(999, 3333) == 332
    assert [yuan(0), yuan(5), yuan(990), yuan(-12345)] == ["0.00", "0.05", "9.90", "-123.45"]
