"""Numbers of a comparison in words."""

from __future__ import annotations

from symbio.compare.gains import Compared, Gain


def shown(value: float | str | None) -> str:
    """Four significant digits; nothing for what is not known."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def direction(metric: Compared) -> str:
    """ "abs_rel (lower is better)"."""
    way = "higher" if metric.higher_is_better else "lower"
    unit = f"{metric.unit}, " if metric.unit else ""
    return f"{metric.name} ({unit}{way} is better)"


def verdict(gain: Gain) -> str:
    """ "3.2 % better", "equal", or nothing where one is no number."""
    if gain.gain is None:
        return "not a number"
    if gain.gain == 0:
        return "equal"
    word = "better" if gain.gain > 0 else "worse"
    return word if gain.share is None else f"{abs(gain.share):.2%} {word}"


def interval(gain: Gain) -> str:
    """The gain's 95 % interval, and whether it may be noise; or why there is none."""
    if gain.interval is None:
        return gain.why_not
    told = f"{gain.interval.low:+.3g} to {gain.interval.high:+.3g}"
    return told if gain.certain or gain.gain == 0 else f"{told}: may be noise"
