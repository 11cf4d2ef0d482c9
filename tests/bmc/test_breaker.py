from bmc.breaker import Breaker
from bmc.errors import Denied, Unreachable


def test_it_opens_after_the_threshold_and_tries_once_after_the_pause():
    breaker = Breaker(threshold=2, open_s=5.0)
    breaker.failed(Unreachable(), 0.0)
    assert breaker.refusal(0.1) is None
    breaker.failed(Unreachable(), 1.0)
    refusal = breaker.refusal(2.0)
    assert isinstance(refusal, Unreachable)
    assert "4 s" in str(refusal)
    assert breaker.refusal(6.0) is None, "the probe"
    assert breaker.refusal(6.0) is not None, "only one probe"


def test_a_failed_probe_doubles_the_pause_and_a_good_one_closes_it():
    breaker = Breaker(threshold=1, open_s=5.0, longest_s=8.0)
    breaker.failed(Unreachable(), 0.0)
    assert breaker.refusal(5.0) is None
    breaker.failed(Unreachable(), 5.0)
    assert breaker.refusal(12.0) is not None
    assert breaker.refusal(13.0) is None
    breaker.succeeded()
    assert not breaker.is_open
    breaker.failed(Unreachable(), 14.0)
    assert breaker.refusal(19.0) is None, "back to the first pause"


def test_a_refused_password_opens_it_at_once_and_keeps_its_kind():
    breaker = Breaker(threshold=3, longest_s=60.0)
    breaker.failed(Denied("no"), 0.0, final=True)
    assert isinstance(breaker.refusal(59.0), Denied)
    assert breaker.refusal(60.0) is None
