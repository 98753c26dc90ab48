#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# embed.py FILE NAME MAX OUT - write the bytes of FILE as a C array NAME, with NAME_size; refuse more than MAX bytes.
# For the build.  An .incbin would be shorter, but then the build would not see that the file has changed.
import sys

path, name, limit, out = sys.argv[1:]
data = open(path, 'rb').read()
if not 0 < len(data) <= int(limit):
    sys.exit(f'{path}: {len(data)} bytes; more than 0 and at most {limit} are expected')
with open(out, 'w') as f:
    f.write(f'#include "initramfs_init.h"\n\nconst unsigned {name}_size = {len(data)};\n')
    f.write(f'const unsigned char {name}[] = {{\n')
    for at in range(0, len(data), 16):
        f.write('\t' + ''.join(f'{b},' for b in data[at:at + 16]) + '\n')
    f.write('};\n')
