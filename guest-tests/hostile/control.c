/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control.c - attacks on the control queues of a console device with several ports (virtio 1.2, 5.3.6.2), and on ports that
 * are not open.  The host half gives two ports.
 *
 * Messages that make no sense are taken and ignored.  A driver that asks properly afterwards is told of each port.
 */
#include "hostile.h"

enum { RX0, TX0, CONTROL_RX, CONTROL_TX, RX1, TX1 };
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };
#define PORTS 2

struct message { uint32_t id; uint16_t event, value; };

#define MESSAGE(t) ((volatile struct message *)(t)->buf)
#define ANSWERS(t) ((t)->buf + 4096) /* 64 bytes for each */

static long tell(struct target *t, uint32_t id, uint16_t event, uint16_t value, uint32_t len)
{
	struct vdesc d = { (uint64_t)MESSAGE(t), len, 0, 0 };

	*MESSAGE(t) = (struct message){ id, event, value };
	return target_ask(t, CONTROL_TX, &d, 1);
}

static void give_room(struct target *t, unsigned n, uint32_t len)
{
	struct vqueue *q = &t->v.q[CONTROL_RX];

	for (unsigned i = 0; i < n; i++) {
		vq_desc(q, (uint16_t)i, (uint64_t)ANSWERS(t) + i * 64, len, VD_WRITE, 0);
		vq_offer(q, (uint16_t)i);
	}
	vq_ring_bell(q);
}

/* Waits for the Nth message of this life, from 1. */
static volatile struct message *heard(struct target *t, unsigned n)
{
	struct vqueue *q = &t->v.q[CONTROL_RX];

	for (uint64_t end = deadline_ms(4000); q->used->idx < n; cpu_relax())
		if (expired(end))
			return NULL;
	return (volatile struct message *)(ANSWERS(t) + q->used->e[n - 1].id * 64);
}

/* The driver that behaves, in a new life. */
static bool ports_come(struct target *t)
{
	volatile struct message *m;

	target_start(t);
	give_room(t, 8, 64);
	if (tell(t, 0, DEVICE_READY, 1, 8))
		return false;
	m = heard(t, PORTS);
	if (!m || m->event != PORT_ADD || m->id != PORTS - 1)
		return false;
	if (tell(t, 0, PORT_READY, 1, 8))
		return false;
	m = heard(t, PORTS + 1);
	return m && m->event == PORT_NAME && m->id == 0;
}

static bool messages_that_make_no_sense(struct target *t)
{
	static const uint32_t id[] = { 0, 1, 2, 31, 0x80000000, 0xfffffffe, ~0u };
	static const uint16_t value[] = { 0, 1, 2, 0xffff };
	bool good = true;

	for (unsigned i = 0; good && i < ARRAY_SIZE(id); i++)
		for (unsigned event = 0; good && event < 12; event++)
			for (unsigned v = 0; good && v < ARRAY_SIZE(value); v++)
				good = tell(t, id[i], (uint16_t)(event < 10 ? event : 0xffffu << (event - 10)), value[v], 8) == 0;
	for (uint32_t len = 0; good && len < 8; len++)
		good = tell(t, 0, PORT_READY, 1, len) == 0;
	for (unsigned i = 0; good && i < 200; i++)
		good = tell(t, (uint32_t)rnd(), (uint16_t)rnd(), (uint16_t)rnd(), (uint32_t)(rnd() % 4096)) == 0;
	return good && ports_come(t);
}

static bool torn_message(struct target *t)
{
	struct vdesc d[8];

	*MESSAGE(t) = (struct message){ 0, DEVICE_READY, 1 };
	for (unsigned i = 0; i < 8; i++)
		d[i] = (struct vdesc){ (uint64_t)t->buf + i, 1, 0, 0 };
	if (target_ask(t, CONTROL_TX, d, 8))
		return false;
	give_room(t, 4, 64);
	return heard(t, PORTS) && ports_come(t);
}

/* However often it asks, it is owed no more than each port's state. */
static bool asks_a_thousand_times(struct target *t)
{
	bool good = true;

	for (unsigned i = 0; good && i < 300; i++) {
		good = tell(t, 0, DEVICE_READY, 1, 8) == 0 && tell(t, i % PORTS, PORT_READY, 1, 8) == 0 &&
		       tell(t, i % PORTS, PORT_OPEN, (uint16_t)(i / 2 % 2), 8) == 0;
	}
	if (!good || tell(t, 0, DEVICE_READY, 1, 8))
		return false;
	give_room(t, 16, 64);
	good = heard(t, PORTS) && tell(t, PORTS, PORT_OPEN, 1, 8) == 0 && t->v.q[CONTROL_RX].used->idx == PORTS;
	return good && ports_come(t);
}

static bool no_room_for_answers(struct target *t)
{
	bool good = true;

	for (uint32_t len = 0; good && len < 8; len += 7) {
		give_room(t, 1, len);
		good = tell(t, 0, DEVICE_READY, 1, 8) != SILENT && target_latched(t);
		target_start(t);
	}
	/* Large enough for a port, too small for its name. */
	give_room(t, 3, 8);
	good = good && tell(t, 0, DEVICE_READY, 1, 8) == 0 && heard(t, PORTS);
	good = good && tell(t, 0, PORT_READY, 1, 8) != SILENT && target_latched(t);
	target_start(t);
	return good && ports_come(t);
}

static bool answers_elsewhere(struct target *t)
{
	bool good = true;
	uint64_t a;

	for (unsigned i = 0; good && (a = bad_address(t, i)); i++) {
		vq_desc(&t->v.q[CONTROL_RX], 0, a, 64, VD_WRITE, 0);
		vq_offer(&t->v.q[CONTROL_RX], 0);
		good = tell(t, 0, DEVICE_READY, 1, 8) != SILENT && target_latched(t);
		target_start(t);
	}
	return good && ports_come(t);
}

/* Data on ports that were never opened, are closed under it, or do not exist for this driver. */
static bool ports_closed_under_data(struct target *t)
{
	struct vdesc d = { (uint64_t)t->buf + 4096, 256, 0, 0 }, r = { (uint64_t)t->buf + 8192, 256, VD_WRITE, 0 };
	bool good = target_ask(t, TX0, &d, 1) == 0 && target_ask(t, TX1, &d, 1) == 0;

	for (unsigned i = 0; good && i < 50; i++)
		good = tell(t, i % PORTS, PORT_OPEN, (uint16_t)(i / 2 % 2), 8) == 0 && target_ask(t, i % 2 ? TX1 : TX0, &d, 1) == 0;
	vq_desc(&t->v.q[RX1], 0, r.addr, r.len, r.flags, 0);
	vq_offer(&t->v.q[RX1], 0);
	vq_ring_bell(&t->v.q[RX1]);
	target_start_with(t, 0); /* without MULTIPORT there is one port, and no control */
	for (unsigned q = CONTROL_RX; q <= TX1; q++)
		for (unsigned i = 0; i < 20; i++) {
			vq_desc(&t->v.q[q], 0, d.addr, d.len, 0, 0);
			vq_offer(&t->v.q[q], 0);
			vq_ring_bell(&t->v.q[q]);
		}
	return good && target_ask(t, TX0, &d, 1) == 0 && t->v.q[CONTROL_TX].used->idx == 0 && ports_come(t);
}

const struct attack control_attacks[] = {
	{ "control messages that make no sense", WORKS, messages_that_make_no_sense, 0, false },
	{ "a control message in single bytes", WORKS, torn_message, 0, false },
	{ "a thousand questions before the first answer", WORKS, asks_a_thousand_times, 0, false },
	{ "no room for answers", WORKS, no_room_for_answers, 0, false },
	{ "answers to where there is no RAM", WORKS, answers_elsewhere, 0, false },
	{ "ports opened and closed under data", WORKS, ports_closed_under_data, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
