from appliance.lab import checks


def test_a_user_without_root_hears_what_needs_it_and_what_to_do():
    found = checks.lacks(machines=1, is_root=False)
    assert found[0].what == "root is needed"
    assert "network namespace" in found[0].why
    assert "sudo make demo" in found[0].next_step


def test_missing_programs_are_named_by_their_packages_all_at_once():
    lack = next(x for x in checks.lacks(machines=1, is_root=True, which=lambda _: None) if "packages" in x.what)
    assert lack.what.endswith("iproute2 openssh-client qemu-system-x86 util-linux")
    assert lack.next_step == "make setup"


def test_too_little_memory_is_said_before_the_kernel_kills_something():
    assert any("memory" in lack.what for lack in checks.lacks(machines=50, memory_mib=10**9, is_root=True))


def test_memory_that_is_not_told_stops_nobody(tmp_path):
    assert checks.free_memory_mib(tmp_path / "absent") is None
    (tmp_path / "odd").write_text("MemAvailable:\n")
    assert checks.free_memory_mib(tmp_path / "odd") is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n")
    assert checks.free_memory_mib(tmp_path / "meminfo") == 2048
