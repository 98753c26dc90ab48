/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_profile.c - the value of the key "profile": auto or off for all settings, then KEY[=on|off|NUMBER] for single ones.
 *
 * Called by tvmm_config_set(); touches nothing but the configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_words.h"
#include "error.h"

#define ALL_PV "pv" /* CONFIG_PROFILE_PV_EOI to CONFIG_PROFILE_STEAL_TIME */

const char *const config_profile_names[CONFIG_PROFILE_SETTINGS + 1] = {
	"huge-pages", "pre-fault", "plain-cpu", "plain-strings", "pv-eoi", "pv-ipi", "pv-tlb-flush", "pv-yield", "pv-spinlocks", "async-pf",
	"steal-time", "io-batch", "io-poll", "discard-batch", NULL
};

const unsigned config_profile_max[CONFIG_PROFILE_SETTINGS] = {
	[CONFIG_PROFILE_IO_POLL] = 1000, [CONFIG_PROFILE_DISCARD_BATCH] = 256
};

/* What VALUE (may be NULL: on) wishes of setting K. */
static int one(struct config_wish *w, unsigned k, const char *value, struct tvmm_error *err)
{
	unsigned n = 0, max = config_profile_max[k];
	bool on = true;
	int ret = 0;

	if (max && value && value[0] >= '0' && value[0] <= '9') {
		if (!value_uint(value, max, &n) || !n)
			ret = err_set(err, TVMM_E_CONFIG, 0, "profile", "%s '%s' is not a number from 1 to %u",
				      config_profile_names[k], word_show(value).s, max);
	} else {
		ret = value_bool("profile", value, &on, err);
	}
	if (!ret)
		*w = (struct config_wish){ on ? CONFIG_SWITCH_ON : CONFIG_SWITCH_OFF, n };
	return ret;
}

static int unknown(const char *word, struct tvmm_error *err)
{
	const char *words[CONFIG_PROFILE_SETTINGS + 2] = { ALL_PV };
	char known[256] = "auto, off";
	size_t n = strlen(known);

	memcpy(words + 1, config_profile_names, sizeof(config_profile_names));
	for (unsigned k = 0; words[k] && n < sizeof(known); k++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, ", %s", words[k]);
	return word_unknown(err, "profile", "unknown setting", word, words, known);
}

int config_set_profile(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	struct config_wish set[CONFIG_PROFILE_SETTINGS] = { { CONFIG_SWITCH_AUTO, 0 } };
	char *copy = NULL, *rest, *element;
	int ret = value_dup("profile", value, &copy, err);

	rest = copy;
	while (!ret && (element = value_next(&rest))) {
		bool first = element == copy, pv;
		char *v = value_split(element);
		unsigned k = 0;

		if (first && !v && !strcmp(element, "auto"))
			continue;
		if (first && !v && !strcmp(element, "off")) {
			for (k = 0; k < CONFIG_PROFILE_SETTINGS; k++)
				set[k].sw = CONFIG_SWITCH_OFF;
			continue;
		}
		pv = !strcmp(element, ALL_PV);
		while (!pv && config_profile_names[k] && strcmp(config_profile_names[k], element))
			k++;
		if (k == CONFIG_PROFILE_SETTINGS)
			ret = unknown(element, err);
		else if (!pv)
			ret = one(&set[k], k, v, err);
		for (k = CONFIG_PROFILE_PV_EOI; pv && !ret && k <= CONFIG_PROFILE_STEAL_TIME; k++)
			ret = one(&set[k], k, v, err);
	}
	free(copy);
	if (!ret)
		memcpy(cfg->profile, set, sizeof(set));
	return ret;
}
