# SPDX-License-Identifier: LGPL-2.1-or-later
"""count-tests.py LOG... - add up meson's test logs, subtest by subtest.

Each program speaks TAP: its "ok" and "not ok" lines are the tests that count.  A program that failed without saying
which of its tests did (it crashed, or ran out of time) is one failure more; one that was skipped whole is one skip.
Reasons for skips and the names of failures are printed, each failure with the diagnostics ("# ...") that came with it,
as meson keeps those in its logs; then the line "N passed, N failed, N skipped".
"""
import json
import re
import sys

passed = failed = skipped = 0
skips = {}


def diagnostics(lines, most=60):
    """The lines "# ..." at the start of LINES: what the test that failed has to say, its first half and its last."""
    told = []
    for line in lines:
        if not line.startswith("#"):
            break
        told.append("    " + line)
    if len(told) > most:
        told[most // 2 : -most // 2] = [f"    ({len(told) - most} lines left out)"]
    return told


for path in sys.argv[1:]:
    try:
        lines = open(path, encoding="utf-8", errors="replace").read().splitlines()
    except OSError as e:
        print(f"no result: {path}: {e.strerror}")
        failed += 1
        continue
    if not lines:
        print(f"no test ran: {path}")
        failed += 1
    for line in lines:
        run = json.loads(line)
        bad = 0
        whole = None
        said = (run.get("stdout") or "").splitlines()
        for at, text in enumerate(said):
            m = re.match(r"1\.\.0\s*#\s*skip\S*\s*(.*)", text, re.I)
            if m:
                whole = m.group(1)
            m = re.match(r"(not )?ok\b\s*\d*\s*-?\s*(.*)", text)
            if not m:
                continue
            skip = re.search(r"#\s*skip\S*\s*(.*)", m.group(2), re.I)
            if skip:
                skipped += 1
                skips[skip.group(1)] = skips.get(skip.group(1), 0) + 1
            elif m.group(1):
                bad += 1
                print(f"failed: {run['name']}: {m.group(2)}")
                print(*diagnostics(said[at + 1 :]), sep="\n")
            else:
                passed += 1
        if run["result"] == "SKIP" and whole is not None:
            skipped += 1
            skips[whole] = skips.get(whole, 0) + 1
        elif run["result"] not in ("OK", "SKIP") and not bad:
            bad = 1
            print(f"failed: {run['name']}: {run['result'].lower()}, exit status {run.get('returncode')}")
            print(*("    " + text for text in said[-20:]), sep="\n")
        failed += bad
for reason, n in skips.items():
    print(f"skipped {n}: {reason or 'no reason given'}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
