"""The setup cell: nothing outside Colab; in Colab the package from this repository, or one clear sentence."""

import sys
import types

import pytest
import setup_cell
from IPython.core.interactiveshell import InteractiveShell

ADDRESS = "https://example.org/reader/their-book"


@pytest.fixture
def shell() -> InteractiveShell:
    """An IPython of its own whose %pip only writes down what it was asked."""
    shell = InteractiveShell()
    shell.asked = []
    shell.register_magic_function(shell.asked.append, magic_name="pip")
    yield shell
    shell.history_manager.end_session()


@pytest.fixture
def in_colab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_it_does_nothing_outside_colab(shell: InteractiveShell, address: str, capsys) -> None:
    result = shell.run_cell(setup_cell.text(address))
    assert result.success
    assert shell.asked == []
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("in_colab")
def test_in_colab_it_installs_from_its_own_repository(shell: InteractiveShell) -> None:
    assert shell.run_cell(setup_cell.text(ADDRESS)).success
    assert shell.asked == [f"install --quiet git+{ADDRESS}"]


@pytest.mark.usefixtures("in_colab")
def test_in_colab_without_an_address_it_stops_with_a_sentence(shell: InteractiveShell) -> None:
    result = shell.run_cell(setup_cell.text(""))
    assert isinstance(result.error_in_exec, SystemExit)
    assert "make repository URL=" in str(result.error_in_exec)
    assert shell.asked == []


def test_the_address_is_read_back() -> None:
    assert setup_cell.address_in(setup_cell.text(ADDRESS)) == ADDRESS
    assert setup_cell.address_in(setup_cell.text()) == ""
    with pytest.raises(ValueError, match="make notebooks"):
        setup_cell.address_in("import sys")
