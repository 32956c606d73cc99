import pytest

from tests.support.made_sweeps import write_networks


@pytest.fixture
def eight_networks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_networks(tmp_path)
    return tmp_path
