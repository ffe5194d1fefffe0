"""The verdicts of `make bench-compare`."""

import math
import random

import pytest
from benchmarks.compare._statistics import Verdict, _cut, compare, typical
from hypothesis import given
from hypothesis import strategies as st

THRESHOLD = 0.05

times = st.floats(1e-9, 1e3)
pairs = st.lists(st.tuples(times, times), min_size=1, max_size=24)


def noisy(shift, noise, count=20, seed=0):
    """Pairs of a head that takes `shift` times as long, each disturbed by itself."""
    numbers = random.Random(seed)
    return [
        (
            numbers.lognormvariate(0, noise / math.sqrt(2)),
            shift * numbers.lognormvariate(0, noise / math.sqrt(2)),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "confidence", "cut"),
    [
        # from tables of the signed-rank test, both sides
        (5, 0.95, None),
        (6, 0.95, 0),
        (10, 0.95, 8),
        (10, 0.99, 3),
        (12, 0.95, 13),
        (16, 0.99, 19),
        (20, 0.99, 37),
        (20, 0.999, 21),
        (9, 0.999, None),
    ],
)
def test_interval_is_that_of_the_signed_rank_test(count, confidence, cut):
    assert _cut(count, confidence) == cut


def test_interval_has_the_ratio_in_it_as_often_as_it_says():
    hits = sum(
        found.low <= 1.1 <= found.high
        for seed in range(2000)
        if (found := compare(noisy(1.1, 0.1, count=12, seed=seed), 0.95))
    )
    # 13 of the 4096 sums of ranks are allowed on each side: 95.8 %
    assert 0.945 < hits / 2000 < 0.97


@given(pairs, st.floats(0.01, 100))
def test_ratio_grows_with_the_head(measured, factor):
    once, more = compare(measured), compare([(b, h * factor) for b, h in measured])
    assert more.ratio == pytest.approx(once.ratio * factor)
    assert more.low == pytest.approx(once.low * factor)
    assert more.high == pytest.approx(once.high * factor)


@given(pairs)
def test_other_way_round_is_the_inverse(measured):
    one, other = compare(measured), compare([(head, base) for base, head in measured])
    assert one.ratio * other.ratio == pytest.approx(1)
    if one.low:
        assert one.low * other.high == pytest.approx(1)
    opposite = {Verdict.SLOWER: Verdict.FASTER, Verdict.FASTER: Verdict.SLOWER}
    verdict = one.verdict(THRESHOLD)
    if not math.isclose(max(one.ratio, other.ratio), 1 + THRESHOLD):
        assert other.verdict(THRESHOLD) is opposite.get(verdict, verdict)


@given(pairs, st.randoms(use_true_random=False))
def test_order_of_pairs_does_not_matter(measured, numbers):
    shuffled = numbers.sample(measured, len(measured))
    assert compare(shuffled) == compare(measured)


@given(pairs)
def test_estimate_is_inside_of_the_interval(measured):
    found = compare(measured)
    assert found.low <= found.ratio <= found.high


def test_equal_measurements_are_the_same():
    found = compare([(2.0, 2.0)] * 20)
    assert (found.ratio, found.low, found.high) == (1, 1, 1)
    assert found.verdict(THRESHOLD) is Verdict.SAME


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.08])
def test_change_of_15_percent_is_found(noise):
    found = [compare(noisy(1.15, noise, seed=seed)) for seed in range(300)]
    verdicts = [each.verdict(THRESHOLD) for each in found]
    assert verdicts.count(Verdict.SLOWER) > 0.95 * 300
    assert Verdict.FASTER not in verdicts
    inverse = [compare(noisy(1 / 1.15, noise, seed=seed)) for seed in range(300)]
    verdicts = [each.verdict(THRESHOLD) for each in inverse]
    assert verdicts.count(Verdict.FASTER) > 0.95 * 300


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5, 2.0])
def test_nothing_is_found_where_nothing_is(noise):
    found = [compare(noisy(1.0, noise, seed=seed)) for seed in range(500)]
    verdicts = [each.verdict(THRESHOLD) for each in found]
    assert verdicts.count(Verdict.SLOWER) + verdicts.count(Verdict.FASTER) <= 2


def test_large_noise_is_unsure_and_small_noise_is_sure():
    assert compare(noisy(1.0, 0.5)).verdict(THRESHOLD) is Verdict.UNSURE
    assert compare(noisy(1.0, 0.005)).verdict(THRESHOLD) is Verdict.SAME


def test_change_below_the_threshold_is_no_alarm():
    assert compare(noisy(1.02, 0.002)).verdict(THRESHOLD) is Verdict.SAME
    assert compare(noisy(1.02, 0.002)).verdict(0.01) is Verdict.SLOWER


def test_pairs_that_went_wrong_do_not_matter():
    measured = noisy(1.15, 0.03)
    measured[3] = (1.0, 40.0)
    measured[9] = (7.0, 1.0)
    found = compare(measured)
    assert found.verdict(THRESHOLD) is Verdict.SLOWER
    assert found.ratio == pytest.approx(1.15, abs=0.03)


def test_few_pairs_are_never_certain():
    found = compare([(1.0, 2.0)] * 9)
    assert (found.low, found.high) == (0, math.inf)
    assert found.verdict(THRESHOLD) is Verdict.UNSURE


def test_numbers_that_are_not_above_zero_say_nothing():
    assert compare([(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0)]) is None
    assert compare([]) is None
    assert compare([(0.0, 0.0)] * 20).verdict(THRESHOLD) is Verdict.SAME
    assert compare([(1.0, 2.0), (0.0, 1.0)]).pairs == 1


def test_what_disturbs_counts_little():
    assert typical([1.0, 1.0, 1.01, 9.0, 1.02]) == 1.0
    assert typical([5.0]) == 5.0


def test_what_looks_slower_without_certainty_is_doubtful():
    assert compare(noisy(1.3, 0.6)).is_doubtful(THRESHOLD)
    assert not compare(noisy(1.3, 0.01)).is_doubtful(THRESHOLD)  # it is slower
    assert not compare(noisy(1.0, 0.005)).is_doubtful(THRESHOLD)
    assert compare(noisy(1.04, 0.001, count=6)).is_suspect(THRESHOLD)
    assert not compare(noisy(1.01, 0.001, count=6)).is_suspect(THRESHOLD)
