from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe import ipxe
from pxe.errors import UnsafeValue

GOOD = {
    "server": IPv4Address("10.77.0.1"),
    "mac": "52:54:00:77:00:01",
    "ca_sha256": "ab" * 32,
    "boot_secret": "s" * 43,
}


def test_agent_script():
    assert ipxe.agent_script(**GOOD, kernel_words=["console=ttyS0,115200"]) == (
        "#!ipxe\n"
        "kernel http://10.77.0.1:8080/boot/vmlinuz initrd=initrd console=ttyS0,115200 "
        "rackwright.http=http://10.77.0.1:8080 rackwright.api=https://10.77.0.1:8444 "
        f"rackwright.ca={'ab' * 32} rackwright.boot={'s' * 43} "
        "BOOTIF=01-52-54-00-77-00-01\n"
        "initrd --name initrd http://10.77.0.1:8080/boot/initrd\n"
        "boot\n"
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"mac": "52:54:00:77:00:01\nshell"},
        {"mac": "52-54-00-77-00-01"},
        {"ca_sha256": "AB" * 32},
        {"ca_sha256": "ab" * 32 + "\n"},
        {"boot_secret": "short"},
        {"boot_secret": "s" * 30 + " init=/bin/sh"},
        {"boot_secret": "${net0/mac}" * 3},
        {"http_port": 0},
        {"api_port": 70000},
        {"kernel_words": ["a b"]},
        {"kernel_words": ["a\nshell"]},
        {"kernel_words": ["${x}"]},
        {"kernel_words": ["a;b"]},
        {"kernel_words": ["a||b"]},
        {"kernel_words": [""]},
        {"kernel_words": ["#x"]},
        {"kernel_words": ["a"] * 33},
    ],
)
def test_unsafe_values_are_refused(bad):
    with pytest.raises(UnsafeValue):
        ipxe.agent_script(**{**GOOD, **bad})


def test_secret_is_not_in_the_error():
    with pytest.raises(UnsafeValue) as caught:
        ipxe.agent_script(**{**GOOD, "boot_secret": "topsecret value"})
    assert "topsecret" not in str(caught.value)


@given(st.text(max_size=60))
def test_no_text_adds_a_line_or_a_variable(text):
    try:
        script = ipxe.agent_script(**GOOD, kernel_words=[text])
    except UnsafeValue:
        return
    assert script.count("\n") == 4
    assert "$" not in script


@given(st.text(max_size=200), st.sampled_from(["efi", "pcbios"]))
def test_reason_cannot_leave_its_line(why, platform):
    script = ipxe.local_boot_script(platform, why=why)
    assert len(script.splitlines()) == 3
    assert "$" not in script
    assert ";" not in script


def test_local_boot():
    assert ipxe.local_boot_script("efi").endswith("\nexit\n")
    assert ipxe.local_boot_script("pcbios").endswith("\nsanboot --no-describe --drive 0x80 || exit\n")
