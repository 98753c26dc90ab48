# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# crowd.sh - several guests in one control group with less memory than they have together, each with work to do in turn.
#
# Sourced by bench/overcommit-inside and by the cases of linux-memory, in a folder with tinyvmm, bzImage-6.12,
# base-6.12.cpio, steps.cpio and exercise.cpio; needs root and control groups v2.  A turn reads a disk, sorts, then writes,
# checks and rewrites a block of memory.  It begins in one guest when the one before it is done, so nothing overlaps but
# what guests keep of their last turn, freed memory and page cache: that is what has to be given back in time.
GROUP=/sys/fs/cgroup/crowd

# can_crowd - is the memory controller ours to use?
can_crowd() {
	[ -w /sys/fs/cgroup/cgroup.subtree_control ] && grep -qw memory /sys/fs/cgroup/cgroup.controllers &&
		echo +memory 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control
}

# crowd_start MODE LIMIT N SIZE - N guests of SIZE MiB with reclaim=MODE in LIMIT MiB ("max": no limit); waits until all
# are ready.
crowd_start() {
	local v limit=max
	[ "$2" = max ] || limit=$2M
	mkdir -p "$GROUP" && echo "$limit" >"$GROUP/memory.max" || return
	crowd_size=$3 crowd_pid=() crowd_peak=0
	truncate -s $(($4 / 3))M crowd.img
	crowd_began=$EPOCHREALTIME crowd_small_before=$(crowd_small)
	for ((v = 0; v < $3; v++)); do
		rm -f "crowd.in$v" && mkfifo "crowd.in$v"
		(
			echo 0 >"$GROUP/cgroup.procs" || exit 125
			exec ./tinyvmm --kernel bzImage-6.12 --initrd base-6.12.cpio --initrd steps.cpio --initrd exercise.cpio \
				--memory "$4,min=96M,reclaim=$1" --disk crowd.img,ro --append "quiet steps=shell" --log-level info
		) <>"crowd.in$v" >"crowd.out$v" 2>"crowd.log$v" &
		crowd_pid[v]=$!
	done
	for ((v = 0; v < $3; v++)); do
		crowd_wait $v ready || return
	done
}

# crowd_wait V TEXT [COUNT] - wait until the console of guest V has shown TEXT, COUNT times.  Fails when the guest ends first.
crowd_wait() {
	until [ "$(grep -c -- "$2" "crowd.out$1")" -ge "${3-1}" ]; do
		kill -0 "${crowd_pid[$1]}" 2>/dev/null || return 1
		sleep 0.2
	done
}

# crowd_ms - ms since this host was started, by the clock that decisions are logged with.
crowd_ms() {
	local up
	read -r up _ </proc/uptime
	echo $((10#${up/./} * 10))
}

# crowd_turns ROUNDS MIB PASSES - every guest in its turn, ROUNDS times.  Guests that have died are left out.  When turns
# began and ended is in crowd.turns.
crowd_turns() {
	local round v
	: >crowd.turns
	crowd_began=$EPOCHREALTIME
	for ((round = 1; round <= $1; round++)); do
		for ((v = 0; v < crowd_size; v++)); do
			kill -0 "${crowd_pid[v]}" 2>/dev/null || continue
			echo "guest $v begins at $(crowd_ms) ms" >>crowd.turns
			# shellcheck disable=SC2016
			echo 'at() { read -r up idle </proc/uptime; echo "$1 at $up s"; }; at turn;' "cat /dev/vda >/dev/null; at read;" \
				"seq 100000 | sort -r | md5sum; at sorted; /exercise work $2 $3" >"crowd.in$v"
			crowd_wait $v worked $round
			echo "guest $v ends at $(crowd_ms) ms; group: $(($(cat "$GROUP/memory.current") >> 20)) MiB" >>crowd.turns
		done
	done
	crowd_took=$(awk -v a="$crowd_began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
}

# Charges of a huge page that failed in a control group at its limit, since this host was started.
crowd_small() { awk '$1 == "thp_fault_fallback_charge" { print $2 }' /proc/vmstat; }

# crowd_count - sets crowd_cost: what it took, as words NAME=NUMBER.  Exits and ms of CPU of the loops (all threads but vCPUs)
# are those of the guests that live.
crowd_count() {
	local pid task name ns _ loops=0 exits=0 n
	for pid in "${crowd_pid[@]}"; do
		for task in /proc/"$pid"/task/*; do
			read -r name 2>/dev/null <"$task/comm" && [[ $name != */cpu* ]] && read -r ns _ 2>/dev/null <"$task/schedstat" &&
				loops=$((loops + ns / 1000000))
		done
		read -r n 2>/dev/null <"$(echo /sys/kernel/debug/kvm/"$pid"-*/exits)" && exits=$((exits + n))
	done
	crowd_cost="exits=$exits loops_ms=$loops huge_fallbacks=$(($(crowd_small) - crowd_small_before)) $(awk '
		$1 ~ /^(pgfault|pgmajfault|thp_fault_alloc|pgsteal_direct)$/ { printf "%s=%d ", $1, $2 }
		$1 == "max" { printf "at_limit=%d ", $2 }
		$1 ~ /^(user|system)_usec$/ { printf "%s_ms=%d ", substr($1, 1, index($1, "_") - 1), $2 / 1000 }
		$1 == "some" { printf "stalled_ms=%d ", substr($NF, 7) / 1000 }' \
		"$GROUP"/memory.{stat,events,pressure} "$GROUP/cpu.stat")"
}

# crowd_end - power off; sets crowd_ok (guests that ended well, with every byte right), crowd_kills (by the host),
# crowd_ooms (kills inside guests), crowd_peak (MiB) and leaves nothing running.
crowd_end() {
	local v ooms
	crowd_count
	for ((v = 0; v < crowd_size; v++)); do
		if kill -0 "${crowd_pid[v]}" 2>/dev/null; then
			# shellcheck disable=SC2016
			echo 'echo "ooms=$(dmesg | grep -c "Out of memory")"; poweroff -f' >"crowd.in$v"
		fi
	done
	crowd_ok=0 crowd_ooms=0
	for ((v = 0; v < crowd_size; v++)); do
		wait "${crowd_pid[v]}" && ! grep -q -e WRONG -e 'wrong=[1-9]' "crowd.out$v" && crowd_ok=$((crowd_ok + 1))
		# One that was killed told nothing.
		ooms=$(tr -d '\r' <"crowd.out$v" | sed -n 's/^ooms=//p' | tail -n 1)
		crowd_ooms=$((crowd_ooms + ${ooms:-0}))
	done
	crowd_kills=$(awk '$1 == "oom_kill" { print $2 }' "$GROUP/memory.events")
	crowd_peak=$(($(cat "$GROUP/memory.peak") >> 20))
	rmdir "$GROUP"
}

# crowd_swapped - MiB that went out to swap and came back, on this host, since it was started.
crowd_swapped() { awk '$1 == "pswpout" { o = $2 } $1 == "pswpin" { i = $2 } END { printf "%d %d", o / 256, i / 256 }' /proc/vmstat; }
