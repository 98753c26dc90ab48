# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs each case of test_cli.cases on the command given and compares exit code, stdout and stderr, byte for byte.
#
#   $ [NAME=VALUE]... ARGUMENT...     quoted as in sh; the command's name is left out
#   > LINE                            a line of stdout
#   | LINE                            a line of stderr
#   = CODE                            the exit code; ends the case
#   & ARGUMENT...                     a machine with --name that runs beside the cases that follow, to the next such line
#   &                                 none does any more
#
# In lines, "..." at the end stands for any rest.  stdin is /dev/null.  Prints TAP.
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time


def cases(path):
    case = None
    for number, line in enumerate(open(path), 1):
        line = line.rstrip("\n")
        kind, rest = line[:1], line[2:]
        if not line or kind == "#":
            continue
        if kind == "&":
            yield {"beside": shlex.split(rest), "line": number}
        elif kind == "$":
            assert case is None, f"{path}:{number}: the case before has no '='"
            case = {"title": rest, "words": shlex.split(rest), "out": [], "err": [], "line": number}
        elif kind in ">|":
            case["out" if kind == ">" else "err"].append(rest)
        elif kind == "=":
            case["code"] = int(rest)
            yield case
            case = None
        else:
            raise SystemExit(f"{path}:{number}: not understood: {line}")
    assert case is None, "the last case has no '='"


def differs(expected, got):
    got = got.splitlines()
    if len(expected) != len(got):
        return True
    return any(not g.startswith(e[:-3]) if e.endswith("...") else e != g for e, g in zip(expected, got))


def environment():
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TERM": "dumb", "TINYVMM_RUNTIME_DIR": os.path.abspath("run")}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env


def beside(command, case, live):
    for p in live:
        p.terminate()
        p.wait(20)
    live.clear()
    words = case["beside"]
    if not words:
        return
    live.append(subprocess.Popen([command] + words, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL))
    end = time.monotonic() + 20
    while not os.path.exists(f"run/{words[words.index('--name') + 1]}/control.sock"):
        assert time.monotonic() < end and live[0].poll() is None, f"line {case['line']}: it did not start"
        time.sleep(0.01)


def run(command, case):
    env = environment()
    words = list(case["words"])
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, value = words.pop(0).split("=", 1)
        env[name] = value
    p = subprocess.run([command] + words, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
                       text=True, errors="replace")
    return p.returncode, p.stdout, p.stderr


def main():
    command, path = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    failed = 0
    todo = list(cases(path))
    live = []
    n = 0
    print(f"1..{sum('title' in case for case in todo)}")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for case in todo:
            if "beside" in case:
                beside(command, case, live)
                continue
            n += 1
            code, out, err = run(command, case)
            ok = code == case["code"] and not differs(case["out"], out) and not differs(case["err"], err)
            title = case["title"].replace("#", "\\#")
            print(f"{'ok' if ok else 'not ok'} {n} - {title}")
            if not ok:
                failed += 1
                for line in (f"line {case['line']}: exit code {code}, expected {case['code']}\n{out}{err}").splitlines():
                    print("#  ", line)
        beside(command, {"beside": []}, live)
    return failed > 0


sys.exit(main())
