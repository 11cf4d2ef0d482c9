from pxe.limits import KeyedRate


def test_burst_then_rate():
    rate = KeyedRate(per_s=2, burst=3)
    assert [rate.allows("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert rate.allows("b", 0)
    assert [rate.allows("a", 1) for _ in range(3)] == [True, True, False]


def test_memory_is_bounded():
    rate = KeyedRate(per_s=1, burst=1, keys=10)
    for key in range(1000):
        assert rate.allows(key, 0)
    assert len(rate._buckets) == 10
    assert not rate.allows(999, 0)
