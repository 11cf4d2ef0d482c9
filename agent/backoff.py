"""When to ask again: exponential with jitter, so that thousands of agents do not return together. Pure."""

BASE_S = 0.5
CAP_S = 20.0


def delay_s(failures: int, random: float) -> float:
    """failures: how many in a row, at least 1. random: in [0, 1). At least half of the step, so never a busy loop."""
    step: float = min(CAP_S, BASE_S * 2 ** min(failures - 1, 16))
    return step * (0.5 + 0.5 * random)
