from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.lab import guest

BEGIN = datetime(2026, 11, 21, 8, 43, 0, tzinfo=UTC)
# As seen on the serial port of a Debian 12 machine with cloud-init 22.4.2, after the agent's own boot.
CONSOLE = """\
[    0.000000] Linux version 6.1.0-56-amd64 (the agent's)
[    3.000000] something: else
[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org)
Welcome to Debian GNU/Linux 12 (bookworm)!
[   37.940860] systemd[1]: Started systemd-ask-password-console.path.
[   38.756291] systemd[1]: Reached target cryptsetup.target - Local Encrypted Volumes.
[   75.277447] cloud-init[317]: Cloud-init v. 22.4.2 running 'init-local' at Sat, 21 Nov 2026 08:44:37 +0000. Up 74.44 seconds.
[   97.304775] cloud-init[355]: Cloud-init v. 22.4.2 running 'init' at Sat, 21 Nov 2026 08:44:59 +0000. Up 96.59 seconds.
[  124.405741] cloud-init[459]: Cloud-init v. 22.4.2 running 'modules:config' at Sat, 21 Nov 2026 08:45:26 +0000. Up 123.32 seconds.
node1 login: [  140.069739] cloud-init[482]: Cloud-init v. 22.4.2 running 'modules:final' at Sat, 21 Nov 2026 08:45:42 +0000. Up 138.81 seconds.
[  140.755010] cloud-init[482]: Cloud-init v. 22.4.2 finished at Sat, 21 Nov 2026 08:45:44 +0000. Datasource DataSourceConfigDrive [net,ver=2][source=/dev/vda4].  Up 140.63 seconds
"""  # noqa: E501


def spans(text):
    return [(s.name, round(s.start_s, 1), round(s.end_s, 1)) for s in guest.first_boot(text, begin=BEGIN)]


def test_a_first_boot_is_told_stage_by_stage():
    assert spans(CONSOLE) == [
        ("kernel", 22.6, 60.5),
        ("services", 60.5, 97.0),
        ("cloud-init local", 97.0, 119.2),
        ("cloud-init network", 119.2, 145.9),
        ("cloud-init config", 145.9, 161.4),
        ("cloud-init final", 161.4, 163.2),
    ]


def test_of_several_boots_the_last_one_counts():
    again = CONSOLE.replace("08:4", "09:4")
    assert spans(CONSOLE + again)[0][1] == pytest.approx(22.6 + 3600)


def test_a_quiet_boot_has_the_kernel_up_to_cloud_init():
    quiet = "\n".join(line for line in CONSOLE.split("\n") if "systemd" not in line)
    assert spans(quiet)[:2] == [("kernel", 22.6, 97.0), ("cloud-init local", 97.0, 119.2)]


@pytest.mark.parametrize("text", ["", "Booting from ROM...", CONSOLE.replace("init-local", "init")])
def test_no_first_boot_no_spans(text):
    assert spans(text) == []


def test_a_time_that_cannot_be_read_gives_nothing():
    assert spans(CONSOLE.replace("Sat, 21 Nov", "Xyz, 99 Abc")) == []


@given(st.text(max_size=400), st.integers(0, 1200))
def test_noise_on_the_console_breaks_nothing(noise, at):
    for span in guest.first_boot(CONSOLE[:at] + noise + CONSOLE[at:], begin=BEGIN):
        assert span.start_s <= span.end_s
