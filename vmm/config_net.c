/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_net.c - reads "KIND[=VALUE][,key=value]..." into a struct config_net.
 *
 * Called by config.c, on the embedder's thread.  Every key is checked against the kind that it belongs to: one that would
 * have no effect is refused.
 */
#include "config_net.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "config_words.h"
#include "error.h"
#include "ratelimit.h"

#define KINDS "user[,fwd=tcp:PORT:PORT], tap=NAME, fd=N, none"

static int net_ifname(struct config_net *net, const char *value, struct tvmm_error *err)
{
	size_t len = value ? strlen(value) : 0;

	if (!len || len > CONFIG_IFNAME_MAX)
		return err_set(err, TVMM_E_CONFIG, 0, "net", "tap needs an interface's name, 1 to %d characters", CONFIG_IFNAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~' || value[i] == '/' || value[i] == ':' || value[i] == '%')
			return err_set(err, TVMM_E_CONFIG, 0, "net", "'%s' is no interface's name", word_show(value).s);
	memcpy(net->ifname, value, len + 1);
	return 0;
}

static int net_kind(struct config_net *net, char *element, struct tvmm_error *err)
{
	static const char *const kinds[] = { "none", "user", "tap", "fd", NULL };
	char *value = value_split(element);
	unsigned i = 0, fd;

	while (kinds[i] && strcmp(kinds[i], element))
		i++;
	if (!kinds[i])
		return word_unknown(err, "net", "unknown kind", element, kinds, KINDS);
	net->kind = (enum config_net_kind)i;
	if (net->kind == CONFIG_NET_TAP)
		return net_ifname(net, value, err);
	if (net->kind == CONFIG_NET_FD) {
		if (!value || !value_uint(value, INT_MAX, &fd))
			return err_set(err, TVMM_E_CONFIG, 0, "net", "fd needs a descriptor's number");
		net->fd = (int)fd;
		return 0;
	}
	return value ? err_set(err, TVMM_E_CONFIG, 0, "net", "'%s' takes no value", element) : 0;
}

/* Six pairs of hexadecimal digits. */
static int net_mac(struct config_net *net, const char *value, struct tvmm_error *err)
{
	static const char digits[] = "0123456789abcdef";
	bool good = strlen(value) == 17, zero = true;

	for (unsigned i = 0; good && i < 17; i++) {
		const char *d = i % 3 == 2 ? NULL : strchr(digits, value[i] >= 'A' && value[i] <= 'F' ? value[i] | 0x20 : value[i]);

		if (i % 3 == 2)
			good = value[i] == ':';
		else if (!d)
			good = false;
		else
			net->mac[i / 3] = (uint8_t)(net->mac[i / 3] << 4 | (d - digits));
	}
	for (unsigned i = 0; i < 6; i++)
		zero = zero && !net->mac[i];
	if (!good || zero || net->mac[0] & 1) {
		int ret = err_set(err, TVMM_E_CONFIG, 0, "net", "mac '%s' is no address of one interface", word_show(value).s);

		err_hint(err, "write six bytes of which the first is even, for instance 02:00:00:00:00:01");
		return ret;
	}
	net->has_mac = true;
	return 0;
}

static bool forward_port(const char *s, uint16_t *out)
{
	unsigned port;

	if (!value_uint(s, UINT16_MAX, &port) || !port)
		return false;
	*out = (uint16_t)port;
	return true;
}

/* tcp:8080:80 - PROTOCOL:HOST-PORT:GUEST-PORT. */
static int net_forward(struct config_net *net, char *value, struct tvmm_error *err)
{
	struct config_forward f;
	char shown[64], *host = strchr(value, ':'), *guest = host ? strchr(host + 1, ':') : NULL;
	int ret;

	memcpy(shown, word_show(value).s, sizeof(shown));
	if (guest) {
		*host++ = '\0';
		*guest++ = '\0';
		f.udp = !strcmp(value, "udp");
		if ((f.udp || !strcmp(value, "tcp")) && forward_port(host, &f.host) && forward_port(guest, &f.guest)) {
			if (net->n_forwards == CONFIG_FORWARDS_MAX)
				return err_set(err, TVMM_E_CONFIG, 0, "net", "more than %d forwarded ports", CONFIG_FORWARDS_MAX);
			net->forward[net->n_forwards++] = f;
			return 0;
		}
	}
	ret = err_set(err, TVMM_E_CONFIG, 0, "net", "'%s' is no port to forward", shown);
	err_hint(err, "write tcp or udp, the host's port, the guest's: fwd=tcp:8080:80");
	return ret;
}

static int net_number(const char *key, const char *value, unsigned min, unsigned max, unsigned *out, struct tvmm_error *err)
{
	if (value_uint(value, max, out) && *out >= min)
		return 0;
	return err_set(err, TVMM_E_CONFIG, 0, "net", "%s '%s' is not a number from %u to %u", key, word_show(value).s, min, max);
}

static int net_vhost(struct config_net *net, const char *value, struct tvmm_error *err)
{
	static const char *const words[] = { "auto", "on", "off", NULL };

	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(words[i], value)) {
			net->vhost = (enum config_vhost)i;
			return 0;
		}
	}
	return word_unknown(err, "net", "unknown value", value, words, "auto, on, off");
}

enum { KEY_MAC, KEY_MTU, KEY_QUEUES, KEY_VHOST, KEY_BW, KEY_PPS, KEY_BURST, KEY_FWD };

static int net_key(struct config_net *net, const char *key, char *value, unsigned *seen, struct tvmm_error *err)
{
	static const char *const keys[] = { "mac", "mtu", "queues", "vhost", "bw", "pps", "burst", "fwd", NULL };
	unsigned i = 0;

	while (keys[i] && strcmp(keys[i], key))
		i++;
	if (!keys[i])
		return word_unknown(err, "net", "unknown key", key, keys, "mac=, mtu=, queues=, vhost=, bw=, pps=, burst=, fwd=");
	if (net->kind == CONFIG_NET_NONE || (i == KEY_FWD && net->kind != CONFIG_NET_USER) ||
	    (i == KEY_QUEUES && net->kind != CONFIG_NET_TAP) || (i == KEY_VHOST && net->kind == CONFIG_NET_USER))
		return err_set(err, TVMM_E_CONFIG, 0, "net", "key '%s' has no meaning for this kind", key);
	if (!value)
		return err_set(err, TVMM_E_CONFIG, 0, "net", "key '%s' needs a value", key);
	if (*seen & BIT(i) && i != KEY_FWD)
		return err_set(err, TVMM_E_CONFIG, 0, "net", "key '%s' is given twice", key);
	*seen |= BIT(i);
	switch (i) {
	case KEY_MAC:
		return net_mac(net, value, err);
	case KEY_MTU:
		return net_number(key, value, CONFIG_MTU_MIN, CONFIG_MTU_MAX, &net->mtu, err);
	case KEY_QUEUES:
		return net_number(key, value, 1, CONFIG_PAIRS_MAX, &net->pairs, err);
	case KEY_VHOST:
		return net_vhost(net, value, err);
	case KEY_BW:
		return value_bandwidth("net", value, &net->bandwidth, err);
	case KEY_PPS:
		return value_ops("net", key, value, &net->packets, err);
	case KEY_BURST:
		return value_burst("net", value, &net->burst_ns, err);
	default:
		return net_forward(net, value, err);
	}
}

/* What the keys are together. */
static int net_check(struct config_net *net, unsigned seen, struct tvmm_error *err)
{
	if (!net->bandwidth && !net->packets)
		return seen & BIT(KEY_BURST) ? err_set(err, TVMM_E_CONFIG, 0, "net", "burst needs a limit: bw, pps or both") : 0;
	if (net->vhost == CONFIG_VHOST_ON)
		return err_set(err, TVMM_E_CONFIG, 0, "net", "vhost=on contradicts a limit: the kernel knows of none");
	net->vhost = CONFIG_VHOST_OFF;
	return 0;
}

int config_net_parse(const char *value, struct config_net *out, struct tvmm_error *err)
{
	struct config_net net = { .fd = -1, .pairs = 1, .burst_ns = RATELIMIT_BURST_NS };
	char *copy = NULL, *rest, *element;
	unsigned seen = 0;
	int ret = value_dup("net", value, &copy, err);

	if (ret)
		return ret;
	rest = copy;
	ret = net_kind(&net, value_next(&rest), err);
	while (!ret && (element = value_next(&rest))) {
		char *v = value_split(element);

		ret = net_key(&net, element, v, &seen, err);
	}
	free(copy);
	if (!ret)
		ret = net_check(&net, seen, err);
	if (!ret)
		*out = net;
	return ret;
}
