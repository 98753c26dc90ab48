/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * config_profile.c - the value of the key "profile": auto or off for all settings, then KEY[=on|off] for single ones.
 *
 * Called by tvmm_config_set(); touches nothing but the configuration.
 */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_words.h"
#include "error.h"

int config_set_profile(struct tvmm_config *cfg, const char *value, struct tvmm_error *err)
{
	static const char *const keys[] = { "huge-pages", "pre-fault", "pv", "plain-cpu", NULL };
	enum config_switch set[CONFIG_PROFILE_SETTINGS] = { CONFIG_SWITCH_AUTO };
	char *copy = NULL, *rest, *element;
	int ret = value_dup("profile", value, &copy, err);

	rest = copy;
	while (!ret && (element = value_next(&rest))) {
		bool all_off = element == copy && !strcmp(element, "off"), on = false;
		char *v = value_split(element);
		unsigned i = 0;

		for (unsigned k = 0; all_off && k < CONFIG_PROFILE_SETTINGS; k++)
			set[k] = CONFIG_SWITCH_OFF;
		if (all_off || (element == copy && !v && !strcmp(element, "auto")))
			continue;
		while (keys[i] && strcmp(keys[i], element))
			i++;
		if (!keys[i])
			ret = word_unknown(err, "profile", "unknown setting", element, keys, "auto, off, huge-pages, pre-fault, pv, plain-cpu");
		else
			ret = value_bool("profile", v, &on, err);
		if (!ret)
			set[i] = on ? CONFIG_SWITCH_ON : CONFIG_SWITCH_OFF;
	}
	free(copy);
	if (!ret)
		memcpy(cfg->profile, set, sizeof(set));
	return ret;
}
