"""Distributions of numbers that come in batches, in memory that does not grow with them."""

import numpy as np

BINS = 512
_FINEST = -30  # width 2^-30: an exponent of every finite float64 index below 2^52
_EXACT = 2**52


class Distribution:
    """Count, mean, standard deviation, extremes and a histogram of a stream of numbers.

    Bins are [i w, (i + 1) w) for integers i, where the width w is the smallest power of two from
    2^-30 on with which the range takes at most `BINS` of them. It doubles, and bins merge in
    pairs, when a number falls outside: the histogram is exactly that of all numbers at once,
    whatever the batches were.

    Attributes:
        count: how many numbers there were.
        mean: their mean; nan where there were none.
        low, high: the extremes, inf and -inf where there were none.
    """

    def __init__(self):
        self.count = 0
        self.low, self.high = np.inf, -np.inf
        self._mean = self._squares = 0.0
        self._exponent, self._first = _FINEST, 0
        self._counts = np.zeros(BINS, np.int64)

    def update(self, values):
        """Adds numbers, an array of any shape.

        Raises:
            ValueError: If one of them is not finite.
        """
        values = np.asarray(values, np.float64).ravel()
        if not len(values):
            return
        if not np.isfinite(values).all():
            raise ValueError(
                "`values` must be finite. "
                f"Received: {values[~np.isfinite(values)][0]} among {len(values)} numbers"
            )
        self._add_moments(values)
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self._fit_range()
        places = np.floor(np.ldexp(values, -self._exponent)).astype(np.int64)
        self._counts += np.bincount(places - self._first, minlength=BINS)

    @property
    def mean(self):
        return float(self._mean) if self.count else np.nan

    @property
    def std(self):
        """The standard deviation of the numbers (ddof = 0)."""
        return float(np.sqrt(self._squares / self.count)) if self.count else np.nan

    @property
    def root_mean_square(self):
        """The square root of the mean of the squares."""
        return float(np.hypot(self.mean, self.std))

    @property
    def width(self):
        """The width of the bins."""
        return 2.0**self._exponent

    def histogram(self, width=None):
        """Returns the histogram over the bins that hold something, and those between.

        Args:
            width: of the bins, a power of two, at least `self.width`. Defaults to `self.width`.

        Returns:
            (counts, edges): int64 of shape (n,), float64 of shape (n + 1,).

        Raises:
            ValueError: If there are no numbers, or the width is another one.
        """
        if not self.count:
            raise ValueError("A histogram must have at least one number. Received: none")
        exponent = self._exponent if width is None else _exponent_of(width)
        if exponent is None or exponent < self._exponent:
            raise ValueError(
                f"`width` must be a power of two of at least {self.width:g}. "
                f"Received: width={width}"
            )
        places, filled = self._merged(np.arange(BINS), exponent), self._counts > 0
        first, last = places[filled].min(), places[filled].max()
        counts = np.zeros(last - first + 1, np.int64)
        np.add.at(counts, places[filled] - first, self._counts[filled])
        return counts, np.ldexp(np.arange(first, last + 2, dtype=np.float64), exponent)

    def quantile(self, share):
        """Returns the number below which a share of all lies, as exact as a bin's width."""
        counts, edges = self.histogram()
        below = np.concatenate([[0], np.cumsum(counts)]) / self.count
        return float(np.interp(share, below, edges))

    def density(self):
        """Returns a smooth density: the histogram under a Gaussian kernel of Silverman's width.

        Returns:
            (x, density): two float64 arrays of shape (256,); the density integrates to 1 up to
            what lies beyond three kernel widths.
        """
        counts, edges = self.histogram()
        spread = min(self.std, (self.quantile(0.75) - self.quantile(0.25)) / 1.34) or self.std
        kernel = max(0.9 * spread * self.count**-0.2, self.width / 2)
        x = np.linspace(edges[0] - 3 * kernel, edges[-1] + 3 * kernel, 256)
        distances = (x[:, None] - (edges[:-1] + edges[1:]) / 2) / kernel
        heights = np.exp(-np.square(distances) / 2) / (kernel * np.sqrt(2 * np.pi))
        return x, heights @ (counts / self.count)

    def _add_moments(self, values):
        """Chan, Golub and LeVeque's update of the mean and of the sum of squared deviations."""
        count, mean = len(values), values.mean()
        total, gap = self.count + count, mean - self._mean
        self._mean += gap * count / total
        self._squares += np.square(values - mean).sum() + gap**2 * self.count * count / total
        self.count = total

    def _fit_range(self):
        """Widens and shifts the bins so that the range lies in them."""
        exponent = self._exponent
        while True:
            first, last = np.floor(np.ldexp([self.low, self.high], -exponent))
            if last - first < BINS and max(abs(first), abs(last)) < _EXACT:
                break
            exponent += 1
        filled = np.flatnonzero(self._counts)
        places = self._merged(filled, exponent) - int(first)
        counts = np.zeros(BINS, np.int64)
        np.add.at(counts, places, self._counts[filled])
        self._counts, self._exponent, self._first = counts, exponent, int(first)

    def _merged(self, bins, exponent):
        """Which bins of the width 2^exponent hold some of the bins there are now."""
        return (self._first + bins) >> min(exponent - self._exponent, 63)


def common_width(distributions, most=80):
    """Returns the least width of bins of which the range of all distributions takes at most `most`.

    Args:
        distributions: list of `Distribution`s that hold numbers.
        most: number of bins. Defaults to 80.

    Returns:
        A power of two that `histogram` of each of them takes.
    """
    low = min(one.low for one in distributions)
    high = max(one.high for one in distributions)
    width = max(one.width for one in distributions)
    while np.floor(high / width) - np.floor(low / width) >= most:
        width *= 2
    return width


def _exponent_of(width):
    mantissa, exponent = np.frexp(width)
    return int(exponent) - 1 if mantissa == 0.5 else None
