#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Hands the ACPI tables to a second opinion, the reference compiler: each must disassemble, and what comes out must
# compile again without an error or warning.  The RSDP is left out, iasl does not take one.  Argument: the acpi-dump
# program.  Exit 77 (skipped) without iasl.
set -eu

if ! command -v iasl >/dev/null 2>&1; then
	echo "SKIP: iasl is not installed (Debian: acpica-tools)"
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$1" "$dir"
cd "$dir"
status=0
tables=0
for table in *.dat; do
	base=${table%.dat}
	tables=$((tables + 1))
	if ! iasl -d "$table" >"$base.log" 2>&1 || [ ! -s "$base.dsl" ]; then
		echo "FAIL: $base does not disassemble"
		cat "$base.log"
		status=1
		continue
	fi
	# The disassembler notes a bad checksum, length or field in the text it writes.
	if grep -n -i -E 'incorrect checksum|invalid|unknown|\*\*\*\*' "$base.dsl"; then
		echo "FAIL: $base has what the disassembler complains of"
		status=1
	fi
	if ! iasl -p "$base.new" "$base.dsl" >"$base.log" 2>&1 || grep -q -E '[1-9][0-9]* (Errors|Warnings)' "$base.log"; then
		echo "FAIL: $base does not compile again without complaint"
		cat "$base.log"
		status=1
		continue
	fi
	echo "ok: $base"
done
[ "$tables" -ge 5 ] || { echo "FAIL: only $tables tables"; status=1; }
exit $status
