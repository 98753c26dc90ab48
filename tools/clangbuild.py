# SPDX-License-Identifier: LGPL-2.1-or-later
"""clangbuild.py - what tools/fuzz, tools/coverage and tools/mutate share: the tree compiled with clang, by a ninja file of its own.

The product's build is gcc's and stays as it is.  Here every source that runs without a machine goes into one archive,
and a program (a fuzz target, a unit test) is linked with it.  Nothing is installed, nothing outside BUILD is written.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
# vmm/ holds the machine on KVM, but for this; of tools/ what fuzz targets try.
SOURCES = ["vmm/base/*.c", "devices/*.c", "firmware/*.c", "firmware/init/fsid.c", "vmm/config*.c",
           "vmm/control_calls.c", "vmm/control_fields.c", "vmm/metrics.c", "tools/opts.c", "tools/say.c"]
NOT_PRODUCT = re.compile(r"^(test|fuzz)_")
INCLUDES = ["vmm/api", "vmm/base", "devices", "firmware", "firmware/init", "vmm", "tools"]
WARNINGS = "-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers"
TARGET_DIRS = ["devices", "firmware", "vmm", "tools"]


def die(message, hint=None):
    name = os.path.basename(sys.argv[0])
    print(f"{name}: error: {message}", file=sys.stderr)
    if hint:
        print(f"{name}: hint: {hint}", file=sys.stderr)
    sys.exit(125)


def tool(*names):
    """The first of these programs that is there."""
    for name in names:
        if shutil.which(name):
            return name
    die(f"there is no {names[0]} here", "apt-get install clang llvm libclang-rt-14-dev")


def targets():
    """Name -> source of every fuzz target."""
    found = {}
    for d in TARGET_DIRS:
        for path in sorted(glob.glob(f"{ROOT}/{d}/fuzz_*.c")):
            found[os.path.basename(path)[5:-2]] = os.path.relpath(path, ROOT)
    return found


def wraps(source):
    """Does this target come between a check and a use (fuzz_guest.h)?"""
    return '"fuzz_guest.h"' in open(os.path.join(ROOT, source), encoding="utf-8").read()


def base_flags():
    """What every source is compiled with."""
    inc = " ".join(f"-I{ROOT}/{i}" for i in INCLUDES)
    return f"-std=gnu17 -D_GNU_SOURCE -DTVMM_UNIT {WARNINGS} {inc}"


def build(folder, cflags, ldflags, programs, archive_cflags=None):
    """Compiles PROGRAMS (name -> list of sources, link flags) into BUILD/FOLDER with clang."""
    out = os.path.join(BUILD, folder)
    os.makedirs(out, exist_ok=True)
    base = base_flags()
    lines = [f"cflags = {base} {cflags}", f"acflags = {base} {archive_cflags or cflags}", f"ldflags = {ldflags}",
             f"rule cc\n  command = {tool('clang-14', 'clang')} $cflags -MD -MF $out.d -c $in -o $out\n"
             "  depfile = $out.d\n  deps = gcc\n  description = CC $out",
             f"rule acc\n  command = {tool('clang-14', 'clang')} $acflags -MD -MF $out.d -c $in -o $out\n"
             "  depfile = $out.d\n  deps = gcc\n  description = CC $out",
             "rule ar\n  command = rm -f $out && ar rc $out $in\n  description = AR $out",
             f"rule link\n  command = {tool('clang-14', 'clang')} $ldflags $in -o $out $libs -lpthread\n"
             "  description = LINK $out"]
    objects = []
    for pattern in SOURCES:
        for path in sorted(glob.glob(f"{ROOT}/{pattern}")):
            if NOT_PRODUCT.search(os.path.basename(path)):
                continue
            objects.append("lib/" + os.path.relpath(path, ROOT).replace("/", "_") + ".o")
            lines.append(f"build {objects[-1]}: acc {path}")
    lines.append(f"build lib.a: ar {' '.join(objects)}")
    seen = set()
    for name, (sources, libs) in programs.items():
        objs = []
        for source in sources:
            objs.append("own/" + source.replace("/", "_") + ".o")
            if objs[-1] not in seen:
                lines.append(f"build {objs[-1]}: cc {ROOT}/{source}")
            seen.add(objs[-1])
        lines.append(f"build {name}: link {' '.join(objs)} lib.a\n  libs = {libs}")
    with open(os.path.join(out, "build.ninja"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    done = subprocess.run(["ninja", "-C", out, *programs], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode:
        sys.stderr.write("\n".join(done.stdout.splitlines()[-30:]) + "\n")
        die("the build failed (its last lines are above)")
    return out
