"""What other implementations compute."""

import pytest

from appliance.services.shadow import hashed


@pytest.mark.parametrize(
    ("password", "salt", "expected"),
    [
        (
            "Hello world!",
            "saltstring",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "This is just a test",
            "toolongsaltstrin",
            "$6$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0",
        ),
    ],
)
def test_it_is_what_every_unix_computes(password: str, salt: str, expected: str) -> None:
    assert hashed(password, salt) == expected


def test_no_two_hashes_of_one_password_are_alike() -> None:
    assert hashed("x") != hashed("x")
    assert hashed("x").startswith("$6$")


def test_a_password_may_be_long_and_of_any_letters() -> None:
    assert len(hashed("ü" * 200, "s")) == len("$6$s$") + 86
