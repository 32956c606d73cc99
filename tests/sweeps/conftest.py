import pytest

from tests.support.made_sweeps import write_networks


@pytest.fixture
def eight_networks(tmp_path, monkeypatch):
    """Work in a folder with the weights of eight networks, and inputs."""
    monkeypatch.chdir(tmp_path)
    write_networks(tmp_path)
    return tmp_path
