/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_console.c - bytes between a driver's buffers and a pipe, in both directions, with either side slow,
 * stubborn or reset in between.
 */
#include "virtio_console.h"
#include <poll.h>
#include <unistd.h>
#include "test_driver.h"
#include "test_host.h"

enum { RX, TX };

struct rig {
	struct td t;
	struct chardev chr;
	struct virtio_console con;
	int in, out; /* our ends */
};

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	int in[2], out[2];

	ck_assert_int_eq(pipe(in) | pipe(out), 0);
	td_init(&r->t);
	ck_assert_int_eq(chardev_init(&r->chr, "console", &r->t.loop, NULL, in[0], out[1], -1, NULL), 0);
	close(in[0]);
	close(out[1]);
	r->in = in[1];
	r->out = out[0];
	virtio_console_init(&r->con, "console", &r->chr, &r->t.mem, &r->t.loop, &r->t.log);
	r->chr.rx = &r->con.port[0].rx;
	td_start(&r->t, &r->con.dev, VIRTIO_F_EVENT_IDX);
	return r;
}

static void rig_free(struct rig *r)
{
	for (unsigned q = 0; q < 2; q++)
		ck_assert_uint_eq(r->con.dev.queue[q].vq.popped, r->con.dev.queue[q].vq.pushed);
	virtio_set_status(&r->con.dev, 0);
	virtio_console_fini(&r->con);
	chardev_fini(&r->chr);
	td_fini(&r->t);
	close(r->in);
	close(r->out);
	free(r);
}

/* Lets the loop and the queues work until there is nothing to do. */
static void settle(struct rig *r)
{
	do
		ck_assert_int_ge(loop_settle(&r->t.loop), 0);
	while (td_run(&r->t, RX) + td_run(&r->t, TX));
}

/* Reads all there is, which must count up from *NEXT. */
static size_t read_out(struct rig *r, uint8_t *next)
{
	struct pollfd p = { .fd = r->out, .events = POLLIN };
	uint8_t buf[4096];
	size_t total = 0;

	while (poll(&p, 1, 0) == 1) {
		ssize_t n = read(r->out, buf, sizeof(buf));

		for (ssize_t i = 0; i < n; i++)
			TD_ASSERT(buf[i] == (*next)++);
		total += (size_t)n;
		settle(r);
	}
	return total;
}

START_TEST(output)
{
	struct rig *r = rig_new();
	struct td_seg s[] = { td_out(&r->t, "hello", 5), td_out(&r->t, "", 0), td_out(&r->t, " world", 6) };
	char buf[32] = { 0 };
	uint32_t len;
	int head = td_offer(&r->t, &r->t.ring[TX], s, 3);

	td_kick(&r->t, TX);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[TX], &len), head);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(r->t.queue_irqs[TX], 1);
	settle(r);
	ck_assert_int_eq(read(r->out, buf, sizeof(buf)), 11);
	ck_assert_str_eq(buf, "hello world");
	/* Nothing to say, and a buffer that is no output: both come back. */
	s[0].len = 0;
	s[1] = td_in(&r->t, 10);
	td_offer(&r->t, &r->t.ring[TX], s, 2);
	td_kick(&r->t, TX);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[TX], &len), 0);
	rig_free(r);
}
END_TEST

/* The peer does not read: requests stay with the driver, and go on where they stopped, to the byte. */
START_TEST(output_stuck)
{
	struct rig *r = rig_new();
	enum { BIG = 300000, SMALL = 1000 };
	uint8_t *big = malloc(BIG), next = 0;
	unsigned offered = 0, used = 0;
	struct td_seg s;

	for (unsigned i = 0; i < BIG; i++)
		big[i] = (uint8_t)i;
	s = td_out(&r->t, big, BIG); /* more than ring and pipe together */
	td_offer(&r->t, &r->t.ring[TX], &s, 1);
	offered++;
	for (unsigned at = BIG; r->t.ring[TX].n_free; at += SMALL, offered++) {
		s = td_out(&r->t, big + at % 256, SMALL);
		td_offer(&r->t, &r->t.ring[TX], &s, 1);
	}
	td_kick(&r->t, TX);
	settle(r);
	td_kick(&r->t, TX); /* an impatient driver changes nothing */
	settle(r);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[TX], NULL), -1);

	ck_assert_uint_eq(read_out(r, &next), BIG + (offered - 1) * SMALL);
	while (td_take_used(&r->t, &r->t.ring[TX], NULL) >= 0)
		used++;
	ck_assert_uint_eq(used, offered);
	free(big);
	rig_free(r);
}
END_TEST

/* A reset while a request is half out: the next driver starts with its own first byte. */
START_TEST(output_reset)
{
	struct rig *r = rig_new();
	uint8_t *big = calloc(1, 300000), next = 1, buf[65536];
	struct td_seg s = td_out(&r->t, big, 300000);
	size_t zeroes = 0;

	td_offer(&r->t, &r->t.ring[TX], &s, 1);
	td_kick(&r->t, TX);
	settle(r);
	td_start(&r->t, &r->con.dev, VIRTIO_F_EVENT_IDX);
	s = td_out(&r->t, "\1\2\3", 3);
	td_offer(&r->t, &r->t.ring[TX], &s, 1);
	td_kick(&r->t, TX);
	while (zeroes < 300000) {
		ssize_t n, i = 0;

		settle(r);
		n = read(r->out, buf, sizeof(buf));
		ck_assert_int_gt(n, 0);
		while (i < n && !buf[i])
			i++;
		zeroes += (size_t)i;
		for (; i < n; i++)
			ck_assert_uint_eq(buf[i], next++);
		if (next == 4)
			break;
	}
	ck_assert_uint_ge(zeroes, 2 * CHARDEV_RING); /* the pipe's and the ring's */
	ck_assert_uint_lt(zeroes, 300000);
	free(big);
	rig_free(r);
}
END_TEST

START_TEST(input)
{
	struct rig *r = rig_new();
	struct td_seg s[2] = { td_in(&r->t, 3), td_in(&r->t, 4) };
	uint32_t len;

	ck_assert_int_eq(write(r->in, "0123456789", 10), 10);
	settle(r);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[RX], &len), -1);
	td_offer(&r->t, &r->t.ring[RX], s, 2); /* one buffer of two pieces */
	td_kick(&r->t, RX);
	settle(r);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX], &len), 0);
	ck_assert_uint_eq(len, 7);
	ck_assert_mem_eq(td_ptr(&r->t, s[0].addr), "012", 3);
	ck_assert_mem_eq(td_ptr(&r->t, s[1].addr), "3456", 4);
	ck_assert_uint_ge(r->t.queue_irqs[RX], 1);
	td_offer(&r->t, &r->t.ring[RX], s, 2);
	td_kick(&r->t, RX);
	settle(r);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX], &len), 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(td_ptr(&r->t, s[0].addr), "789", 3);
	rig_free(r);
}
END_TEST

/* More than anybody buffers: it arrives at the pace of the driver's buffers. */
START_TEST(input_flood)
{
	enum { TOTAL = 1 << 20 };
	struct rig *r = rig_new();
	size_t sent = 0, got = 0;
	uint8_t buf[4096];
	struct td_seg s[4];
	int heads[4];

	for (unsigned i = 0; i < 4; i++)
		s[i] = td_in(&r->t, 777);
	for (unsigned n = 0; got < TOTAL; n++) {
		struct pollfd p = { .fd = r->in, .events = POLLOUT };
		uint32_t len;

		while (sent < TOTAL && poll(&p, 1, 0) == 1) {
			for (unsigned i = 0; i < sizeof(buf); i++)
				buf[i] = (uint8_t)(sent + i);
			TD_ASSERT(write(r->in, buf, sizeof(buf)) == sizeof(buf));
			sent += sizeof(buf);
			settle(r);
		}
		for (unsigned i = 0; i < 4; i++)
			heads[i] = td_offer(&r->t, &r->t.ring[RX], &s[i], 1);
		td_kick(&r->t, RX);
		settle(r);
		for (unsigned i = 0; i < 4 && td_take_used(&r->t, &r->t.ring[RX], &len) == heads[i]; i++)
			for (uint32_t j = 0; j < len; j++)
				TD_ASSERT(((uint8_t *)td_ptr(&r->t, s[i].addr))[j] == (uint8_t)got++);
		if (got == TOTAL)
			break;
		ck_assert_uint_lt(n, TOTAL);
	}
	/* Buffers that are still out are the driver's loss. */
	td_start(&r->t, &r->con.dev, 0);
	rig_free(r);
}
END_TEST

/* Buffers that hold nothing come back empty, a turn's worth at a time, and do not hide a real one. */
START_TEST(input_empty_buffers)
{
	struct rig *r = rig_new();
	struct td_seg none = td_in(&r->t, 0), out = td_out(&r->t, "x", 1), in = td_in(&r->t, 8);
	unsigned n = 0;
	uint32_t len = 0;

	ck_assert_int_eq(write(r->in, "ok", 2), 2);
	while (r->t.ring[RX].n_free > 1) {
		td_offer(&r->t, &r->t.ring[RX], n % 2 ? &none : &out, 1);
		n++;
	}
	td_offer(&r->t, &r->t.ring[RX], &in, 1);
	td_kick(&r->t, RX);
	settle(r);
	while (n--) {
		ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX], &len), 0);
		ck_assert_uint_eq(len, 0);
	}
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX], &len), 0);
	ck_assert_uint_eq(len, 2);
	ck_assert_mem_eq(td_ptr(&r->t, in.addr), "ok", 2);
	rig_free(r);
}
END_TEST

START_TEST(broken_queue)
{
	struct rig *r = rig_new();
	struct td_seg s = { .addr = GPA(0), .len = 8, .in = true }; /* not RAM */

	td_offer(&r->t, &r->t.ring[RX], &s, 1);
	td_kick(&r->t, RX);
	ck_assert_int_eq(write(r->in, "input", 5), 5);
	settle(r);
	ck_assert(virtio_status(&r->con.dev) & VIRTIO_S_NEEDS_RESET);
	ck_assert_int_eq(loop_step(&r->t.loop), 0); /* what waits outside costs nothing */
	td_start(&r->t, &r->con.dev, 0);
	s = td_in(&r->t, 8);
	td_offer(&r->t, &r->t.ring[RX], &s, 1);
	td_kick(&r->t, RX);
	settle(r);
	ck_assert_mem_eq(td_ptr(&r->t, s.addr), "input", 5);
	rig_free(r);
}
END_TEST

START_TEST(size)
{
	struct rig *r = rig_new();
	uint8_t c[4];
	uint32_t generation = virtio_generation(&r->con.dev);

	ck_assert(virtio_features(&r->con.dev, 0) & 1);
	virtio_console_resize(&r->con, 132, 50);
	virtio_config_read(&r->con.dev, 0, c, 4);
	ck_assert_uint_eq(load_le16(c), 132);
	ck_assert_uint_eq(load_le16(c + 2), 50);
	ck_assert_uint_eq(r->t.config_irqs, 1);
	ck_assert_uint_ne(virtio_generation(&r->con.dev), generation);
	virtio_console_resize(&r->con, 132, 50); /* no change, no interrupt */
	ck_assert_uint_eq(r->t.config_irqs, 1);
	rig_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { output, output_stuck, output_reset, input, input_flood, input_empty_buffers,
					      broken_queue, size, NULL };

	return test_main("virtio_console", tests);
}
