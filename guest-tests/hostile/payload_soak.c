/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_soak.c - one CPU attacks devices at random for as long as it is told, another copies data on a disk that is
 * left alone and looks at every word of it; a third is the attacker's helper.
 *
 * The copy: the lower half of the disk holds a pattern of the host half's (t_soak.c).  Each round reads it, checks it,
 * writes it, changed by the round's number, to the upper half, flushes, and reads and checks that.
 * Arguments: ticks=N (of the TSC), seed=N.
 */
#include "hostile.h"

#define CHUNK 128 /* sectors */

static struct target mine = { .name = "copied disk", .kind = VIRTIO_BLK, .nth = 1, .n_queues = 1 };
static volatile bool go, stop, attacker_done;
static volatile unsigned failed, attacks;
static uint64_t end_tsc;

/* ---- the attacker ------------------------------------------------------------------------------------------------------------ */

static const struct attack *const lists[] = { ring_attacks, setup_attacks, register_attacks, race_attacks, event_attacks, port_attacks };

/* From one of the lists, or of the target's own. */
static const struct attack *pick(const struct target *t)
{
	for (;;) {
		unsigned n = (unsigned)(rnd() % (ARRAY_SIZE(lists) + ARRAY_SIZE(t->own)));
		const struct attack *a = n < ARRAY_SIZE(lists) ? lists[n] : t->own[n - ARRAY_SIZE(lists)];

		if (!a)
			continue;
		n = 0;

		while (a[n].name)
			n++;
		a += rnd() % n;
		if (!a->rare && (!a->only || a->only & 1ull << t->kind))
			return a;
	}
}

static void one_attack(void)
{
	struct target *t = &targets[rnd() % N_TARGETS];
	const char *why = "", *name;
	bool good;

	if (t->missing)
		return;
	if (rnd() % 4) {
		const struct attack *a = pick(t);

		name = a->name;
		good = run_attack(t, a, &why);
	} else {
		unsigned n = 0;

		while (edits[n].name)
			n++;
		n = (unsigned)(rnd() % n);
		name = edits[n].name;
		good = run_edit(t, &edits[n], rnd() % 2, rnd() % 2, &why);
	}
	attacks++;
	if (good)
		return;
	if (failed++ < 10)
		diag("attack %u on %s, %s: %s", attacks, t->name, name, why);
	target_recovers(t);
}

static void attacker(unsigned index)
{
	/* The console is a target too: what is said of the start must be out before the first attack. */
	while (!go)
		cpu_relax();
	while ((int64_t)(rdtsc() - end_tsc) < 0)
		one_attack();
	stop = true;
	attacker_done = true;
	guest_halt();
}

/* ---- the copy ------------------------------------------------------------------------------------------------------------------ */

struct span { volatile uint32_t *p; uint64_t sector; uint32_t salt, more; };

static uint64_t check(void *arg)
{
	struct span *s = arg;
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < CHUNK; i++)
		for (uint32_t w = 0; w < 128; w++)
			wrong += s->p[i * 128 + w] != (((uint32_t)(s->sector + i) * 2654435761u + w) ^ s->salt);
	return wrong;
}

static uint64_t change(void *arg)
{
	struct span *s = arg;

	for (uint32_t i = 0; i < CHUNK * 128; i++)
		s->p[i] ^= s->more;
	return 0;
}

/* Reads or writes a chunk; true if the device says that it is done. */
static bool move(uint32_t type, uint64_t sector, volatile void *data)
{
	return blk_do(&mine, type, sector, data, CHUNK * 512, type == 1) == 0;
}

static uint64_t wrong, bad_status;

static void copy_chunk(volatile uint32_t *data, uint64_t from, uint64_t half, uint32_t salt)
{
	struct span s = { data, from, 0, salt };

	bad_status += !move(0, from, data);
	wrong += ring3(check, &s);
	ring3(change, &s);
	bad_status += !move(1, half + from, data);
	for (unsigned i = 0; i < 64; i++)
		data[i * 251] = 0;
	bad_status += !move(0, half + from, data);
	s.salt = salt;
	wrong += ring3(check, &s);
}

static uint64_t touch_all(void *arg)
{
	volatile uint8_t *from = arg;

	for (volatile uint8_t *p = from; p < (volatile uint8_t *)boot_info.ram_end; p += 4096)
		*p = 0;
	return 0;
}

void guest_main(void)
{
	volatile uint32_t *data;
	unsigned long rounds = 0, ticks = boot_arg_num("ticks", 1000000000);
	uint64_t half;

	rnd_seed(boot_arg_num("seed", 1));
	mine.chain = targets[T_BLK].chain;
	mine.done = targets[T_BLK].done;
	if (!report(targets_open() && target_open(&mine), "all devices are there"))
		return;
	target_start(&mine);
	half = mmio_r64(mine.v.config) / 2;
	data = page_alloc(CHUNK * 512 / 4096);
	for (unsigned i = 0; i < N_TARGETS; i++)
		report(!targets[i].missing, "there is a %s", targets[i].name);
	report(helper_init(2), "a helper for the attacker");
	/* From here on no page of the guest is new to the host: what it uses more is its own. */
	ring3(touch_all, page_alloc(0));
	say("WARM");
	end_tsc = rdtsc() + ticks;
	report(cpu_start(acpi.apic_id[1], 1, attacker), "the attacker");
	go = true;
	while (!stop || !rounds) {
		uint32_t salt = (uint32_t)(rounds + 1) * 0x9e3779b9u;

		for (uint64_t s = 0; s < half; s += CHUNK)
			copy_chunk(data, s, half, salt);
		bad_status += blk_do(&mine, 4, 0, NULL, 0, true) != 0;
		rounds++;
	}
	while (!attacker_done)
		cpu_relax();
	report(wrong == 0, "every word that was copied is right (%lu words are not)", wrong);
	report(bad_status == 0, "every request of the copy succeeded (%lu did not)", bad_status);
	report(failed == 0, "every attack ended as it must (%u did not)", failed);
	con_printf("# attacks %u rounds %lu\n", attacks, rounds);
}
