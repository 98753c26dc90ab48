# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# outside.sh - the net beyond the host, sourced by the cases whose guests reach it through passt: a namespace "outside" with a
# name server and a web server, over a veth pair by the host's default route.

# Every name is 198.51.100.53.  A query, hexadecimal: 12 bytes, labels up to an empty one, type, class.
cat >name-server <<'END'
#!/bin/bash
q=$(od -An -v -tx1 | tr -d ' \n')
end=24
while [ "${q:end:2}" != 00 ] && [ -n "${q:end:2}" ]; do end=$((end + 2 + 2 * 0x${q:end:2})); done
question=${q:24:end+10-24} answers=0000 answer=
[ "${q:end+2:4}" != 0001 ] || answers=0001 answer=c00c000100010000003c0004c6336435
printf '%b' "$(printf '%s' "${q:0:4}81800001${answers}00000000$question$answer" | sed 's/../\\x&/g')"
END
chmod +x name-server

# outside - makes it, with www/data ($sum) and www/small there.  False: there is no right to.
outside() {
	[ -c /dev/net/tun ] && ip netns add outside 2>/dev/null || return 1
	command -v passt >/dev/null || fault "there is no passt"
	ip link add in0 type veth peer name out0 netns outside
	ip address add 198.51.100.2/24 dev in0 && ip link set in0 up && ip route add default via 198.51.100.1
	ip -n outside link set lo up && ip -n outside link set out0 up
	ip -n outside address add 198.51.100.1/24 dev out0 && ip -n outside address add 198.51.100.53/24 dev out0
	echo nameserver 198.51.100.53 >/etc/resolv.conf
	ip netns exec outside socat -t 30 UDP4-RECVFROM:53,bind=198.51.100.53,fork EXEC:./name-server &
	mkdir -p www
	head -c 3000000 /dev/urandom >www/data
	sum=$(md5sum <www/data | cut -d' ' -f1)
	head -c 20000 www/data >www/small
	ip netns exec outside busybox httpd -p 198.51.100.53:80 -h "$PWD/www"
}
