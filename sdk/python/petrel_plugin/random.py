"""Random bytes that nobody can foresee. Most plugins need none: `batch.seed` is fresh for each batch."""

from wit_world.imports import random


def draw(count):
    """This many, each random."""
    return bytes(random.bytes(count))
