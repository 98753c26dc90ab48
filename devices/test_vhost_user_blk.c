/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_vhost_user_blk.c - a disk whose queues a vhost-user server has (a small one of the test's): what it is told, resets, a
 * configuration that changes, answers that make no sense, and its end with requests under way.
 */
#include "vhost_user_blk.h"
#include <sys/eventfd.h>
#include <sys/mman.h>
#include "test_vhost_user.h"

static struct {
	struct td t;
	struct vhost_user *v;
	struct vhost_user_blk blk;
	int bell[VIRTIO_MAX_QUEUES], memfd;
	bool watched[VIRTIO_MAX_QUEUES];
	unsigned fds;
} k;

static int bell_fd(struct virtio_dev *dev, unsigned q)
{
	return k.bell[q];
}

static int bell_watch(struct virtio_dev *dev, unsigned q, bool watch)
{
	k.watched[q] = watch;
	return 0;
}

static void again(struct virtio_dev *dev, unsigned q)
{
	k.t.agains[q]++;
	ck_assert_int_eq(eventfd_write(k.bell[q], 1), 0);
}

static void begin_with(unsigned queues)
{
	memset(&k, 0, sizeof(k));
	k.fds = count_fds();
	td_init(&k.t);
	k.t.loop.host = &peer.th.h;
	k.memfd = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(vhost_user_open(&k.v, &peer.th.h, "/run/server", NULL), 0);
	ck_assert_int_eq(vhost_user_attach(k.v, &k.t.loop, &k.t.log, &k.t.mem, &k.memfd, NULL), 0);
	vhost_user_blk_init(&k.blk, "disk 0", k.v, queues, &k.t.mem, &k.t.loop, &k.t.log);
	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++) {
		k.bell[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		k.watched[q] = true;
	}
}

static void begin(void)
{
	peer_begin();
	begin_with(2);
}

/* The driver; then the server has its turn. */
static void start(void)
{
	td_setup(&k.t, &k.blk.dev, VIRTIO_F_EVENT_IDX | BIT_ULL(9) | BIT_ULL(12));
	k.t.transport.bell_fd = bell_fd;
	k.t.transport.bell_watch = bell_watch;
	k.t.transport.again = again;
	virtio_set_status(&k.blk.dev, 0xf);
	peer_serve();
	loop_step(&k.t.loop);
}

static void end(void)
{
	vhost_user_blk_fini(&k.blk);
	vhost_user_close(k.v);
	td_fini(&k.t);
	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++)
		close(k.bell[q]);
	close(k.memfd);
	peer_end();
	ck_assert_uint_eq(count_fds(), k.fds - 2); /* the server's, which were there before */
}

/* A read of one sector: header, data, status. */
static int offer(unsigned q, struct td_seg *status)
{
	static const uint8_t header[16];
	struct td_seg s[3] = { td_out(&k.t, header, sizeof(header)), td_in(&k.t, 512), td_in(&k.t, 1) };

	*(uint8_t *)td_ptr(&k.t, s[2].addr) = 0xff;
	*status = s[2];
	return td_offer(&k.t, &k.t.ring[q], s, 3);
}

static uint8_t status_at(const struct td_seg *s)
{
	return *(uint8_t *)td_ptr(&k.t, s->addr);
}

/* What the server does with a request. */
static void serve(unsigned q, int head, const struct td_seg *status)
{
	struct vring_used *used = td_used(&k.t, &k.t.ring[q]);

	*(uint8_t *)td_ptr(&k.t, status->addr) = 0;
	used->ring[used->idx % k.t.ring[q].size] = (struct vring_used_elem){ .id = (uint32_t)head, .len = 513 };
	used->idx++;
	ck_assert_int_eq(eventfd_write(peer.call[q], 1), 0);
}

static uint64_t capacity(void)
{
	uint8_t c[8];

	virtio_config_read(&k.blk.dev, 0, c, sizeof(c));
	return load_le64(c);
}

/* Two descriptors of one eventfd: what is written to one is read from the other. */
static bool is_same(int ours, int theirs)
{
	uint64_t n = 0;

	while (!eventfd_read(theirs, &n))
		;
	ck_assert_int_eq(eventfd_write(ours, 7), 0);
	return !eventfd_read(theirs, &n) && n == 7;
}

START_TEST(what_it_is_told)
{
	uint64_t features, table[5];
	struct stat st[2];
	uint32_t num[2];

	begin();
	start();
	ck_assert_uint_eq(k.blk.dev.n_queues, 2);
	memcpy(&features, peer.last[R_SET_FEATURES].payload, 8);
	ck_assert_uint_eq(features, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | BIT_ULL(30) | BIT_ULL(9) | BIT_ULL(12));
	ck_assert_uint_eq(peer.last[R_MEM].payload[0], 1);
	memcpy(table, peer.last[R_MEM].payload, sizeof(table));
	ck_assert_uint_eq(table[1], TD_BASE);
	ck_assert_uint_eq(table[2], TD_RAM);
	ck_assert_uint_eq(table[3], (uintptr_t)k.t.ram);
	ck_assert_uint_eq(table[4], 0);
	ck_assert(!fstat(peer.mem_fd, &st[0]) && !fstat(k.memfd, &st[1]) && st[0].st_ino == st[1].st_ino);
	for (unsigned r = R_NUM; r <= R_CALL; r++)
		ck_assert_uint_eq(peer.seen[r], r == R_STOP ? 0 : 2);
	ck_assert_uint_eq(peer.seen[R_ENABLE], 2);
	memcpy(num, peer.last[R_NUM].payload, 8);
	ck_assert(num[0] == 1 && num[1] == 256);
	memcpy(table, peer.last[R_ADDR].payload, sizeof(table));
	ck_assert_uint_eq(table[1], (uintptr_t)td_desc(&k.t, &k.t.ring[1]));
	ck_assert_uint_eq(table[2], (uintptr_t)td_used(&k.t, &k.t.ring[1]));
	ck_assert_uint_eq(table[3], (uintptr_t)td_avail(&k.t, &k.t.ring[1]));
	ck_assert(!k.watched[0] && !k.watched[1]);
	/* Rung once for what was there before. */
	ck_assert_uint_eq(k.t.agains[0], 1);
	ck_assert(is_same(k.bell[0], peer.kick[0]) && is_same(k.bell[1], peer.kick[1]));
	ck_assert(!k.v->gone && !k.v->count);
	end();
}
END_TEST

START_TEST(interrupts)
{
	struct td_seg s;
	int head;

	begin();
	start();
	head = offer(1, &s);
	serve(1, head, &s);
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(k.t.queue_irqs[1], 1);
	ck_assert_uint_eq(k.t.queue_irqs[0], 0);
	ck_assert_int_eq(td_take_used(&k.t, &k.t.ring[1], NULL), head);
	ck_assert_uint_eq(status_at(&s), 0);
	end();
}
END_TEST

/* The reset is over when the server has given its queues back. */
START_TEST(reset)
{
	begin();
	start();
	peer.absent = true;
	virtio_set_status(&k.blk.dev, 0);
	ck_assert(k.watched[0] && k.watched[1]);
	ck_assert_uint_ne(virtio_status(&k.blk.dev), 0);
	ck_assert(!virtio_is_quiet(&k.blk.dev));
	virtio_set_status(&k.blk.dev, 1); /* too early: ignored */
	peer.absent = false;
	peer_serve();
	ck_assert_uint_eq(peer.seen[R_STOP], 2);
	ck_assert_uint_eq(virtio_status(&k.blk.dev), 0);
	ck_assert(virtio_is_quiet(&k.blk.dev));
	/* Calls that were under way find nobody. */
	ck_assert_int_eq(eventfd_write(peer.call[0], 1), 0);
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(k.t.queue_irqs[0], 0);
	start();
	ck_assert_uint_eq(peer.seen[R_MEM], 2);
	ck_assert(!k.watched[0] && !k.v->gone);
	end();
}
END_TEST

/* A server that has gone while a reset waits for it lets it end. */
START_TEST(reset_without)
{
	begin();
	start();
	peer.absent = true;
	virtio_set_status(&k.blk.dev, 0);
	ck_assert_uint_ne(virtio_status(&k.blk.dev), 0);
	peer_hang_up();
	ck_assert_uint_eq(virtio_status(&k.blk.dev), 0);
	ck_assert(k.v->gone);
	end();
}
END_TEST

/* In the order in which they were offered: what is left is known, and fails, as does all that follows, and after a reset. */
START_TEST(gone)
{
	struct td_seg s[4];
	int head[4];

	begin();
	start();
	for (unsigned i = 0; i < 3; i++)
		head[i] = offer(0, &s[i]);
	serve(0, head[0], &s[0]);
	loop_settle(&k.t.loop);
	peer_hang_up();
	loop_settle(&k.t.loop);
	ck_assert(k.v->gone && k.watched[0] && k.watched[1]);
	ck_assert_msg(strstr(k.t.last_log, "the server is gone; all requests of this disk fail"), "%s", k.t.last_log);
	ck_assert_uint_eq(k.t.queue_irqs[0], 2);
	ck_assert_uint_eq(status_at(&s[0]), 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(td_take_used(&k.t, &k.t.ring[0], NULL), head[i]);
		ck_assert_uint_eq(status_at(&s[i]), i ? 1 : 0);
	}
	offer(0, &s[3]);
	td_kick(&k.t, 0);
	ck_assert_uint_eq(status_at(&s[3]), 1);
	ck_assert_uint_eq(k.t.queue_irqs[0], 3);
	ck_assert_uint_eq(virtio_status(&k.blk.dev), 0xf);
	start();
	offer(1, &s[3]);
	td_kick(&k.t, 1);
	ck_assert_uint_eq(status_at(&s[3]), 1);
	end();
}
END_TEST

/* Out of order: which are left cannot be told.  They stay, the device wants a reset, what comes now fails. */
START_TEST(gone_in_disorder)
{
	struct td_seg s[3], later;
	int head[3];

	begin();
	start();
	for (unsigned i = 0; i < 3; i++)
		head[i] = offer(0, &s[i]);
	serve(0, head[1], &s[1]);
	peer_hang_up();
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(status_at(&s[0]), 0xff);
	ck_assert_uint_eq(status_at(&s[2]), 0xff);
	ck_assert_uint_eq(virtio_status(&k.blk.dev), 0x4f);
	ck_assert_uint_eq(k.t.config_irqs, 1);
	offer(0, &later);
	td_kick(&k.t, 0);
	ck_assert_uint_eq(status_at(&later), 1);
	end();
}
END_TEST

/* Many rounds, so that the rings have been written over; and a driver that lies about its ring. */
START_TEST(gone_late)
{
	struct td_seg s[300];
	unsigned n = 0;

	begin();
	start();
	for (unsigned round = 0; round < 290; round++) {
		int head = offer(0, &s[n]);

		serve(0, head, &s[n++]);
		td_take_used(&k.t, &k.t.ring[0], NULL);
	}
	offer(0, &s[n++]);
	offer(0, &s[n]);
	offer(1, &s[n + 1]);
	td_avail(&k.t, &k.t.ring[1])->idx += 1000;
	peer_hang_up();
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(status_at(&s[n - 1]), 1);
	ck_assert_uint_eq(status_at(&s[n]), 1);
	ck_assert_uint_eq(status_at(&s[n + 1]), 0xff);
	ck_assert_uint_eq(virtio_status(&k.blk.dev), 0x4f);
	end();
}
END_TEST

/* Each of what it is asked, with each answer that is wrong: it is over, and nothing of it is left. */
START_TEST(wrong_answers)
{
	static const enum wrong wrong[] = { HANGS_UP, CUT, OTHER_REQUEST, OTHER_VERSION, NO_REPLY_FLAG, TOO_LONG, ONE_SHORT, ENDLESS,
					    NACK, TWICE };
	static const uint32_t at[] = { R_SET_FEATURES, R_MEM, R_NUM, R_BASE, R_ADDR, R_CALL, R_KICK, R_ENABLE, R_STOP };

	for (unsigned a = 0; a < ARRAY_SIZE(at); a++) {
		for (unsigned w = 0; w < ARRAY_SIZE(wrong); w++) {
			struct td_seg s;

			begin();
			peer.wrong_at = at[a];
			peer.wrong = at[a] == R_STOP && wrong[w] == NACK ? OTHER_RING : wrong[w];
			peer.cut = 15;
			start();
			if (at[a] == R_STOP)
				virtio_set_status(&k.blk.dev, 0);
			peer_serve();
			loop_settle(&k.t.loop);
			ck_assert_msg(k.v->gone, "request %u, wrong %u", at[a], wrong[w]);
			ck_assert(k.watched[0] && k.watched[1] && !k.v->stops);
			ck_assert_uint_eq(virtio_status(&k.blk.dev) & 0xf, at[a] == R_STOP ? 0 : 0xf);
			if (at[a] != R_STOP) {
				offer(1, &s);
				td_kick(&k.t, 1);
				ck_assert_uint_eq(status_at(&s), 1);
			}
			end();
		}
	}
}
END_TEST

/* It does not read: what the socket cannot take is the end of it, not a reason to wait. */
START_TEST(does_not_read)
{
	struct td_seg s;
	unsigned n;

	begin();
	ck_assert_int_eq(setsockopt(k.v->sock.fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int)), 0);
	peer.absent = true;
	start();
	ck_assert(k.v->gone && k.watched[0]);
	ck_assert(strstr(k.t.last_log, "does not read what it is told"));
	offer(0, &s);
	td_kick(&k.t, 0);
	ck_assert_uint_eq(status_at(&s), 1);
	end();

	/* With room in the socket, as usual, a whole start fits, for as many queues as there can be. */
	peer_begin();
	peer.queues = peer.config[34] = VIRTIO_MAX_QUEUES;
	begin_with(VIRTIO_MAX_QUEUES);
	peer.absent = true;
	td_setup(&k.t, &k.blk.dev, BIT_ULL(12));
	k.t.transport.bell_fd = bell_fd;
	k.t.transport.bell_watch = bell_watch;
	k.t.transport.again = again;
	virtio_set_status(&k.blk.dev, 0xf);
	virtio_set_status(&k.blk.dev, 0);
	ck_assert(!k.v->gone && k.v->stops == VIRTIO_MAX_QUEUES);
	peer.absent = false;
	peer_serve();
	for (n = 0; !vhost_user_is_idle(k.v) && n < 10; n++)
		;
	ck_assert(!k.v->gone && !k.v->stops && !k.v->count);
	end();
}
END_TEST

static void say_on_channel(uint32_t request, uint32_t flags, uint32_t len, size_t bytes)
{
	uint8_t m[300] = { 0 };

	memcpy(m, (uint32_t[]){ request, flags, len }, 12);
	ck_assert_int_eq(send(peer.channel, m, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

START_TEST(configuration_changes)
{
	struct peer_message m;
	uint8_t queues[2];

	begin();
	start();
	ck_assert_uint_eq(capacity(), 200);
	virtio_config_read(&k.blk.dev, 34, queues, 2);
	ck_assert_uint_eq(load_le16(queues), 2); /* ours, of their 4 */
	peer.config[0] = 240;
	say_on_channel(2, 1, 0, 12);
	say_on_channel(2, 1 | 8, 0, 12);
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(peer.seen[R_CONFIG], 1);
	peer_serve();
	ck_assert_uint_eq(peer.seen[R_CONFIG], 2); /* one question for both */
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(capacity(), 240);
	ck_assert_uint_eq(k.t.config_irqs, 1);
	ck_assert_int_eq(recv(peer.channel, &m, 20, MSG_DONTWAIT), 20);
	ck_assert(m.request == 2 && m.flags == 5 && m.len == 8 && !m.payload[0]);
	/* The same again is no news; what is not known is told so, if it asks. */
	vhost_user_refresh(k.v);
	say_on_channel(77, 1 | 8, 20, 32);
	loop_settle(&k.t.loop);
	peer_serve();
	loop_settle(&k.t.loop);
	ck_assert_uint_eq(k.t.config_irqs, 1);
	ck_assert_int_eq(recv(peer.channel, &m, 20, MSG_DONTWAIT), 20);
	ck_assert(m.request == 77 && m.payload[0] == 1);
	ck_assert(!k.v->gone);
	end();
}
END_TEST

/* Nonsense on the channel ends the channel, and no more. */
START_TEST(nonsense_on_channel)
{
	static const uint32_t t[][2] = { { 1, UINT32_MAX }, { 2, 0 }, { 1, 73 } };

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		begin();
		start();
		say_on_channel(2, t[i][0], t[i][1], 12);
		loop_settle(&k.t.loop);
		ck_assert(k.v->channel.fd < 0 && !k.v->gone);
		end();
	}
	begin();
	start();
	close(peer.channel);
	peer.channel = -1;
	loop_settle(&k.t.loop);
	ck_assert(k.v->channel.fd < 0 && !k.v->gone);
	end();
}
END_TEST

/* Other features than the core's, and a configuration that is wrong: the driver sees what the server has, within bounds. */
START_TEST(what_the_driver_sees)
{
	peer_begin();
	peer.features &= ~(VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	peer.features |= BIT_ULL(5) | BIT_ULL(11) | BIT_ULL(33) | BIT_ULL(34);
	begin_with(8);
	ck_assert_uint_eq(k.blk.dev.n_queues, 4);
	ck_assert_uint_eq(k.blk.dev.features, VIRTIO_F_VERSION_1 | BIT_ULL(2) | BIT_ULL(5) | BIT_ULL(9) | BIT_ULL(12));
	end();

	peer_begin();
	peer.config[34] = 0;
	begin_with(8);
	ck_assert_uint_eq(k.blk.dev.n_queues, 1);
	ck_assert(!(k.blk.dev.features & BIT_ULL(12)));
	end();
}
END_TEST

/* Without REPLY_ACK it is asked where it must answer, and nowhere else. */
START_TEST(no_acknowledgements)
{
	peer_begin();
	peer.proto = BIT_ULL(0) | BIT_ULL(9);
	begin_with(2);
	start();
	ck_assert_uint_eq(peer.last[R_MEM].flags, 1);
	ck_assert(!k.v->gone && !k.v->count);
	virtio_set_status(&k.blk.dev, 0);
	peer_serve();
	ck_assert_uint_eq(virtio_status(&k.blk.dev), 0);
	end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { what_it_is_told, interrupts, reset, reset_without, gone, gone_in_disorder, gone_late, wrong_answers,
				       does_not_read, configuration_changes, nonsense_on_channel, what_the_driver_sees, no_acknowledgements,
				       NULL };

	return test_main("vhost_user_blk", tests);
}
