"""Links to the outside, configured in one place: off when empty, refused when they cannot work."""

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.publishing.launch import FILE, Links, links


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "launch.yaml"
        file.write_text(text)
        return file

    return write


def test_the_projects_own_file_can_be_read():
    assert isinstance(links("models", "cells", FILE), Links)


@pytest.mark.parametrize("text", ["", "source: ''\nlaunch: {}\n", "launch:\n", "launch: {Binder: ''}\n"])
def test_what_is_not_configured_is_off(written, text):
    assert links("models", "cells", written(text)) == Links("", {})


def test_without_the_file_all_is_off(tmp_path):
    assert links("models", "cells", tmp_path / "none.yaml") == Links("", {})


def test_addresses_are_those_of_the_page(written):
    text = "source: https://x.org/{chapter}.py\nlaunch:\n  Binder: https://b.org/{chapter}?of={dataset}\n"
    found = links("five_band", "cells", written(text))
    assert found == Links("https://x.org/five_band.py", {"Binder": "https://b.org/five_band?of=cells"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("repo: https://x.org", "unknown entry 'repo'"),
        ("lauch: {}", "unknown entry 'lauch'; did you mean 'launch'"),
        ("- a", "must hold source and launch"),
        ("launch: https://x.org/{chapter}", "launch: write `words of the link: address`"),
        ("source: x.org/{chapter}", "must be an address with http"),
        ("source: https://x.org/notebooks", r"that holds \{chapter\}"),
        ("source: javascript:alert({chapter})", "must be an address with http"),
        ("source: https://x.org/{chaptr}", "unknown field 'chaptr'; did you mean 'chapter'"),
        ("source: https://x.org/{chapter", "is not an address"),
        ("source: 3", "is not an address"),
        ("source: [", "while parsing"),
    ],
)
def test_what_cannot_work_is_refused_with_the_file(written, text, message):
    file = written(text)
    with pytest.raises(SaltrustError, match=message) as caught:
        links("models", "cells", file)
    assert str(caught.value).startswith(str(file))
