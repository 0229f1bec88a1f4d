"""Exact intervals of counts and shares: Poisson for alarms in so many hours, Wilson for the part that was missed."""

from math import sqrt

from scipy.stats import chi2, norm


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a Poisson mean of which `count` events were seen (Garwood 1936).

    >>> [round(end, 2) for end in poisson_interval(0)], [round(end, 2) for end in poisson_interval(10)]
    ([0.0, 3.69], [4.8, 18.39])
    """
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * count + 2)) / 2


def wilson_interval(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, `count` of `total`; from 0 to 1 where nothing was tried (Wilson 1927).

    >>> [round(end, 3) for end in wilson_interval(0, 20)], [round(end, 3) for end in wilson_interval(10, 20)]
    ([0.0, 0.161], [0.299, 0.701])
    """
    if not total:
        return 0.0, 1.0
    z = float(norm.ppf((1 + confidence) / 2))
    share = count / total
    middle = share + z * z / (2 * total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
