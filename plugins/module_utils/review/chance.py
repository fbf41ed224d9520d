# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is one set of daily values higher than another by more than chance? Mann and Whitney's test.

It looks at ranks only: no distribution is assumed, and one wild day cannot make a trend. The unit is the day, not the
operation, since the operations of a day share its load and are no independent witnesses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache


def chance(first: Sequence[float], second: Sequence[float]) -> float:
    """How probable it is that two such sets differ so much in their ranks by chance, in either direction.

    Exact where no value is there twice, else by the normal approximation with corrections for ties and continuity.

    Args:
        first: at least one value.
        second: at least one value.
    """
    ranks, ties = _ranks([*first, *second])
    n, m = len(first), len(second)
    wins = sum(ranks[:n]) - n * (n + 1) / 2
    if not ties:
        least = round(min(wins, n * m - wins))
        ways = _ways(n, m)
        return min(1.0, 2 * sum(ways[: least + 1]) / math.comb(n + m, n))
    total = n + m
    spread = n * m / 12 * (total + 1 - sum(t**3 - t for t in ties) / (total * (total - 1)))
    if spread <= 0:  # all values are equal
        return 1.0
    distance = max(0.0, abs(wins - n * m / 2) - 0.5)
    return math.erfc(distance / math.sqrt(2 * spread))


def _ranks(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """The rank of each value, equal ones with the mean of theirs; and how many are equal, where more than one is."""
    counts = Counter(values)
    rank_of, below = {}, 0
    for value in sorted(counts):
        rank_of[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    return [rank_of[value] for value in values], [count for count in counts.values() if count > 1]


@lru_cache(maxsize=256)
def _ways(n: int, m: int) -> tuple[int, ...]:
    """How many arrangements of n and m different values give 0, 1, 2 ... wins of the first over the second."""
    # The Gaussian binomial coefficient: multiplied by (1 - q^(m+i)) and divided by (1 - q^i), term by term.
    size = n * m + 1
    ways = [1] + [0] * (size - 1)
    for i in range(1, n + 1):
        for at in range(size - 1, m + i - 1, -1):
            ways[at] -= ways[at - m - i]
        for at in range(i, size):
            ways[at] += ways[at - i]
    return tuple(ways)
