import pytest

from images import apt_sources
from images.errors import NoSource

DEB822 = """\
Types: deb deb-src
# http://snapshot.example/
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://other.example/
Suites: bookworm
Components: main
Enabled: no
"""
ONE_LINE = """\
# deb http://commented.example bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib # tail
deb-src http://mirror/debian bookworm main
deb http://tool.example cloud-sdk-bookworm main
"""


@pytest.fixture
def apt(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_only_the_release_and_only_enabled_binaries(apt):
    (apt / "sources.list").write_text(ONE_LINE)
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    found = apt_sources.for_release("bookworm", apt)
    assert [(source.uris, source.suites) for source in found] == [
        ("http://mirror/debian", ("bookworm",)),
        ("http://deb.debian.org/debian", ("bookworm", "bookworm-updates")),
        ("http://deb.debian.org/debian-security", ("bookworm-security",)),
    ]
    assert found[0].signed_by == "/k.gpg"
    assert found[0].components == "main contrib"
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n" in found[1].stanza()


def test_what_is_written_is_read_again(apt):
    first = list(apt_sources.deb822(DEB822))
    again = list(apt_sources.deb822("\n".join(source.stanza() for source in first)))
    assert again == first


def test_no_source(apt):
    (apt / "sources.list.d/debian.sources").write_text(DEB822.replace("bookworm", "trixie"))
    with pytest.raises(NoSource, match="bookworm"):
        apt_sources.for_release("bookworm", apt)
