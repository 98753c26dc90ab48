/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_net.h - the value of the key "net": one network interface.
 *
 * Filled by config.c through config_net_parse(); read by the machine.  Pure: nothing is opened or looked up.
 */
#ifndef TVMM_CONFIG_NET_H
#define TVMM_CONFIG_NET_H

#include <stdbool.h>
#include <stdint.h>
#include "tinyvmm.h"

enum {
	CONFIG_NETS_MAX = 8,
	CONFIG_FORWARDS_MAX = 16, /* of one interface */
	CONFIG_PAIRS_MAX = 7,
	CONFIG_MTU_MIN = 68,      /* virtio 1.2, 5.1.4.1 */
	CONFIG_MTU_MAX = 65521,
	CONFIG_IFNAME_MAX = 15,
};

enum config_net_kind { CONFIG_NET_NONE, CONFIG_NET_USER, CONFIG_NET_TAP, CONFIG_NET_FD };

enum config_vhost { CONFIG_VHOST_AUTO, CONFIG_VHOST_ON, CONFIG_VHOST_OFF };

struct config_forward {
	bool udp;
	uint16_t host, guest; /* ports */
};

struct config_net {
	enum config_net_kind kind;
	char ifname[CONFIG_IFNAME_MAX + 1]; /* TAP */
	int fd;                             /* FD: the caller's, never closed; -1 otherwise */
	bool has_mac;
	uint8_t mac[6];
	unsigned mtu;                       /* 0: not given */
	unsigned pairs;                     /* queue pairs */
	enum config_vhost vhost;
	uint64_t bandwidth, packets, burst_ns; /* of each direction, a second; 0: not limited */
	struct config_forward forward[CONFIG_FORWARDS_MAX]; /* USER */
	unsigned n_forwards;
};

/* Returns 0, or -EINVAL with the key "net" as the object, and *OUT as it was. */
int config_net_parse(const char *value, struct config_net *out, struct tvmm_error *err);

#endif
