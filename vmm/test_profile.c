/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_profile.c - which settings follow from which host, and that the user's word wins over all of them. */
#include "profile.h"
#include <string.h>
#include "test.h"

static struct profile p;
static const enum config_switch no_wish[CONFIG_PROFILE_SETTINGS];

START_TEST(hosts)
{
	profile_choose(&p, &(struct profile_facts){ .huge_pages = true, .dear = true }, no_wish);
	ck_assert(p.set[CONFIG_PROFILE_HUGE_PAGES].on && p.set[CONFIG_PROFILE_PV].on && !p.set[CONFIG_PROFILE_PRE_FAULT].on);
	ck_assert_ptr_nonnull(strstr(p.set[CONFIG_PROFILE_HUGE_PAGES].why, "under another hypervisor"));
	profile_choose(&p, &(struct profile_facts){ .huge_pages = true }, no_wish);
	ck_assert(p.set[CONFIG_PROFILE_HUGE_PAGES].on);
	ck_assert_ptr_null(strstr(p.set[CONFIG_PROFILE_HUGE_PAGES].why, "hypervisor"));
	profile_choose(&p, &(struct profile_facts){ .dear = true }, no_wish);
	ck_assert(!p.set[CONFIG_PROFILE_HUGE_PAGES].on);
	ck_assert_ptr_nonnull(strstr(p.set[CONFIG_PROFILE_PRE_FAULT].why, "pre-fault=on"));
	ck_assert(!p.set[CONFIG_PROFILE_PLAIN_CPU].on);
	profile_choose(&p, &(struct profile_facts){ .dear = true, .interpreted = true }, no_wish);
	ck_assert(p.set[CONFIG_PROFILE_PLAIN_CPU].on);
	ck_assert_ptr_nonnull(strstr(p.set[CONFIG_PROFILE_PLAIN_CPU].why, "interprets"));
}
END_TEST

START_TEST(wishes)
{
	for (unsigned h = 0; h < 8; h++) {
		const struct profile_facts facts = { h & 1, h & 2, h & 4 };

		for (unsigned i = 0; i < CONFIG_PROFILE_SETTINGS; i++) {
			enum config_switch wish[CONFIG_PROFILE_SETTINGS] = { CONFIG_SWITCH_AUTO };
			struct profile other;

			wish[i] = CONFIG_SWITCH_OFF;
			profile_choose(&p, &facts, wish);
			ck_assert(!p.set[i].on);
			ck_assert_str_eq(p.set[i].why, "as asked for");
			wish[i] = CONFIG_SWITCH_ON;
			profile_choose(&p, &facts, wish);
			ck_assert(p.set[i].on);
			profile_choose(&other, &facts, no_wish);
			for (unsigned k = 0; k < CONFIG_PROFILE_SETTINGS; k++)
				ck_assert(k == i || (p.set[k].on == other.set[k].on && p.set[k].why == other.set[k].why));
		}
	}
}
END_TEST

START_TEST(words)
{
	char text[1024], little[20];

	profile_choose(&p, &(struct profile_facts){ .huge_pages = true }, no_wish);
	profile_describe(&p, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "profile   huge-pages on: 2 MiB"));
	ck_assert_ptr_nonnull(strstr(text, "\nprofile   pre-fault off: memory"));
	ck_assert_ptr_nonnull(strstr(text, "\nprofile   pv on: "));
	profile_describe(&p, little, sizeof(little));
	ck_assert_str_eq(little, "profile   huge-page");
}
END_TEST

int main(void)
{
	return test_main("profile", (const TTest *const[]){ hosts, wishes, words, NULL });
}
