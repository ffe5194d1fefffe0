"""What paired measurements say: a ratio, how sure it is, and a verdict.

The estimate is that of Hodges and Lehmann, the median of all averages of two pairs'
logarithms, and the interval the one that belongs to Wilcoxon's signed-rank test.
Neither supposes more of how measurements are spread than that a pair is disturbed one
way as often as the other; and a few pairs that went wrong do not matter.
"""

from __future__ import annotations

import enum
import functools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.999
"""Of the interval: there are a hundred benchmarks, and an alarm ought to be true."""

_LOW_QUANTILE = 4


class Verdict(enum.Enum):
    """What there is to say about a benchmark."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Comparison:
    """How much longer the head takes than the base: 1 is the same, 2 twice as long."""

    ratio: float
    low: float
    high: float
    """The interval: with `CONFIDENCE` the ratio is between these."""
    pairs: int

    def verdict(self, threshold: float) -> Verdict:
        """What it means.

        Args:
            threshold: The smallest change that matters, 0.05 for 5 %.

        Returns:
            Slower or faster if the ratio has changed by the threshold, and certainly
            has changed; the same if it certainly has changed by less; else unsure.
        """
        most = 1 + threshold
        if self.low > 1 and self.ratio >= most:
            return Verdict.SLOWER
        if self.high < 1 and self.ratio <= 1 / most:
            return Verdict.FASTER
        if 1 / most < self.low and self.high < most:
            return Verdict.SAME
        return Verdict.UNSURE

    def is_doubtful(self, threshold: float) -> bool:
        """Whether it looks slower or faster, but is not certain."""
        has_changed = max(self.ratio, 1 / self.ratio) >= 1 + threshold
        return has_changed and self.verdict(threshold) is Verdict.UNSURE

    def is_suspect(self, threshold: float) -> bool:
        """Whether it is worth measuring again, after only a few pairs."""
        return max(self.ratio, 1 / self.ratio) > 1 + threshold / 2


def typical(samples: Sequence[float]) -> float:
    """The lower quartile: what else runs on the machine only ever adds time."""
    if len(samples) == 1:
        return samples[0]
    return statistics.quantiles(samples, n=_LOW_QUANTILE, method="inclusive")[0]


def compare(
    pairs: Sequence[tuple[float, float]], confidence: float = CONFIDENCE
) -> Comparison | None:
    """Compares measurements of base and head that belong together.

    Args:
        pairs: Base and head. Pairs with a number that is not above 0, such as a
            difference within the noise, say nothing; if both are 0 they are equal.
        confidence: How sure the interval is to be.

    Returns:
        None if no pair says anything.
    """
    ratios = sorted(
        math.log(head / base) if base > 0 else 0.0
        for base, head in pairs
        if (base > 0 and head > 0) or base == head == 0
    )
    if not ratios:
        return None
    count = len(ratios)
    averages = sorted(
        (first + second) / 2
        for index, first in enumerate(ratios)
        for second in ratios[index:]
    )
    cut = _cut(count, confidence)
    low, high = (
        (averages[cut], averages[-1 - cut])
        if cut is not None
        else (-math.inf, math.inf)
    )
    return Comparison(
        math.exp(statistics.median(averages)), math.exp(low), _exp(high), count
    )


def _exp(number: float) -> float:
    return math.inf if number == math.inf else math.exp(number)


@functools.cache
def _cut(count: int, confidence: float) -> int | None:
    """How many averages lie outside of the interval, on each side.

    The largest number that the signed-rank statistic of that many pairs is below or at
    with half of the probability that is left; None if the pairs are too few for any.
    """
    # how many of the 2**count choices of signs have each sum of positive ranks
    sums = [1]
    for rank in range(1, count + 1):
        longer = [*sums, *([0] * rank)]
        for index, number in enumerate(sums):
            longer[index + rank] += number
        sums = longer
    allowed = (1 - confidence) / 2 * 2**count
    total, cut = 0, None
    for index, number in enumerate(sums):
        total += number
        if total > allowed:
            break
        cut = index
    # the ratio is below average number cut + 1 just when the sum is at most cut
    return cut
