"""What the benchmarks share: timing, and tables of figures beside what they may be at most."""

import statistics
import time


def timed(function):
    begin = time.monotonic()
    function()
    return time.monotonic() - begin


def spread(samples):
    quarters = statistics.quantiles(samples, n=4)
    return f"{statistics.median(samples) * 1000:8.1f} ms   {quarters[0] * 1000:7.1f} .. {quarters[2] * 1000:7.1f} ms"


def show_samples(samples):
    """@samples: seconds, by name."""
    print(f"\n{'':46}{'median':>11}   {'middle half':>21}")
    for name in samples:
        print(f"{name:46}{spread(samples[name])}")


class Report:
    """Prints figures beside what they may be at most, and remembers which are missed."""

    def __init__(self):
        self.missed = []
        print(f"\n{'figure':54}{'measured':>10} {'':6}{'at most':>9}")

    def figure(self, name, value, unit, at_most=None):
        """@at_most: None where nothing is asked."""
        print(f"{name:54}{value:10.2f} {unit:6}" + (f"{at_most:9} {unit}" if at_most is not None else ""))
        if at_most is not None and value > at_most:
            self.missed.append(name)

    def end(self):
        """The exit code."""
        print("\nall figures are met" if not self.missed else f"\nnot met: {', '.join(self.missed)}")
        return 1 if self.missed else 0
