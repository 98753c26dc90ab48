/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * machine_nets.c - the host's side of a machine's network interfaces: taps, descriptors, passt, the kernel's workers.
 *
 * All is opened before the guest runs, and outlives a restart of it.  What the guest sees of it is wired in guest.c.
 */
#include "machine_nets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_netif(struct machine *m, struct machine_net *n, const struct config_net *cfg, struct tvmm_error *err)
{
	switch (cfg->kind) {
	case CONFIG_NET_TAP:
		return net_tap_open(&n->nif, m->host, &m->loop, &m->log, cfg->ifname, cfg->pairs, err);
	case CONFIG_NET_FD:
		return net_fd_open(&n->nif, m->host, &m->loop, &m->log, cfg->fd, err);
	case CONFIG_NET_USER:
		return passt_start(&n->passt, &n->nif, cfg, m->host, &m->loop, &m->log, err);
	case CONFIG_NET_NONE:
		break;
	}
	return -EINVAL;
}

/* An address of our own making is marked as such (locally administered), and outlives a restart. */
static void choose_mac(const struct machine *m, unsigned index, const struct config_net *cfg, uint8_t mac[6])
{
	if (cfg->has_mac) {
		memcpy(mac, cfg->mac, 6);
		return;
	}
	if (m->host->getrandom(m->host, mac, 6) != 6)
		memset(mac, (int)index, 6);
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2);
}

/* The kernel's workers, where they are to be had and not unwanted. */
static int open_vhost(struct machine *m, struct machine_net *n, enum config_vhost wanted, struct tvmm_error *err)
{
	const struct netif_ops *ops = n->nif->ops;
	int ret;

	if (ops->lend && wanted == CONFIG_VHOST_OFF)
		snprintf(n->why_here, sizeof(n->why_here), "%s", n->bandwidth || n->packets ? " (for its limit)" : " (vhost=off)");
	if (wanted == CONFIG_VHOST_OFF || (!ops->lend && wanted == CONFIG_VHOST_AUTO))
		return 0;
	if (!ops->lend)
		return err_set(err, TVMM_E_UNSUPPORTED, 0, "net", "vhost works on taps only, and this is a socket");
	ret = vhost_net_open(&n->vhost, m->host, &m->loop, n->nif->pairs, err);
	if (!ret) {
		ret = ops->prepare_lending(n->nif, err);
		if (ret) {
			vhost_net_close(n->vhost);
			n->vhost = NULL;
		}
	} else if (ret == -ENOENT || ret == -ENODEV) {
		err_hint(err, "load the module: modprobe vhost_net");
	} else if (ret == -EACCES) {
		err_hint(err, "as root: setfacl -m u:$USER:rw /dev/vhost-net; or leave vhost=on away");
	}
	if (ret && wanted == CONFIG_VHOST_AUTO)
		snprintf(n->why_here, sizeof(n->why_here), " (vhost-net: %s)", strerror(-ret));
	return wanted == CONFIG_VHOST_ON ? ret : 0;
}

int machine_nets_open(struct machine *m, const struct tvmm_config *cfg, struct tvmm_error *err)
{
	if (!cfg->net_count)
		return 0;
	m->net = calloc(cfg->net_count, sizeof(*m->net));
	if (!m->net)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	for (unsigned i = 0; i < cfg->net_count; i++) {
		struct machine_net *n = &m->net[i];
		int ret = open_netif(m, n, &cfg->nets[i], err);

		if (ret)
			return ret;
		m->n_nets++;
		snprintf(n->name, sizeof(n->name), "net %u", i);
		choose_mac(m, i, &cfg->nets[i], n->mac);
		n->mtu = (uint16_t)cfg->nets[i].mtu;
		n->bandwidth = cfg->nets[i].bandwidth;
		n->packets = cfg->nets[i].packets;
		n->burst_ns = cfg->nets[i].burst_ns;
		ret = open_vhost(m, n, cfg->nets[i].vhost, err);
		if (ret)
			return ret;
	}
	return 0;
}

void machine_nets_describe(const struct machine *m, char *buf, size_t len)
{
	size_t n = 0;

	for (unsigned i = 0; i < m->n_nets && n < len; i++) {
		const struct machine_net *net = &m->net[i];
		const uint8_t *mac = net->mac;
		char limit[96], mtu[16] = "";
		struct ratelimit rl;

		ratelimit_init(&rl, net->bandwidth, net->packets, net->burst_ns);
		ratelimit_describe(&rl, "packets", limit, sizeof(limit));
		if (net->mtu)
			snprintf(mtu, sizeof(mtu), ", MTU %u", net->mtu);
		n += (size_t)snprintf(buf + n, len - n, "net       %u: %s, %s%s, %u queue pair%s, %02x:%02x:%02x:%02x:%02x:%02x%s%s\n", i,
				      net->nif->kind, net->vhost ? "vhost-net" : "served here", net->vhost ? "" : net->why_here,
				      net->nif->pairs, net->nif->pairs == 1 ? "" : "s", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
				      mtu, limit);
	}
}

void machine_nets_close(struct machine *m)
{
	for (unsigned i = 0; i < m->n_nets; i++) {
		vhost_net_close(m->net[i].vhost);
		m->net[i].nif->ops->close(m->net[i].nif);
		passt_stop(&m->net[i].passt);
	}
	free(m->net);
}
