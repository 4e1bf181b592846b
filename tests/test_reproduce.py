"""Appendix C says what the provenance files say, and every recorded file is whole."""

import pytest
import reproduce

from resnet_edu.train import record

RECORDED = sorted(reproduce.RESULTS.glob("*.csv"))


def test_the_page_is_up_to_date() -> None:
    assert reproduce.PAGE.read_text(encoding="utf-8") == reproduce.page(), "run `python tools/reproduce.py`"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_a_recorded_run_is_whole_and_its_command_exists(path) -> None:
    columns = record.read(path)  # raises where CSV and JSON do not belong together
    run = record.read_provenance(path)
    assert len(next(iter(columns.values()))) == run["rows"]
    assert (reproduce.ROOT / run["command"].split()[1]).is_file()
    assert not run["code"]["dirty"]


def test_no_provenance_is_left_without_its_numbers() -> None:
    assert RECORDED
    assert [path.with_suffix(".csv") for path in sorted(reproduce.RESULTS.glob("*.json"))] == RECORDED
