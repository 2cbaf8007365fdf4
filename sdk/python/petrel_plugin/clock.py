"""The host's clock. Most plugins need none: `batch.now_ns` is the time of each batch, and `tick` brings its own.
`time.time()` is not there."""

from wit_world.imports import clock


def wall_ns():
    """Nanoseconds since 1970; it may be set back."""
    return clock.wall_ns()


def monotonic_ns():
    """Nanoseconds since some moment; of use are differences."""
    return clock.monotonic_ns()
