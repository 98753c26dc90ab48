# SPDX-License-Identifier: LGPL-2.1-or-later
# The command on a terminal, a pipe and a file: who gets which key, what state the terminal is left in, what each signal
# does.  The command under test has a library without a machine (test_fake_vm.c).  Prints TAP.
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

COMMAND = os.path.abspath(sys.argv[1])
KERNEL = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else "k"  # the machine that is none reads none
LIMIT = 10  # seconds any one wait may take


LIVE = []  # sessions and processes to end when their test is over, however it ended


def spawn(*args, **kwargs):
    p = subprocess.Popen(*args, **kwargs)
    LIVE.append(p)
    return p


def clean_up():
    for x in list(LIVE):
        if isinstance(x, subprocess.Popen):
            x.kill()
            x.wait()
            LIVE.remove(x)
        else:
            x.close()


class Session:
    """The command as foreground job of a terminal of its own."""

    def __init__(self, *args, stdout=None, size=(0, 0)):
        LIVE.append(self)
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""

        def child():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        self.p = subprocess.Popen([COMMAND, "-k", KERNEL, *args], stdin=self.slave, stdout=stdout or self.slave,
                                  stderr=self.slave, preexec_fn=child, env=dict(os.environ, TERM="dumb"))

    def expect(self, pattern):
        """Reads until PATTERN; what it matched and all before is consumed."""
        end = time.monotonic() + LIMIT
        while True:
            m = re.search(pattern, self.seen)
            if m:
                self.seen = self.seen[m.end():]
                return m
            ready = select.select([self.master], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"no {pattern!r} in {self.seen!r}"
            self.seen += os.read(self.master, 4096)

    def type(self, keys):
        os.write(self.master, keys)

    def resize(self, cols, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def wait(self):
        return self.p.wait(LIMIT)

    def was_put_back(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        LIVE.remove(self)
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        os.close(self.master)
        os.close(self.slave)


def eventually(claim):
    end = time.monotonic() + LIMIT
    while not claim():
        assert time.monotonic() < end, "did not come true"
        time.sleep(0.005)


def running(*args):
    s = Session("-a", "say=up " + (args[0] if args else "echo"), *args[1:])
    s.expect(rb"up\r\n")  # \r\n: output processing is still on
    assert s.is_raw()
    return s


def keys_reach_the_guest():
    s = running("echo off")
    s.type(b"a\x03\x1a\r\x00\xff\x13q")
    s.expect(rb"61\r\n03\r\n1a\r\n0d\r\n00\r\nff\r\n13\r\n71\r\n")
    assert s.wait() == 0
    assert s.was_put_back()
    s.close()


def note_only_on_a_terminal_and_not_quiet():
    s = Session("-a", "say=up")
    s.expect(rb"(?s)Ctrl-\] three times ends the machine.*up\r\n")
    s.close()
    s = Session("-q", "-a", "say=up sleep=50 off")
    s.wait()
    s.expect(rb"up\r\n")
    assert b"Ctrl" not in s.seen
    s.close()
    p = subprocess.run([COMMAND, "-k", "k", "-a", "off"], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    assert p.stderr == b"", p.stderr


def three_presses_end_it():
    s = running()
    s.type(b"\x1d\x1d\x1d")
    assert s.wait() == 130
    s.expect(rb"error: ended from the keyboard")
    assert s.was_put_back()
    s.close()


def one_press_goes_to_the_guest_after_a_second():
    s = running()
    s.type(b"\x1d")
    s.expect(rb"1d\r\n")
    s.type(b"\x1dx")
    s.expect(rb"1d\r\n78\r\n")
    s.close()


def escape_commands():
    s = running()
    s.expect(rb"three times") if b"three times" in s.seen else None
    s.type(b"\x1d?")
    s.expect(rb"Ctrl-\] \. presses its power button")
    s.type(b"\x1d.")
    s.expect(rb"pressing the power button")
    assert s.wait() == 0
    s.close()


def another_escape_key_and_none():
    s = running("echo", "--escape", "^A")
    s.type(b"\x1d\x1d\x1dx")
    s.expect(rb"1d\r\n1d\r\n1d\r\n78\r\n")
    s.type(b"\x01\x01\x01")
    assert s.wait() == 130
    s.close()
    s = running("echo off", "--escape", "none")
    s.type(b"\x1d\x1d\x1dq")
    s.expect(rb"1d\r\n1d\r\n1d\r\n71\r\n")
    assert s.wait() == 0
    s.close()


def escape_works_when_the_guest_does_not_read():
    s = running("wait")
    for _ in range(40):  # more than the pipe and our buffer hold
        s.type(b"x" * 4000)
        eventually(lambda: not select.select([s.slave], [], [], 0)[0] or True)
    s.type(b"\x1d\x1d\x1d")
    assert s.wait() == 130
    s.close()


def signals_stop_it():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        with tempfile.TemporaryDirectory() as d:
            s = running("wait", "--result-file", d + "/r")
            s.p.send_signal(sig)
            assert s.wait() == 128 + sig, s.p.returncode
            s.expect(rb"error: stopped by " + sig.name.encode())
            assert s.was_put_back()
            result = json.load(open(d + "/r"))
            assert result == {"reason": "killed", "exit_status": 128 + sig, "detail": f"stopped by {sig.name}"}
            assert os.listdir(d) == ["r"]
            s.close()


def second_signal_does_not_wait():
    s = running("deaf")
    start = time.monotonic()
    s.p.send_signal(signal.SIGTERM)
    time.sleep(0.4)
    assert s.p.poll() is None
    s.p.send_signal(signal.SIGTERM)
    assert s.wait() == -signal.SIGTERM
    assert time.monotonic() - start < 1.5
    assert s.was_put_back()
    s.close()


def deaf_machine_is_left_after_a_while():
    s = running("deaf")
    s.p.send_signal(signal.SIGTERM)
    assert s.wait() == 128 + signal.SIGTERM
    assert s.was_put_back()
    s.close()


def crashes_put_the_terminal_back():
    for sig in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGSYS):
        s = running("wait")
        s.p.send_signal(sig)
        assert s.wait() == -sig, s.p.returncode
        assert s.was_put_back()
        s.close()
    s = Session("-a", "say=up sleep=50 segv")  # on a thread of the library
    assert s.wait() == -signal.SIGSEGV
    assert s.was_put_back()
    s.close()


class Shell:
    """A shell with job control on a terminal, between us and the command: a session's leader cannot be suspended."""

    def __init__(self, script):
        LIVE.append(self)
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""

        def child():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        self.p = subprocess.Popen(["bash", "-c", "set -m\n" + script.replace("COMMAND", COMMAND)], stdin=self.slave,
                                  stdout=self.slave, stderr=self.slave, preexec_fn=child, env=dict(os.environ, TERM="dumb"))

    expect, type, is_raw, was_put_back, wait = (Session.expect, Session.type, Session.is_raw, Session.was_put_back,
                                                Session.wait)

    def close(self):
        LIVE.remove(self)
        if self.p.poll() is None:
            job = os.tcgetpgrp(self.master)
            if job > 0 and job != self.p.pid:
                os.killpg(job, signal.SIGKILL)
            self.p.kill()
            self.p.wait()
        os.close(self.master)
        os.close(self.slave)


def suspended_and_continued():
    s = Shell("COMMAND -q -k k -a 'say=up echo'\necho STOPPED $?\nread go\nfg >/dev/null\necho LEFT $?\n")
    s.expect(rb"up\r\n")
    assert s.is_raw()
    os.killpg(os.tcgetpgrp(s.master), signal.SIGTSTP)
    s.expect(rb"STOPPED 148")
    assert s.was_put_back()
    s.type(b"go\n")
    eventually(s.is_raw)
    s.type(b"z")
    s.expect(rb"7a\r\n")
    s.type(b"\x1d\x1d\x1d")
    s.expect(rb"LEFT 130")
    s.wait()
    assert s.was_put_back()
    s.close()


def background_does_not_touch_the_terminal():
    s = Shell("COMMAND -k k -a 'say=up sleep=300 off' &\nwait\necho LEFT $?\n")
    s.expect(rb"up\r\n")
    assert s.was_put_back()
    s.expect(rb"LEFT 0")
    assert s.was_put_back()
    s.close()


def brought_to_the_foreground():
    s = Shell("COMMAND -q -k k -a 'say=up echo' &\nread go\nfg\necho LEFT $?\n")
    s.expect(rb"up\r\n")
    assert not s.is_raw()
    s.type(b"go\n")
    eventually(s.is_raw)
    s.type(b"z")
    s.expect(rb"7a\r\n")
    s.type(b"\x1d\x1d\x1d")
    s.expect(rb"LEFT 130")
    s.wait()
    assert s.was_put_back()
    s.close()


def size_of_the_terminal():
    s = Session("-q", "-a", "sizes say=up echo", size=(132, 50))
    s.expect(rb"132x50\r\nup\r\n")
    s.resize(100, 40)
    s.expect(rb"100x40\r\n")
    s.resize(0, 0)  # one that tells none is not passed on
    s.resize(80, 25)
    s.expect(rb"80x25\r\n")
    assert b"0x0" not in s.seen
    s.type(b"\x1d\x1d\x1d")
    assert s.wait() == 130
    s.close()
    # Another console is not the terminal's.
    s = Session("-q", "-a", "sizes say=up off", "--console", "fd=0:1", size=(132, 50))
    s.expect(rb"up\r\n")
    assert s.wait() == 0
    assert b"132" not in s.seen
    s.close()


def input_from_a_pipe():
    p = subprocess.run([COMMAND, "-k", "k", "-a", "echo off"], input=b"\x1d\x1d\x1dq", capture_output=True, timeout=LIMIT)
    assert p.stdout == b"1d\n1d\n1d\n71\n", p.stdout
    assert p.returncode == 0


def input_from_a_file_and_its_end():
    with tempfile.TemporaryFile() as f:
        f.write(b"skip" + b"a" * 3000)
        f.flush()
        f.seek(4)
        p = subprocess.run([COMMAND, "-k", "k", "-a", "echo", "--timeout", "0.4"], stdin=f, capture_output=True, timeout=LIMIT)
    assert p.returncode == 124, p
    assert p.stdout == b"61\n" * 3000


def large_input_is_not_lost():
    data = bytes(i % 251 for i in range(200000)).replace(b"q", b"Q") + b"q"
    p = subprocess.run([COMMAND, "-k", "k", "-a", "sleep=100 echo off"], input=data, capture_output=True, timeout=60)
    assert p.stdout.split() == [b"%02x" % b for b in data]


def inherited_descriptions_stay_blocking():
    r, w = os.pipe()
    p = spawn([COMMAND, "-k", "k", "-a", "say=up sleep=100 off"], stdin=r, stdout=subprocess.PIPE)
    p.stdout.readline()
    for fd in (r, p.stdout.fileno()):
        assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    assert p.wait(LIMIT) == 0
    os.close(r)
    os.close(w)


def reader_that_goes_ends_it():
    p = spawn([COMMAND, "-k", "k", "-a", "say=up"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
              stderr=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n"
    p.stdout.close()
    assert p.wait(LIMIT) == 128 + signal.SIGPIPE
    assert b"nobody reads the console any more" in p.stderr.read()
    p.stderr.close()


def ignored_signals_stay_ignored():
    p = spawn([COMMAND, "-k", "k", "-a", "say=up sleep=300 off"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
              preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    p.stdout.readline()
    p.send_signal(signal.SIGHUP)
    assert p.wait(LIMIT) == 0


def closed_standard_descriptors():
    p = subprocess.run(["sh", "-c", '"$0" -k k -a off --result-file r <&- >&- 2>&-; cat r', COMMAND],
                       capture_output=True, timeout=LIMIT)
    assert p.stdout.startswith(b'{"reason":"poweroff"'), p


def full_stdout_is_an_error():
    with open("/dev/full", "wb") as full:
        p = subprocess.run([COMMAND, "version"], stdout=full, stderr=subprocess.PIPE, timeout=LIMIT)
    assert p.returncode == 125 and b"cannot write: stdout: No space left on device" in p.stderr, p


def run(tests):
    """Runs them in a folder of their own; prints TAP, returns the exit code."""
    failed = 0
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for n, test in enumerate(tests, 1):
            try:
                test()
                print(f"ok {n} - {test.__name__}", flush=True)
            except Exception as e:  # a failed claim, or a wait that took too long
                failed += 1
                line = e.__traceback__.tb_next.tb_lineno if e.__traceback__.tb_next else "?"
                print(f"not ok {n} - {test.__name__}\n#   {type(e).__name__} in line {line}: {e}", flush=True)
            clean_up()
        os.chdir("/")
    return failed > 0


if __name__ == "__main__":
    sys.exit(run([
        keys_reach_the_guest, note_only_on_a_terminal_and_not_quiet, three_presses_end_it,
        one_press_goes_to_the_guest_after_a_second, escape_commands, another_escape_key_and_none,
        escape_works_when_the_guest_does_not_read, signals_stop_it, second_signal_does_not_wait,
        deaf_machine_is_left_after_a_while, crashes_put_the_terminal_back, suspended_and_continued,
        background_does_not_touch_the_terminal, brought_to_the_foreground, size_of_the_terminal, input_from_a_pipe, input_from_a_file_and_its_end,
        large_input_is_not_lost, inherited_descriptions_stay_blocking, reader_that_goes_ends_it,
        ignored_signals_stay_ignored, closed_standard_descriptors, full_stdout_is_an_error
    ]))
