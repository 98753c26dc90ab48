/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_vsock.c - the value of the key "vsock": uds=PATH[,cid=N], in any order.
 *
 * Called by tvmm_config_set(); touches nothing but the configuration.
 */
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "config.h"
#include "config_words.h"
#include "error.h"

#define CID_MIN 3 /* virtio 1.2, 5.10.4: 0 and 1 are reserved, 2 is the host */

struct vsock_value {
	char *path;
	unsigned cid;
};

static int vsock_key(struct vsock_value *v, const char *key, const char *value, unsigned *seen, struct tvmm_error *err)
{
	static const char *const keys[] = { "uds", "cid", NULL };
	unsigned i = 0;

	while (keys[i] && strcmp(keys[i], key))
		i++;
	if (!keys[i])
		return word_unknown(err, "vsock", "unknown key", key, keys, "uds=PATH, cid=N");
	if (!value)
		return err_set(err, TVMM_E_CONFIG, 0, "vsock", "key '%s' needs a value", key);
	if (*seen & BIT(i))
		return err_set(err, TVMM_E_CONFIG, 0, "vsock", "key '%s' is given twice", key);
	*seen |= BIT(i);
	if (i == 0)
		return value_path("vsock", value, &v->path, err);
	if (value_uint(value, UINT32_MAX - 1, &v->cid) && v->cid >= CID_MIN)
		return 0;
	return err_set(err, TVMM_E_CONFIG, 0, "vsock", "cid '%s' is not a number from %d to %u", word_show(value).s, CID_MIN,
		       UINT32_MAX - 1);
}

int config_set_vsock(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct vsock_value v = { .cid = CID_MIN };
	char *copy = NULL, *rest, *element;
	unsigned seen = 0;
	int ret = value_dup("vsock", value, &copy, err);

	if (ret)
		return ret;
	rest = copy;
	while (!ret && (element = value_next(&rest))) {
		char *val = value_split(element);

		ret = vsock_key(&v, element, val, &seen, err);
	}
	free(copy);
	if (!ret && !v.path) {
		ret = err_set(err, TVMM_E_CONFIG, 0, "vsock", "the path of its unix socket is missing");
		err_hint(err, "write uds=PATH");
	}
	if (ret) {
		free(v.path);
		return ret;
	}
	free(cfg->vsock);
	cfg->vsock = v.path;
	cfg->vsock_cid = v.cid;
	return 0;
}
