# shellcheck shell=bash disable=SC2154,SC2034
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# memory.sh - what the cases about memory have in common; sourced by memory.cases and by the cases that tools/memory-soak
# makes.  Needs the programs steer and exercise, and guests with virtio_balloon.
echo exercise | busybox cpio -o -H newc 2>/dev/null >exercise.cpio

# steer NAME KERNEL CONFIG... -- ACTION... - a guest that does what is typed, under the program steer (which see).
steer() {
	local series=${2##*-} config=()
	begin "$1"
	config=(kernel="$2" initrd="base-$series.cpio" initrd=steps.cpio initrd=exercise.cpio append="quiet steps=shell")
	shift 2
	run_to_end ./steer "${config[@]}" "$@"
	equal "exit status of steer" "$status" 0
	lacks WRONG 'Out of memory' 'BUG:' 'Bad page state'
}

# resized SERIES - a guest of 512 MiB through everything that the balloon does.
#
# Its kernel keeps some 40 MiB for itself, and 60 are in use.  Free memory comes back in pieces of 2 MiB at the least, so
# some of it stays.  "oom": with too little left for it, the guest takes back of the balloon what it needs.
resized() {
	steer "$1: statistics, trim, inflate, OOM, deflate, reporting" bzImage-"$1" memory=512M,min=128M cpus=1 \
		append=init_on_alloc=0 -- \
		until=ready type="/exercise touch 300" until=freed show=freed trim until="balloon: trimmed" show=trimmed \
		set=160 until="the guest gave" show=inflated type="/exercise touch 150" until=freed show=oom \
		set=auto until="the guest gave" show=deflated \
		type="/exercise touch 300" until=freed below=resident:160:60 show=reported type="poweroff -f" end
	between 440 512 freed_guest_total
	between 360 500 freed_guest_free
	between 360 500 freed_guest_available
	between 250 512 trimmed_trimmed
	between 40 170 trimmed_resident
	between 160 160 inflated_target
	between 160 160 inflated_actual
	between 40 160 inflated_resident
	between 170 400 oom_actual
	between 512 512 deflated_actual
	between 200 4096 reported_reported
	between 512 512 reported_actual
	between 0 0 reported_failed
}

# ---- a host that is short

can_hog() { [ -w /proc/sys/vm/drop_caches ]; }

# For watch: once the guest has freed its memory $freed times, leave the host no more than 100 MiB.
freed=1
# shellcheck disable=SC2317 # called by watch
hog_when_freed() {
	[ "$(grep -c freed "$out/console")" = $freed ] || return 1
	mkdir -p hog && mount -t tmpfs -o size=100% hog hog || return
	head -c $(($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) * 1024 - 100 * 1048576)) /dev/zero >hog/file
}

unhog() { umount hog; }

# ---- contents

# torture NAME KERNEL SECONDS SEED - pages with checksums come and go on two CPUs, while the machine is resized and
# trimmed at random.
#
# This is where a discarded page in use would show.  While a trim runs, the guest's driver holds all of its free memory,
# so every page that the exercise asks for is wrung from the driver's shrinker, out of the very blocks that it has just
# handed over.  A device that discards a block later than in its own exit fails within seconds: found_out().
torture() {
	limit=$(($3 + 150))
	steer "$1" "$2" memory=256M,min=96M cpus=2 append=init_on_alloc=0 -- \
		until=ready type="/exercise check 2 110 $4" until="exercise runs" random="$3:$4" type=stop until=killed= show=end \
		type="poweroff -f" end
	shows wrong=0 killed=0 end_failed=0
	note "$(value checked) MiB checked in $3 s, $(value trims) trims gave $(value end_trimmed) MiB, $(value sets) sizes set," \
		"$(value end_discarded) MiB discarded in all"
	[ "$(value checked)" -ge 8 ] || fault "only $(value checked) MiB were checked"
	[ "$(value end_trimmed)" -ge "$3" ] || fault "the trims gave only $(value end_trimmed) MiB"
	limit=180
}

# found_out NAME KERNEL SECONDS SEED - the torture on a machine with a fault (late.c): within SECONDS it finds a wrong page.
found_out() {
	limit=$(($3 + 120))
	begin "$1"
	run_to_end ./steer-late kernel="$2" initrd="base-${2##*-}.cpio" initrd=steps.cpio initrd=exercise.cpio \
		append="quiet steps=shell" memory=256M,min=96M cpus=2 append=init_on_alloc=0 -- \
		until=ready type="/exercise check 2 110 $4" until="exercise runs" random="$3:$4:WRONG"
	grep -qE 'WRONG|BUG:|Kernel panic' "$out/lines" || fault "nothing was found to be wrong within $3 s"
	note "$(grep -cF WRONG "$out/lines") pages, $(grep -cE 'BUG:|Kernel panic' "$out/lines") complaints of the kernel"
	limit=180
}
