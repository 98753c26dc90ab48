/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_hostile.c - the whole list of attacks on one target, a result line for each.  After each of them the target
 * works again, and so does another disk that nobody attacked.
 * Arguments: target=N (devices.c), list=edits|rest|own|events|ports|broken, seed=N.
 */
#include "hostile.h"

static struct target other = { .name = "other", .kind = VIRTIO_BLK, .nth = 1, .n_queues = 1 };

/* Sector 3 of the disk that is left alone: the host half wrote what stands there. */
static bool other_works(void)
{
	volatile uint32_t *w = (volatile uint32_t *)(other.buf + 4096);

	w[0] = w[127] = 0;
	return target_request(&other) && w[0] == 3 * 2654435761u && w[127] == 3 * 2654435761u + 127;
}

static void verdict(bool good, const char *why, const char *name)
{
	if (good && !other_works()) {
		good = false;
		why = "the other disk no longer works";
	}
	report(good, "%s%s%s", name, good ? "" : ": ", good ? "" : why);
}

static void run_edits(struct target *t)
{
	for (const struct edit *e = edits; e->name; e++) {
		const char *why = "";
		bool good = true;

		for (unsigned i = 0; good && i < 4; i++)
			good = run_edit(t, e, i & 1, i & 2, &why);
		if (!good)
			target_recovers(t); /* the next attack deserves a device */
		verdict(good, why, e->name);
	}
}

static void run_list(struct target *t, const struct attack *a, bool all_windows)
{
	for (; a->name; a++) {
		const char *why = "";
		bool good;

		if (a->only && !(a->only & 1ull << t->kind))
			continue;
		if (a->rare && all_windows && t >= &targets[T_RX]) /* the same windows as others have */
			continue;
		good = run_attack(t, a, &why);
		if (!good)
			target_recovers(t);
		verdict(good, why, a->name);
	}
}

static void run_own(struct target *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(t->own) && t->own[i]; i++)
		run_list(t, t->own[i], false);
}

/* Leaves the device broken and goes to sleep for a while: the host half looks what that costs. */
static void stay_broken(struct target *t)
{
	target_start(t);
	target_queue(t)->avail->idx = 0x8000;
	vq_ring_bell(target_queue(t));
	report(target_latched(t), "broken");
	say("BROKEN");
	while (!(inb(COM1 + 5) & 1)) /* until the host half types something */
		;
	report(target_recovers(t), "and well again");
}

void guest_main(void)
{
	struct target *t = &targets[boot_arg_num("target", 0) % N_TARGETS];
	char list[8] = "rest";

	boot_arg("list", list, sizeof(list));
	rnd_seed(boot_arg_num("seed", 1));
	other.chain = targets[T_BLK].chain;
	other.done = targets[T_BLK].done;
	if (!report(targets_open() && target_open(&other), "all devices are there"))
		return;
	if (!report(!t->missing, "there is a %s", t->name))
		return;
	target_start(&other);
	report(target_recovers(t) && other_works(), "%s works", t->name);
	report(helper_init(1), "a second CPU helps");
	if (!strcmp(list, "edits")) {
		run_edits(t);
	} else if (!strcmp(list, "ports")) {
		run_list(t, port_attacks, false);
	} else if (!strcmp(list, "events")) {
		run_list(t, event_attacks, false);
	} else if (!strcmp(list, "own")) {
		run_own(t);
	} else if (!strcmp(list, "broken")) {
		stay_broken(t);
	} else {
		run_list(t, ring_attacks, true);
		run_list(t, setup_attacks, true);
		run_list(t, register_attacks, true);
		run_list(t, race_attacks, true);
		run_list(t, event_attacks, false);
		run_own(t);
	}
	con_printf("# latched %u\n", t->latched);
}
