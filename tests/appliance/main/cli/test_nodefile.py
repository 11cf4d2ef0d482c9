import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.main.cli.exits import Failure
from appliance.main.cli.nodefile import COLUMNS, Defaults, NodeFile, bmc_address, read

HEADER = "name,bmc_address,bmc_username,bmc_password,macs\n"


def parse(text: str | bytes, **defaults: str) -> NodeFile:
    return read(text.encode() if isinstance(text, str) else text, Defaults(**defaults))


def test_forty_machines_with_five_bad_lines() -> None:
    lines = [f"n{i},10.0.0.{i},admin,s3cret-{i},52:54:00:00:00:{i:02x}" for i in range(1, 41)]
    lines[2] = "n3,10.0.0.999,admin,s3cret-3,52:54:00:00:00:03"
    lines[9] = "n 10,10.0.0.10,admin,s3cret-10,52:54:00:00:00:0a"
    lines[19] = "n20,10.0.0.20,admin,s3cret-20,52:54:00:00:00:zz"
    lines[29] = "n30,10.0.0.30,admin,s3cret-30,52:54:00:00:00:01"
    lines[39] = "n40,10.0.0.40,admin,s3cret-40,52:54:00:00:00:28,oops"
    found = parse(HEADER + "\n".join(lines))
    assert len(found.machines) == 35
    assert [(bad.line, bad.reason) for bad in found.problems] == [
        (4, "bmc_address is not an IP address or host name"),
        (11, "name is not a host name"),
        (21, "macs is not a MAC address"),
        (31, "the same MAC address as on line 2"),
        (41, "6 cells, but the header has 5"),
    ]
    assert "s3cret" not in repr(found)


def test_every_reason_of_a_line_is_told() -> None:
    text = "name,driver,rack_unit,boot_mode,bmc_udp_port,bmc_address\n-x,ip mi,0,legacy,70000,10.0.0.1\n"
    assert parse(text).problems[0].reason == (
        "name is not a host name; driver is not the name of a driver; bmc_udp_port is not a port, 1 to 65535; "
        "boot_mode is not bios or uefi; rack_unit is not a number from 1 to 100"
    )


def test_a_password_in_the_wrong_column_is_not_told() -> None:
    slipped = HEADER + "n1,hunter2secret!,10.0.0.1,admin,hunter2secret!\n,hunter2secret!,,,\nhunter2secret!,1,,,\n"
    found = parse(slipped)
    reasons = " ".join(bad.reason for bad in found.problems)
    assert len(found.problems) == 3
    assert "hunter2" not in reasons


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_spreadsheets_of_the_world(encoding: str, delimiter: str, ending: str) -> None:
    rows = [["Name", "BMC IP", "User", "Password", "MAC Addresses", "Rack"],
            ["n1", "10.0.0.1", "admin", "pässword", "52-54-00-00-00-01 5254.0000.0002", "Köln"]]  # fmt: skip
    text = ending.join(delimiter.join(row) for row in rows) + ending
    (machine,) = parse(text.encode(encoding)).machines
    assert machine.body == {
        "name": "n1", "driver": "ipmi", "rack": "Köln", "macs": ["52:54:00:00:00:01", "52:54:00:00:00:02"],
        "bmc": {"address": "10.0.0.1", "username": "admin", "password": "pässword"},
    }  # fmt: skip


def test_blank_lines_comments_and_excel_hints() -> None:
    text = f"sep=,\n\n# our racks\n{HEADER}\n,,,,\n# n0 is broken\nn1,10.0.0.1,admin,x,\n\n"
    found = parse(text)
    assert [machine.line for machine in found.machines] == [8]
    assert found.problems == ()


def test_defaults_of_the_command_line_fill_gaps() -> None:
    found = parse("name;bmc\nn1;10.0.0.1\n", username="root", password="pw")
    assert found.machines[0].body["bmc"] == {"address": "10.0.0.1", "username": "root", "password": "pw"}
    assert parse("name\nn1\n", driver="manual").machines[0].body == {"name": "n1", "driver": "manual"}
    assert parse("name\nn1\n").problems[0].reason == "bmc_address is missing; the driver ipmi needs it"


def test_an_open_quotation_mark_spoils_its_line_only() -> None:
    text = HEADER + 'n1,10.0.0.1,admin,"open,\nn2,10.0.0.2,admin,x,\nn3,10.0.0.3,admin,x,\n'
    found = parse(text)
    assert found.problems[0].line == 2
    assert "quotation mark" in found.problems[0].reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header"),
        ("\n\n", "no header"),
        ("n1,10.0.0.1\n", "no column 'n1'"),
        ("bmc,macs\n", "no column is called name"),
        ("name,hostname\n", "is there twice"),
        ("name,passwrd\n", "no column 'passwrd'"),
        ("\x00\x01\x02", "no column"),
    ],
)
def test_a_header_that_cannot_be_used_ends_it(text: str, message: str) -> None:
    with pytest.raises(Failure, match=message):
        parse(text)


def test_a_misspelt_column_is_suggested() -> None:
    with pytest.raises(Failure) as caught:
        parse("name,bmc_adress\n")
    assert caught.value.next_step == "did you mean 'bmc_address'?"


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(Failure, match="larger"):
        parse(b"x" * (17 << 20))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_file_or_a_sentence(data: bytes) -> None:
    with contextlib.suppress(Failure):
        read(data, Defaults())


@given(st.lists(st.lists(st.text(max_size=12), max_size=8), max_size=8), st.sampled_from(",;\t"))
def test_no_line_is_lost(rows: list[list[str]], delimiter: str) -> None:
    """Each row that says something is a machine or a problem, with a line that is in the file."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, delimiter=delimiter)
    writer.writerow(["name", "driver", "rack"])
    writer.writerows(rows)
    found = parse(sheet.getvalue())
    lines = [machine.line for machine in found.machines] + [bad.line for bad in found.problems]
    assert len(set(lines)) == len(lines)
    assert all(1 < line <= len(sheet.getvalue().splitlines()) + 1 for line in lines)


NAME = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)


@given(
    st.lists(NAME, unique=True, max_size=30),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_good_machines_come_back(names: list[str], delimiter: str, encoding: str) -> None:
    sheet = io.StringIO()
    writer = csv.writer(sheet, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for number, name in enumerate(names, 1):
        writer.writerow(
            [name, "ipmi", f"10.0.{number}.1", "623", "admin", f"p{delimiter}w", "", "uefi", "c", "r1", "7"]
        )
    found = parse(sheet.getvalue().encode(encoding))
    assert [machine.name for machine in found.machines] == names
    assert not found.problems
    assert all(machine.body["bmc"]["password"] == f"p{delimiter}w" for machine in found.machines)


@pytest.mark.parametrize(
    ("text", "shown"), [("10.0.0.5", "10.0.0.5"), ("FD00::5", "fd00::5"), ("BMC1.Lab.", "bmc1.lab")]
)
def test_addresses_of_bmcs(text: str, shown: str) -> None:
    assert bmc_address(text) == shown
