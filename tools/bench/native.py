# SPDX-License-Identifier: LGPL-2.1-or-later
"""
native.py - a bare-metal guest under tinyvmm or QEMU on this machine's /dev/kvm, for the *-native benchmarks.

The guest says "ready", then obeys what comes on its console and says "done ..." after each.  It polls for its orders, so
while one is measured the others are stopped (alone()).  None outlives the benchmark.
"""
import atexit
import glob
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
build = os.environ.get("BUILD", tree + "/build")
script = os.path.basename(sys.argv[0])
guests = []  # all that were started

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that atexit has its turn

with open("/proc/cpuinfo", encoding="ascii") as cpuinfo:
    tsc_hz = next(float(line.split(":")[1]) * 1e6 for line in cpuinfo if line.startswith("cpu MHz"))


def tinyvmm(payload, mib):
    """The command of a guest, but for its devices."""
    return [build + "/tools/tinyvmm", "--kernel", payload, "--memory", str(mib), "--no-defaults", "--console", "stdio"]


def qemu(payload, mib):
    """The same.  q35, as without firmware that sets up PCI microvm's devices have no registers; qemu64, as with more
    features QEMU sets model-specific registers that not every KVM has."""
    return ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "qemu64", "-M", "q35", "-m", str(mib), "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-name", "bench,debug-threads=on",
            "-kernel", payload]


class Guest:
    def __init__(self, name, command):
        self.name = name
        self.log = open(f"/tmp/{script}.{os.getpid()}.{len(guests)}", "w+b")
        self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        atexit.register(self.proc.kill)
        os.unlink(self.log.name)
        guests.append(self)
        self.ready = self.hears("ready")

    def hears(self, word):
        for line in self.proc.stdout:
            line = line.decode(errors="replace").strip()
            if line.startswith(word):
                return line
            if line.startswith("not ok"):
                break
        self.log.seek(0)
        sys.exit(f"{script}: {self.name} ended: {self.log.read().decode()}")

    def order(self, order):
        self.proc.stdin.write(order.encode())
        self.proc.stdin.flush()

    def answer(self):
        """What it says when it is done: {key: number}."""
        return {k: int(v) for k, v in (w.split("=") for w in self.hears("done").split() if "=" in w)}

    def alone(self):
        for guest in guests:
            guest.proc.send_signal(signal.SIGCONT if guest is self else signal.SIGSTOP)

    def threads(self):
        """Those that are no vCPU's: their folders in /proc."""
        for task in glob.glob(f"/proc/{self.proc.pid}/task/*"):
            with open(task + "/comm", encoding="utf8") as f:
                if not re.search(r"/cpu\d|CPU \d", f.read()):
                    yield task

    def cpu(self):
        """Seconds that they ran."""
        return sum(int(open(t + "/schedstat", encoding="ascii").read().split()[0]) for t in self.threads()) / 1e9

    def end(self):
        self.proc.send_signal(signal.SIGCONT)
        self.order("q")
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
