"""Print the table of docs/validation.md: ``python -m tools.validation``."""

import argparse
import sys

from .cases import CASES
from .check import Case, Check


def row(case: Case, check: Check) -> str:
    found = f"{check.found:.9g}" + (f" ± {check.error:.1g}" if check.error else "")
    measure = f"z = {check.deviation:.1f}" if check.error else f"{check.deviation:.1e}"
    verdict = "passed" if check.passed else "FAILED"
    start = f"| {check.name} | {case.source} | {check.known:.9g} | {found} | {measure}"
    return f"{start} | {check.allowed:g} | {verdict} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out the slow cases")
    fast = parser.parse_args().fast
    print("| case | source | known | lyapy | z or difference | allowed | verdict |")
    print("|---|---|---|---|---|---|---|")
    sound = True
    for case in CASES:
        if case.slow and fast:
            continue
        for check in case.run():
            print(row(case, check), flush=True)
            sound &= check.passed
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
