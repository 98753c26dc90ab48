/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_chardev_input.c - what comes in arrives once and in order, as fast as the receiver has room and no faster, from
 * every kind of descriptor, to its end.
 */
#include "test_chardev.h"

START_TEST(input_in_portions)
{
	enum { TOTAL = 300000 };
	int fd[2];
	struct rig *r;
	uint8_t buf[1000], next = 0;
	size_t sent = 0;

	if (_i == 0)
		ck_assert_int_eq(pipe(fd), 0);
	else if (_i == 1)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	else
		open_pty(&fd[0], &fd[1]);
	if (_i == 2) {
		int m = fd[0]; /* read from the slave, write to the master */

		fd[0] = fd[1];
		fd[1] = m;
	}
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	r = rig_new(fd[0], -1, -1);
	while (r->sink.got < TOTAL) {
		size_t got = r->sink.got;
		size_t n = MIN(sizeof(buf), TOTAL - sent);
		ssize_t w;

		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)(next + i);
		w = write(fd[1], buf, n);
		if (w > 0) {
			sent += (size_t)w;
			next = (uint8_t)(next + w);
		}
		ck_assert_int_ge(loop_settle(&r->l), 0);
		ck_assert_uint_eq(r->sink.got, got); /* no room, no reading, no spinning */
		await(fd[0], POLLIN);
		r->sink.room = 997;
		chardev_rx_ready(&r->c);
		ck_assert_int_ge(loop_settle(&r->l), 0);
		ck_assert_uint_gt(r->sink.got, got);
		r->sink.room = 0;
		/* A read that found no room again pauses; one that filled it has not looked yet. */
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert(!r->sink.wrong);
	ck_assert_uint_eq(r->sink.got, TOTAL);
	ck_assert_int_eq(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
	rig_free(r);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

/* The machine is rebuilt for a reboot: for a while there is nobody who receives. */
START_TEST(input_without_receiver)
{
	int p[2];
	struct rig *r;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(p[0], -1, -1);
	r->sink.room = 1;
	r->c.rx = NULL;
	ck_assert_int_eq(write(p[1], "\0\1\2", 3), 3);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	r->c.rx = &r->sink.rx;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 1);

	r->c.rx = NULL;
	chardev_rx_ready(&r->c);
	put_str(r, "kicks as well");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	r->c.rx = &r->sink.rx;
	r->sink.room = 10;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 3);

	r->c.rx = NULL; /* goes while its descriptor is watched */
	ck_assert_int_eq(write(p[1], "\3", 1), 1);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	r->c.rx = &r->sink.rx;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 4);
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

static size_t growing_room(struct chardev_rx *rx)
{
	struct sink *s = (struct sink *)rx;

	s->room = 20000;
	return s->asked++ % 2 ? 20000 : 100; /* a guest on another CPU makes room at any moment */
}

START_TEST(input_room_grows)
{
	int p[2];
	struct rig *r;
	uint8_t buf[40000];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(write(p[1], buf, sizeof(buf)), sizeof(buf));
	r = rig_new(p[0], -1, -1);
	r->sink.rx.room = growing_room;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, sizeof(buf));
	ck_assert(!r->sink.wrong);
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(input_end)
{
	int p[2], null = open("/dev/null", O_RDONLY);
	struct rig *r;

	/* A hang-up while the receiver has no room must neither spin nor lose what was sent before it. */
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(p[0], -1, -1);
	ck_assert_int_eq(write(p[1], "\0\1\2\3", 4), 4);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_close(r, p[1]);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 0);
	r->sink.room = 3;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 3);
	r->sink.room = 3;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 4);
	ck_assert_int_eq(r->c.in.src.fd, -1);
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
	close(p[0]);

	r = rig_new(null, null, -1);
	r->sink.room = 10;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(r->c.in.src.fd, -1);
	rig_free(r);
	close(null);
}
END_TEST

START_TEST(input_file)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int fd = mkstemp(path);
	uint8_t buf[10000];
	struct rig *r;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	ck_assert_int_eq(write(fd, buf, sizeof(buf)), sizeof(buf));
	lseek(fd, 0, SEEK_SET);
	r = rig_new(fd, -1, -1);
	r->sink.room = 9000;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 9000);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 9000);
	r->sink.room = 9000;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, sizeof(buf));
	ck_assert(!r->sink.wrong);
	rig_free(r);
	close(fd);
	unlink(path);
}
END_TEST

/* A background job's read of its terminal: EIO with no hang-up.  Not the end, and no spinning. */
START_TEST(input_background)
{
	int m, s;
	struct rig *r;

	open_pty(&m, &s);
	r = rig_new(s, -1, -1);
	r->sink.room = 100;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(write(m, "\0\1", 2), 2);
	await(s, POLLIN);
	r->th.fail_fd = r->c.in.src.fd;
	r->th.fail_on = true;
	test_host_fail(&r->th, OP_READV, 1, EIO);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_le(r->th.calls[OP_READV], 2);
	r->th.fail_op = OP_NONE; /* in the foreground again */
	ck_assert_int_eq(loop_settle(&r->l), 0);
	ck_assert_int_eq(write(m, "\2", 1), 1);
	while (r->sink.got < 3) {
		await(r->l.epfd, POLLIN);
		loop_step(&r->l);
	}
	rig_close(r, m);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(r->c.in.src.fd, -1);
	rig_free(r);
	close(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chardev_input");
	TCase *tc = tcase_create("chardev_input");

	tcase_add_loop_test(tc, input_in_portions, 0, 3);
	tcase_add_test(tc, input_without_receiver);
	tcase_add_test(tc, input_room_grows);
	tcase_add_test(tc, input_end);
	tcase_add_test(tc, input_file);
	tcase_add_test(tc, input_background);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
