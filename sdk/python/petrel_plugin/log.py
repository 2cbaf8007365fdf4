"""Lines for the operator, in the agent's log. Never log telemetry. What is printed goes nowhere."""

from wit_world.imports import log


def debug(message):
    log.write(2, message)


def info(message):
    log.write(3, message)


def warn(message):
    log.write(4, message)


def error(message):
    log.write(5, message)
