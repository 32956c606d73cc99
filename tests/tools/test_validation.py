"""The fast part of the validation table."""

import pytest

from tools.validation.cases import CASES


@pytest.mark.parametrize("case", [c for c in CASES if not c.slow], ids=lambda c: c.run.__name__)
def test_exact_and_published_cases(case):
    for check in case.run():
        assert check.passed, check
