# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# packages.sh - which Debian packages the scripts in tools/ use, and how they are had.
#
# Sourced by the scripts in tools/ and tools/emuhost/, never run.  It owns the one list of package names, the folder
# where made things are kept (BUILD, by default build/ in the tree) and the two ways to get packages: installed on this
# machine (need_packages), or fetched with all they depend on and unpacked into a folder (fetch_debs, unpack_debs),
# which needs no root, no chroot and no mount.  It asks nothing, says nothing while all goes well, never changes the
# package sources of the machine, and never installs what is already there.

# The groups that need_packages knows.  One line for each purpose; a package may stand in several.
declare -A PACKAGES=(
	[build]="gcc libc6-dev linux-libc-dev meson ninja-build pkg-config"
	[unit]="check libasan8 libubsan1"
	[bare]="iproute2 strace"
	[lint]="shellcheck clang-tidy cppcheck clang llvm libclang-rt-14-dev"
	[fuzz]="clang llvm libclang-rt-14-dev ninja-build check pkg-config"
	[kernel]="lz4 zstd xz-utils"
	[initramfs]="busybox-static cpio kmod xz-utils"
	[rootfs]="mmdebstrap e2fsprogs"
	[emuhost]="qemu-system-x86 seabios e2fsprogs kmod binutils xz-utils"
	[qemu]="qemu-system-x86 seabios"
	[firmware]="acpica-tools"
	[bench]="qemu-system-x86 qemu-utils fio"
)

SCRIPT=${0##*/}
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 125
BUILD=$(realpath -m -- "${BUILD:-${TOOLS%/*}/build}")

say() { printf '%s: %s\n' "$SCRIPT" "$*" >&2; }

# die MESSAGE [HINT] - the end of a script that could not do its work.
die() {
	say "error: $1"
	[ -z "${2-}" ] || say "hint: $2"
	exit 125
}

# quietly LOG COMMAND... - run it with its output in LOG; show the end of LOG only if it fails.
quietly() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null && return 0
	tail -n 15 "$log" | sed 's/^/    /' >&2
	return 1
}

missing_packages() {
	local name
	for name; do
		dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || printf '%s\n' "$name"
	done
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		install --no-install-recommends "$@"
}

# apt_lists - have package lists.  A fresh machine or container has none; lists that are there are used as they are.
apt_lists() {
	[ "${1-}" = refresh ] || ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || return 0
	[ "$(id -u)" = 0 ] || die "there are no current package lists" "run as root: apt-get update"
	local log
	log=$(mktemp) || die "cannot make a temporary file"
	quietly "$log" apt-get -q -o DPkg::Lock::Timeout=300 update || die "apt-get update failed (its last lines are above)"
	rm -f "$log"
}

# need_packages GROUP... - every package of these groups is installed when this returns.
need_packages() {
	local group list=() missing log
	for group; do
		[ -n "${PACKAGES[$group]-}" ] || die "there is no package group '$group'"
		read -ra list <<<"${list[*]} ${PACKAGES[$group]}"
	done
	mapfile -t missing < <(missing_packages "${list[@]}" | sort -u)
	[ "${#missing[@]}" = 0 ] && return 0
	[ "$(id -u)" = 0 ] || die "these packages are missing: ${missing[*]}" "run as root: apt-get install ${missing[*]}"
	say "installing ${missing[*]}"
	apt_lists
	log=$(mktemp) || die "cannot make a temporary file"
	# Lists may be older than the archive, which keeps no superseded files: refresh them once, and say so.
	if ! apt_install "${missing[@]}" >"$log" 2>&1 </dev/null; then
		say "that failed; trying again with fresh package lists"
		apt_lists refresh
		quietly "$log" apt_install "${missing[@]}" || die "apt-get cannot install: ${missing[*]}"
	fi
	rm -f "$log"
}

# fetch_debs DIR PACKAGE... - download these packages and all they depend on, as for an empty machine, into DIR.
# Prints the paths, one a line.  Files that are there already are not fetched again.
fetch_debs() {
	local dir=$1 try
	shift
	mkdir -p "$dir/partial" || die "cannot make $dir"
	: >"$dir/none-installed" || die "cannot write to $dir"
	local opts=(-qq -y -o "Dir::State::status=$dir/none-installed" -o "Dir::Cache::archives=$dir"
		-o Debug::NoLocking=1 -o APT::Install-Recommends=0 -o APT::Sandbox::User=root)
	apt_lists
	for try in 1 2; do
		quietly "$dir/log" apt-get "${opts[@]}" install --download-only "$@" && break
		[ "$try" = 1 ] || die "cannot download: $*"
		say "cannot download $*; trying again with fresh package lists"
		apt_lists refresh
	done
	apt-get "${opts[@]}" -s install "$@" | awk '/^Inst /{ v = $3; sub(/^\(/, "", v); print $2, v }' |
		while read -r name version; do
			version=${version//:/%3a}
			ls "$dir/${name%%:*}_${version}_"*.deb || exit 1
		done || die "a downloaded package is missing from $dir"
}

# unpack_debs ROOT <LIST - unpack the packages whose paths are read into ROOT, as a merged-/usr tree.  Nothing is
# configured: no maintainer script runs.  Manual pages, documentation and translations are left out.
unpack_debs() {
	local root=$1 link
	mkdir -p "$root"/usr/{bin,sbin,lib,lib64} || return 1
	for link in bin sbin lib lib64; do
		[ -L "$root/$link" ] || ln -s "usr/$link" "$root/$link" || return 1
	done
	# shellcheck disable=SC2016 # the inner shell expands these
	xargs -P "$(nproc)" -I{} bash -o pipefail -c 'dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -x --keep-directory-symlink \
		--no-same-owner --exclude="./usr/share/doc/*" --exclude="./usr/share/man/*" \
		--exclude="./usr/share/locale/*" --exclude="./usr/share/info/*"' unpack {} "$root"
}
