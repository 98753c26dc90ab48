# SPDX-License-Identifier: LGPL-2.1-or-later
# The command on this machine's /dev/kvm, from end to end: test_run.py COMMAND GUEST (test_guest.S).  What needs no machine
# is tried by test_tty.py, whose tools are used here.  Prints TAP.
import json
import os
import select
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the source folder is not for us to write to

from test_tty import COMMAND, KERNEL, LIMIT, Session, run, spawn

SMALL = ["-m", "64M"]


def machine(*args):
    s = Session(*SMALL, *args)
    s.expect(rb"UP\r\n")
    assert s.is_raw()
    return s


def pipe(keys, *args):
    """Runs it with KEYS on a pipe; returns exit code, stdout, stderr and the result file's object."""
    p = subprocess.run([COMMAND, "-k", KERNEL, *SMALL, "--result-file", "result", "--timeout", "20", *args], input=keys,
                       capture_output=True, timeout=LIMIT * 3)
    with open("result") as f:
        return p.returncode, p.stdout, p.stderr.decode(), json.load(f)


def endings():
    for key, code, reason in ((b"q", 0, "poweroff"), (b"r", 0, "reboot"), (b"p", 255, "panic"), (b"t", 254, "triple-fault")):
        got, out, err, result = pipe(b"ab" + key)
        assert (got, out) == (code, b"UP\nab" + key), (got, out, err)
        assert (result["reason"], result["exit_status"]) == (reason, code), result
        assert bool(err) == bool(code), err


def timeout():
    start = time.monotonic()
    code, out, err, result = pipe(b"", "--timeout", "0.5")
    assert code == 124 and out == b"UP\n" and result["reason"] == "timeout", (code, out, result)
    assert 0.5 <= time.monotonic() - start < LIMIT


def restart():
    # The keys come one by one: a reset discards what a UART holds.
    p = spawn([COMMAND, "-k", KERNEL, *SMALL, "--on-reboot", "restart", "--console-log", "log"],
              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for key in b"rrq":
        assert p.stdout.read(3) == b"UP\n"
        p.stdin.write(bytes([key]))
        p.stdin.flush()
        assert p.stdout.read(1)[0] == key
    assert p.wait(LIMIT) == 0
    with open("log", "rb") as f:
        assert f.read() == b"UP\nrUP\nrUP\nq"
    p.stdin.close()
    p.stdout.close()


def console_elsewhere():
    r, w = os.pipe()
    os.write(w, b"q")
    p = subprocess.run([COMMAND, "-k", KERNEL, *SMALL, "--console", f"fd={r}:1"], pass_fds=[r], stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=LIMIT)
    assert (p.returncode, p.stdout) == (0, b"UP\nq"), p
    os.close(r)
    os.close(w)
    code, out, err, result = pipe(b"", "--console", "file=out", "--timeout", "0.5")
    assert (code, out) == (124, b"")
    with open("out", "rb") as f:
        assert f.read() == b"UP\n"
    code, out, err, result = pipe(b"", "--console", "none", "--timeout", "0.2")
    assert (code, out) == (124, b"")


def dry_run():
    code, out, err, result = pipe(b"", "--dry-run", "-a", "hello")
    assert code == 0 and b"hello" in out and KERNEL.encode() in out and b"UP" not in out, (code, out)


def keys_on_a_terminal():
    s = machine()
    s.type(b"\x03\x1a\rzq")
    s.expect(rb"\x03\x1a\rzq")
    assert s.wait() == 0
    assert s.was_put_back()
    s.close()


def escape_from_a_halted_guest():
    s = machine()
    s.type(b"h")
    s.expect(b"h")
    s.type(b"\x1d\x1d\x1d")
    assert s.wait() == 130
    assert s.was_put_back()
    s.close()


def escape_from_a_flood_that_nobody_reads():
    s = machine()
    s.type(b"f")
    s.expect(b"xxxx")
    time.sleep(0.3)  # the terminal's and our own buffers fill
    s.type(b"\x1d\x1d\x1d")
    assert s.wait() == 130
    assert s.was_put_back()
    s.close()


def signals():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        s = machine()
        s.p.send_signal(sig)
        assert s.wait() == 128 + sig, s.p.returncode
        assert s.was_put_back()
        s.close()
    for sig in (signal.SIGSEGV, signal.SIGABRT):
        s = machine()
        s.p.send_signal(sig)
        assert s.wait() == -sig, s.p.returncode
        assert s.was_put_back()
        s.close()


def full_pipe_and_a_signal():
    r, w = os.pipe()
    p = spawn([COMMAND, "-k", KERNEL, *SMALL], stdin=subprocess.PIPE, stdout=w, stderr=subprocess.DEVNULL)
    os.close(w)
    p.stdin.write(b"f")
    p.stdin.flush()
    assert select.select([r], [], [], LIMIT)[0]
    time.sleep(0.5)
    p.send_signal(signal.SIGTERM)
    assert p.wait(LIMIT) == 128 + signal.SIGTERM
    p.stdin.close()
    os.close(r)


def reader_that_goes():
    p = spawn([COMMAND, "-k", KERNEL, *SMALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
              stderr=subprocess.DEVNULL)
    p.stdin.write(b"f")
    p.stdin.flush()
    assert p.stdout.read(100) == b"UP\nf" + 96 * b"x"
    p.stdout.close()
    assert p.wait(LIMIT) == 128 + signal.SIGPIPE
    p.stdin.close()


def check():
    p = subprocess.run([COMMAND, "check", "--json"], capture_output=True, timeout=LIMIT)
    report = json.loads(p.stdout)
    assert p.returncode == 0 and report["usable"] is True, report
    assert report["backend"] in ("vmx", "svm", "software", "unknown")
    text = subprocess.run([COMMAND, "check"], capture_output=True, timeout=LIMIT).stdout
    assert (b"stock Linux kernels can run" in text) == report["runs_stock_kernel"], text
    assert (b"stock Linux kernels cannot run" in text) != report["runs_stock_kernel"], text


def nested():
    """What cannot be had is refused with the reason before the start, and told by auto and by check in the same words."""
    report = json.loads(subprocess.run([COMMAND, "check", "--json"], capture_output=True, timeout=LIMIT).stdout)
    row = next(r for r in report["checks"] if r["name"] == "nested")
    auto = subprocess.run([COMMAND, "-k", KERNEL, *SMALL, "--nested", "auto", "--dry-run"], capture_output=True, timeout=LIMIT)
    require = subprocess.run([COMMAND, "-k", KERNEL, *SMALL, "--nested", "require", "--dry-run"], capture_output=True, timeout=LIMIT)
    assert auto.returncode == 0, auto
    if report["nested"]:
        assert require.returncode == 0 and b"nested    require: the guest has " in require.stdout, require
        assert b"nested    auto: the guest has " in auto.stdout, auto
    else:
        assert require.returncode == 125 and row["text"].encode() in require.stderr, (row, require)
        assert b"nested    auto: not to be had; " + row["text"].encode() in auto.stdout, (row, auto)


def profile():
    """The settings are told with their reasons, and the user's word wins."""
    auto = subprocess.run([COMMAND, "-k", KERNEL, *SMALL, "--dry-run"], capture_output=True, timeout=LIMIT).stdout
    assert b"\nprofile   pv-eoi on: " in auto and b"\nprofile   pre-fault off: " in auto, auto
    off = subprocess.run([COMMAND, "-k", KERNEL, *SMALL, "--profile", "off,pre-fault,io-poll=50", "--dry-run"],
                         capture_output=True, timeout=LIMIT).stdout
    for line in b"huge-pages off", b"pre-fault on", b"pv-eoi off", b"io-poll 50", b"discard-batch off":
        assert b"\nprofile   " + line + b": as asked for\n" in off, off
    assert pipe(b"q", "--profile", "off,pre-fault")[0] == 0


def without_kvm():
    """A host whose /dev/kvm we may not open, and one that has none: check and run say the same."""
    if os.geteuid():
        return
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs /dev && exec "$@"', "sh"]
    hides = not subprocess.run(hidden + ["true"], capture_output=True).returncode
    for prefix, how, errno in ([], nobody, "Permission denied"), (hidden, {}, "No such file or directory"):
        if prefix and not hides or how and os.stat("/dev/kvm").st_mode & 6:
            continue
        p = subprocess.run(prefix + [COMMAND, "check", "--json"], capture_output=True, timeout=LIMIT, **how)
        report = json.loads(p.stdout)
        row = next(r for r in report["checks"] if r["name"] == "/dev/kvm")
        assert p.returncode == 1 and report["usable"] is False and row["verdict"] == "FAIL" and row["fix"], report
        assert row["text"].endswith(": /dev/kvm: " + errno), row
        p = subprocess.run(prefix + [COMMAND, "-k", KERNEL], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, **how)
        assert p.returncode == 125 and row["text"].encode() in p.stderr and row["fix"].encode() in p.stderr, p.stderr


if __name__ == "__main__":
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as e:
        print(f"1..0 # SKIP /dev/kvm: {e.strerror}")
        sys.exit(0)
    sys.exit(run([
        endings, timeout, restart, console_elsewhere, dry_run, keys_on_a_terminal, escape_from_a_halted_guest,
        escape_from_a_flood_that_nobody_reads, signals, full_pipe_and_a_signal, reader_that_goes, check, nested, profile, without_kvm,
    ]))
