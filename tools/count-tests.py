# SPDX-License-Identifier: LGPL-2.1-or-later
"""count-tests.py LOG... - add up meson's test logs, subtest by subtest.

Each program speaks TAP: its "ok" and "not ok" lines are the tests that count.  A program that failed without saying
which of its tests did (it crashed, or ran out of time) is one failure more; one that was skipped whole is one skip.
Reasons for skips and the names of failures are printed, then the line "N passed, N failed, N skipped".
"""
import json
import re
import sys

passed = failed = skipped = 0
skips = {}
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
        for text in (run.get("stdout") or "").splitlines():
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
            else:
                passed += 1
        if run["result"] == "SKIP" and whole is not None:
            skipped += 1
            skips[whole] = skips.get(whole, 0) + 1
        elif run["result"] not in ("OK", "SKIP") and not bad:
            bad = 1
            print(f"failed: {run['name']}: {run['result'].lower()}, exit status {run.get('returncode')}")
        failed += bad
for reason, n in skips.items():
    print(f"skipped {n}: {reason or 'no reason given'}")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
