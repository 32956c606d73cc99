import pytest

from tests.support.made_weights import write_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of weights and inputs, which is the working one."""
    monkeypatch.chdir(tmp_path)
    write_files()
    return tmp_path
