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

# torture NAME KERNEL SECONDS SEED - pages with checksums come and go on two CPUs, while the machine is resized and
# trimmed at random.
#
# This is where a discarded page in use would show.  While a trim runs, the guest's driver holds all of its free memory,
# so every page that the exercise asks for is wrung from the driver's shrinker, out of the very blocks that it has just
# handed over.  A device that discards a block later than in its own exit was made to try this: it fails within seconds.
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
