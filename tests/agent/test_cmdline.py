import pytest

from agent import cmdline
from agent.errors import BadKernelLine

_DIGEST = "ab" * 32
_LINE = (
    f"console=ttyS0 rackwright.api=https://10.0.0.1:8444 rackwright.http=http://10.0.0.1:8080 rackwright.ca={_DIGEST} "
    "rackwright.boot=very-secret BOOTIF=01-52-54-00-AA-bb-01 initrd=initrd\n"
)


def test_all_words():
    settings = cmdline.parse(_LINE)
    assert settings.api_url == "https://10.0.0.1:8444"
    assert settings.http_url == "http://10.0.0.1:8080"
    assert settings.ca_sha256 == _DIGEST
    assert settings.boot_secret.reveal() == "very-secret"
    assert settings.boot_mac == "52:54:00:aa:bb:01"


def test_the_secret_does_not_show():
    settings = cmdline.parse(_LINE)
    assert "very-secret" not in f"{settings!r} {settings} {settings.boot_secret} {settings.boot_secret!r}"


def test_boot_http_defaults_to_the_host_of_the_api():
    line = _LINE.replace("rackwright.http=http://10.0.0.1:8080 ", "")
    assert cmdline.parse(line).http_url == "http://10.0.0.1:8080"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://", "http://"),
        ("rackwright.boot=very-secret", ""),
        (_DIGEST, "xyz"),
        (_DIGEST, _DIGEST[:-1]),
        ("https://10.0.0.1:8444", "https://10.0.0.1:8444/path"),
        ("https://10.0.0.1:8444", "https://user@10.0.0.1:8444"),
        ("https://10.0.0.1:8444", "https://"),
    ],
)
def test_what_is_refused(old, new):
    with pytest.raises(BadKernelLine) as refused:
        cmdline.parse(_LINE.replace(old, new))
    assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "01-52-54-00-aa", "01-52-54-00-aa-b-b", "01-52-54-00-aa-bb-zz", "525400aabb01"])
def test_no_boot_mac(text):
    assert cmdline.boot_mac(text) is None


def test_boot_mac_without_hardware_type():
    assert cmdline.boot_mac("52-54-00-aa-bb-01") == "52:54:00:aa:bb:01"
