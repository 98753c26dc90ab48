# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# measure.sh - what a virtual machine costs its host: VM exits, exits to user space, own memory.
#
# Sourced by what runs guests, inside the emulated host or on this machine; needs root.  Exits are counted by KVM's own
# tracepoints in histograms inside the kernel, so every exit of every guest on the host counts, and counting costs no
# process.  Run one guest at a time.

EVENTS=/sys/kernel/tracing/events/kvm

can_count() { [ -w $EVENTS/kvm_exit/trigger ] && [ -w $EVENTS/kvm_userspace_exit/trigger ]; }

# count_from_now - start both counts at zero.
count_from_now() {
	count_no_more
	echo 'hist:keys=exit_reason' >$EVENTS/kvm_exit/trigger && echo 'hist:keys=reason' >$EVENTS/kvm_userspace_exit/trigger
}

count_no_more() {
	echo '!hist:keys=exit_reason' >$EVENTS/kvm_exit/trigger
	echo '!hist:keys=reason' >$EVENTS/kvm_userspace_exit/trigger
} 2>/dev/null

# vm_exits - all of them since count_from_now, but for those that a host interrupt caused: these only tell how long it
# took (reason 96 on SVM, 1 on VMX).
vm_exits() {
	local interrupt=96
	! grep -qw vmx /proc/cpuinfo || interrupt=1
	awk -v without=$interrupt '/hitcount:/ { gsub(/[{},:]/, " "); if ($2 != without) n += $4 } END { print n + 0 }' \
		$EVENTS/kvm_exit/hist
}

user_exits() { awk '/hitcount:/ { gsub(/[{},:]/, " "); n += $4 } END { print n + 0 }' $EVENTS/kvm_userspace_exit/hist; }

# exit_table - the counts by reason, as the kernel prints them.
exit_table() { grep -h hitcount: $EVENTS/kvm_exit/hist $EVENTS/kvm_userspace_exit/hist; }

# own_memory PID KIB - resident memory of the process in KiB, without its one mapping of KIB, the guest's RAM.
# Nothing is printed unless there is exactly one such mapping.
own_memory() {
	awk -v ram="$2" '/^Size:/ { guest = $2 == ram; found += guest } /^Rss:/ { if (!guest) n += $2 }
		END { if (found == 1) print n }' "/proc/$1/smaps"
}
