"""How long to wait before the next attempt."""

from stepwave.core.model import Backoff, Retry


def retry_delay(retry: Retry, failed_attempts: int, id: str) -> float:
    """Seconds before the attempt that follows `failed_attempts` failed ones.

    fixed: d; linear: d x n; exponential: d x 2^(n-1); each at most `max_delay_s`. With `jitter` times a factor in
    0.5..1.5 that depends only on the step and the attempt, so that a schedule stays reproducible.
    """
    n = failed_attempts
    factor = {Backoff.FIXED: 1.0, Backoff.LINEAR: float(n), Backoff.EXPONENTIAL: 2.0 ** min(n - 1, 62)}
    delay = min(retry.delay_s * factor[retry.backoff], retry.max_delay_s)
    if retry.jitter:
        spread = sum(ord(c) * 31**i for i, c in enumerate(f"{id}#{n}"[-12:])) % 1000
        delay *= 0.5 + spread / 999
    return delay
