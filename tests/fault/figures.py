# SPDX-License-Identifier: Apache-2.0
"""figures.py FILE [PAGE]: the figures that the fault tests have left in FILE, as tables in Markdown. With PAGE, a page of
the documentation, they take the place of the same cases there, between the marks <!-- figures --> and <!-- end -->; cases
that FILE does not have stay."""

import json
import os
import sys

HEADS = ("| fault | times | jobs | lost | late, at most | of allowed | twice | of allowed |", "|---|---|---|---|---|---|---|---|")
BEGIN, END = "<!-- figures -->\n", "<!-- end -->\n"


def line(row):
    late = ("%.1f s" % row["late"], "%.0f s" % row["late_most"]) if row["late"] is not None else ("", "")
    cells = [row["case"], row["faults"], row["jobs"], row["lost"], *late, row["twice"], row["twice_most"]]
    return "| %s |" % " | ".join(map(str, cells))


def by_case(file):
    """A case that was repeated is one row: its counts add up, and its slowest job is the slowest of all."""
    cases = {}
    for row in map(json.loads, file):
        known = cases.setdefault(row["case"], row)
        if known is not row:
            for key in ("faults", "jobs", "lost", "twice", "twice_most"):
                known[key] += row[key]
            if row["late"] is not None and row["late"] > known["late"]:
                known.update(late=row["late"], late_most=row["late_most"])
    return cases.values()


def rows_of(text):
    """The lines of tables in `text`, by case."""
    lines = [each for each in text.splitlines() if each.startswith("| ") and each not in HEADS]
    return {each.split(" | ")[0][2:]: each for each in lines}


def tables(lines):
    """Pairs of faults have a table of their own."""
    parts = []
    for title, is_pair in (("One fault", False), ("Two at once", True)):
        found = [lines[case] for case in sorted(lines) if (" + " in case) == is_pair]
        if found:
            parts.append("\n".join(["**%s**" % title, "", *HEADS, *found, ""]))
    return "\n".join(parts)


def main():
    lines = {}
    if os.path.exists(sys.argv[1]):
        with open(sys.argv[1], encoding="utf-8") as file:
            lines = {row["case"]: line(row) for row in by_case(file)}
    if len(sys.argv) < 3:
        print(tables(lines), end="")
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        before, rest = file.read().split(BEGIN)
    old, after = rest.split(END)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(before + BEGIN + tables(dict(rows_of(old), **lines)) + END + after)


if __name__ == "__main__":
    main()
