"""What nbgrader needs to know: every nbgrader command, and Jupyter, finds this file when started in its folder."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from execution import ExecuteApart  # noqa: E402
from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, LimitOutput, OverwriteCells, SaveAutoGrades  # noqa: E402
from restore import RestoreCells  # noqa: E402

c = get_config()  # noqa: F821 - traitlets gives it

c.CourseDirectory.root = os.environ.get("GRADING_COURSE") or str(HERE / "course")

# The stub is the source: ClearSolutions would replace it. Grading restores what was released.
c.ClearSolutions.enabled = False
c.Autograde.sanitize_preprocessors = [ClearOutput, RestoreCells, OverwriteCells, CheckCellMetadata]
c.Autograde.autograde_preprocessors = [ExecuteApart, LimitOutput, SaveAutoGrades, CheckCellMetadata]

# Student code is untrusted: seconds for a cell, for a notebook, for a check; gigabytes for a process.
c.ExecuteApart.timeout = 120
c.ExecuteApart.notebook_seconds = 900
c.ExecuteApart.check_seconds = 120
c.ExecuteApart.gigabytes = 6.0
