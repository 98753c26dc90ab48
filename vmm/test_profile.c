/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_profile.c - which settings follow from which host, and that the user's word wins over all of them. */
#include "profile.h"
#include <string.h>
#include "bits.h"
#include "test.h"

static struct profile p;
static const struct config_wish no_wish[CONFIG_PROFILE_SETTINGS];

START_TEST(hosts)
{
	profile_choose(&p, &(struct profile_facts){ .huge_pages = true, .dear = true }, no_wish);
	ck_assert(p.set[CONFIG_PROFILE_HUGE_PAGES].on && p.set[CONFIG_PROFILE_PV_EOI].on && !p.set[CONFIG_PROFILE_PRE_FAULT].on);
	ck_assert_ptr_nonnull(strstr(p.set[CONFIG_PROFILE_HUGE_PAGES].why, "under another hypervisor"));
	for (unsigned k = CONFIG_PROFILE_PV_EOI; k <= CONFIG_PROFILE_STEAL_TIME; k++)
		ck_assert(p.set[k].on == (k != CONFIG_PROFILE_PV_SPINLOCKS)); /* which was measured to do less */
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
	ck_assert(!p.set[CONFIG_PROFILE_PLAIN_STRINGS].on);
	profile_choose(&p, &(struct profile_facts){ .dear = true, .emulated = true }, no_wish);
	ck_assert(p.set[CONFIG_PROFILE_PLAIN_STRINGS].on && !p.set[CONFIG_PROFILE_PLAIN_CPU].on);
	ck_assert_ptr_nonnull(strstr(p.set[CONFIG_PROFILE_PLAIN_STRINGS].why, "emulated"));
}
END_TEST

START_TEST(wishes)
{
	for (unsigned h = 0; h < 32; h++) {
		const struct profile_facts facts = { h & 1, h & 2, h & 4, h & 16, .cpus = 2, .host_cpus = 1 + (h & 8) };

		for (unsigned i = 0; i < CONFIG_PROFILE_SETTINGS; i++) {
			struct config_wish wish[CONFIG_PROFILE_SETTINGS] = { { CONFIG_SWITCH_AUTO, 0 } };
			struct profile other;

			wish[i].sw = CONFIG_SWITCH_OFF;
			profile_choose(&p, &facts, wish);
			ck_assert(!p.set[i].on && !p.set[i].n);
			ck_assert_str_eq(p.set[i].why, "as asked for");
			wish[i].sw = CONFIG_SWITCH_ON;
			profile_choose(&p, &facts, wish);
			ck_assert(p.set[i].on && !p.set[i].n == !config_profile_max[i]);
			if (config_profile_max[i]) {
				wish[i].n = 7;
				profile_choose(&p, &facts, wish);
				ck_assert(p.set[i].on && p.set[i].n == 7);
			}
			profile_choose(&other, &facts, no_wish);
			for (unsigned k = 0; k < CONFIG_PROFILE_SETTINGS; k++)
				ck_assert(k == i || (p.set[k].on == other.set[k].on && p.set[k].n == other.set[k].n && p.set[k].why == other.set[k].why));
		}
	}
}
END_TEST

/* A thread that looks with open eyes needs a CPU that no vCPU wants. */
START_TEST(cpus)
{
	for (unsigned n = 1; n < 4; n++) {
		profile_choose(&p, &(struct profile_facts){ .cpus = n, .host_cpus = 2 }, no_wish);
		ck_assert(p.set[CONFIG_PROFILE_IO_POLL].on == (n < 2) && !p.set[CONFIG_PROFILE_IO_POLL].n == (n >= 2));
	}
}
END_TEST

/* What is hidden of KVM's leaf: nothing that a setting which is on stands for, all that one which is off does. */
START_TEST(features)
{
	static const struct {
		enum config_profile key;
		uint32_t bits;
	} of[] = { { CONFIG_PROFILE_ASYNC_PF, 1 << 4 | 1 << 10 | 1 << 14 }, { CONFIG_PROFILE_STEAL_TIME, 1 << 5 },
		   { CONFIG_PROFILE_PV_EOI, 1 << 6 }, { CONFIG_PROFILE_PV_SPINLOCKS, 1 << 7 }, { CONFIG_PROFILE_PV_TLB_FLUSH, 1 << 9 },
		   { CONFIG_PROFILE_PV_IPI, 1 << 11 }, { CONFIG_PROFILE_PV_YIELD, 1 << 13 } };
	uint32_t all = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(of); i++) {
		struct config_wish wish[CONFIG_PROFILE_SETTINGS] = { { CONFIG_SWITCH_AUTO, 0 } };

		for (unsigned k = 0; k < ARRAY_SIZE(of); k++)
			wish[of[k].key].sw = k == i ? CONFIG_SWITCH_OFF : CONFIG_SWITCH_ON;
		profile_choose(&p, &(struct profile_facts){ .cpus = 2 }, wish);
		ck_assert_uint_eq(profile_hides(&p), of[i].bits | 1 << 12);
		all |= of[i].bits;
	}
	ck_assert_uint_eq(all & 0x0100000b, 0); /* never the clocks */
}
END_TEST

START_TEST(words)
{
	char text[2048], little[20];

	profile_choose(&p, &(struct profile_facts){ .huge_pages = true }, no_wish);
	profile_describe(&p, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "profile   huge-pages on: 2 MiB"));
	ck_assert_ptr_nonnull(strstr(text, "\nprofile   pre-fault off: memory"));
	ck_assert_ptr_nonnull(strstr(text, "\nprofile   pv-eoi on: "));
	ck_assert_ptr_nonnull(strstr(text, "\nprofile   io-poll off: "));
	ck_assert_ptr_nonnull(strstr(text, "\nprofile   discard-batch 256: "));
	profile_describe(&p, little, sizeof(little));
	ck_assert_str_eq(little, "profile   huge-page");
}
END_TEST

int main(void)
{
	return test_main("profile", (const TTest *const[]){ hosts, wishes, cpus, features, words, NULL });
}
