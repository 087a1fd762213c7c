# SPDX-License-Identifier: Apache-2.0
"""figures.py FILE: the figures that the fault tests have left in FILE, as a table in Markdown."""

import json
import os
import sys


def seconds(number):
    return "" if number is None else "%.1f s" % number


def main():
    print("| case | jobs | lost | duplicates | longest stall | time to recover |")
    print("|---|---|---|---|---|---|")
    if os.path.exists(sys.argv[1]):
        with open(sys.argv[1], encoding="utf-8") as file:
            for row in sorted(map(json.loads, file), key=lambda row: row["case"]):
                print("| %s | %d | %d | %d | %s | %s |" % (
                    row["case"], row["jobs"], row["lost"], row["duplicates"], seconds(row.get("stall")),
                    seconds(row.get("recovery"))))


if __name__ == "__main__":
    main()
