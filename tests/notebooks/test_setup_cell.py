"""The setup cell: nothing outside Colab; in Colab the package from this repository, or one clear sentence."""

import sys
import types
from pathlib import Path

import pytest
import setup_cell
from IPython.core.interactiveshell import InteractiveShell

ADDRESS = "https://example.org/reader/their-book"


@pytest.fixture
def shell() -> InteractiveShell:
    """An IPython of its own that only writes down what !, %pip and %cd were asked."""
    shell = InteractiveShell()
    shell.asked = []
    shell.system = lambda command: shell.asked.append("!" + shell.var_expand(command, depth=0))
    shell.register_magic_function(lambda line: shell.asked.append("%pip " + line), magic_name="pip")
    shell.register_magic_function(lambda line: shell.asked.append("%cd " + line), magic_name="cd")
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
@pytest.mark.parametrize("folder", ["book", "book/solutions"])
def test_in_colab_it_fetches_installs_and_goes_to_its_folder(shell: InteractiveShell, folder: str) -> None:
    assert shell.run_cell(setup_cell.text(ADDRESS, folder)).success
    fetch, install, go = shell.asked
    assert fetch.startswith("!test -d resnet_book || ") and f"git clone -q --depth 1 {ADDRESS} resnet_book" in fetch
    assert install == "%pip install --quiet ./resnet_book"
    assert go == f"%cd -q resnet_book/{folder}"


@pytest.mark.usefixtures("in_colab")
def test_run_twice_in_colab_it_does_nothing_more(shell: InteractiveShell, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "resnet_book" / "book").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "resnet_book" / "book")
    assert shell.run_cell(setup_cell.text(ADDRESS)).success
    assert shell.asked == []


@pytest.mark.parametrize("name", ["01_plain_stack", "appendix/a_paper_vs_code"])
def test_the_folder_is_the_notebooks(name: str) -> None:
    path = setup_cell.ROOT / "book" / f"{name}.ipynb"
    assert path.is_file()
    assert setup_cell.folder_of(path) == f"book/{name}".rsplit("/", maxsplit=1)[0]


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
