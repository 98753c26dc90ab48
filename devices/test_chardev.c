/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_chardev.c - output: bytes arrive once and in order whatever the peer is; a peer that is slow, stuck or gone neither
 * blocks, spins nor grows anything; descriptors of others keep their flags and offsets.  Input: test_chardev_input.c.
 */
#include <pthread.h>
#include <signal.h>
#include "test_chardev.h"

START_TEST(output_pipe)
{
	int p[2];
	struct rig *r;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	put_str(r, "hello ");
	put_str(r, "world");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	expect_read(p[0], "hello world");
	ck_assert_int_eq(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0); /* not ours to change */
	ck_assert_uint_eq(r->c.out.chunk, CHARDEV_RING);        /* opened again, not guarded */
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

static void stuck_then_read(int out, int peer, bool reopen_fails)
{
	struct rig *r;
	struct pollfd p = { .events = POLLIN };
	uint8_t put_next = 0, read_next = 0;
	size_t put = 0;

	if (reopen_fails) {
		/* As rig_new(), on a host where /proc/self/fd cannot be opened. */
		r = calloc(1, sizeof(*r));
		r->open_fds = count_fds();
		test_host_init(&r->th);
		test_host_fail(&r->th, OP_OPEN, 1, EACCES);
		ck_assert_int_eq(evloop_init(&r->l, &r->th.h, NULL), 0);
		ck_assert_int_eq(chardev_init(&r->c, "console", &r->l, NULL, -1, out, -1, NULL), 0);
		ck_assert_uint_lt(r->c.out.chunk, CHARDEV_RING);
		r->c.drained[1] = on_drained;
		r->c.drained_arg[1] = &r->drained;
	} else {
		r = rig_new(-1, out, -1);
	}

	do {
		p.fd = r->l.epfd;
		put += fill(r, &put_next); /* a pseudo-terminal has room again once the kernel has passed it on */
	} while (poll(&p, 1, 200));
	ck_assert_uint_ge(put, CHARDEV_RING);
	ck_assert_uint_lt(put, 4 << 20);
	ck_assert_uint_eq(chardev_room(&r->c), 0);
	ck_assert_uint_eq(r->drained, 0);
	ck_assert_int_eq(loop_step(&r->l), 0); /* stuck costs nothing */

	read_all(r, peer, &read_next, put);
	ck_assert_uint_eq(r->drained, 1);
	ck_assert_uint_eq(chardev_room(&r->c), CHARDEV_RING);
	ck_assert_uint_eq(r->c.dropped, 0);

	put = fill(r, &put_next); /* once more, with the ring's start elsewhere */
	read_all(r, peer, &read_next, put);
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
}

START_TEST(output_stuck_pipe)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	stuck_then_read(p[1], p[0], _i);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(output_stuck_socket)
{
	int s[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	stuck_then_read(s[1], s[0], false);
	ck_assert_int_eq(fcntl(s[1], F_GETFL) & O_NONBLOCK, 0);
	close(s[0]);
	close(s[1]);
}
END_TEST

START_TEST(output_stuck_pty)
{
	int m, s;

	open_pty(&m, &s);
	stuck_then_read(s, m, _i);
	close(m);
	close(s);
}
END_TEST

/* The master must not be opened again: that would be the master of another pair. */
START_TEST(pty_master)
{
	int m, s;
	struct rig *r;

	open_pty(&m, &s);
	r = rig_new(m, m, -1);
	r->sink.room = 100;
	put_str(r, "ab");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	await(s, POLLIN);
	expect_read(s, "ab");
	ck_assert_int_eq(write(s, "\0\1\2", 3), 3);
	await(m, POLLIN);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 3);
	rig_free(r);
	close(m);
	close(s);
}
END_TEST

/* Forgets the SIGPIPE that is held back by the mask, if there is one. */
static void take_sigpipe(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

START_TEST(output_peer_gone)
{
	int fd[2];
	struct rig *r;
	uint8_t buf[4096] = { 0 };
	sigset_t pending;
	size_t put = 0;

	if (_i == 0)
		ck_assert_int_eq(pipe(fd), 0);
	else if (_i == 1)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	else
		open_pty(&fd[0], &fd[1]);
	r = rig_new(-1, fd[1], -1);
	put_str(r, "x");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_close(r, fd[0]);
	ck_assert_int_eq(loop_step(&r->l), 0); /* an idle console does not even look */
	for (unsigned i = 0; i < 1000; i++) {
		put += chardev_put(&r->c, buf, sizeof(buf));
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_uint_eq(put, 1000 * sizeof(buf));
	sigpending(&pending);
	ck_assert(_i == 0 || !sigismember(&pending, SIGPIPE)); /* a pipe's writer cannot say that it wants none */
	take_sigpipe();
	ck_assert_uint_eq(r->c.dropped, put);
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
	close(fd[1]);
}
END_TEST

/* What a peer did not take before it went is dropped, and nobody waits for room: whichever end hears of it first. */
START_TEST(output_stuck_then_gone)
{
	uint8_t next = 0, buf[4096] = { 0 };
	struct rig *r;
	size_t put;
	int s[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	r = rig_new(s[1], s[1], -1);
	r->sink.room = 100;
	rig_close(r, s[1]);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	put = fill(r, &next);
	ck_assert_uint_ge(put, CHARDEV_RING);
	ck_assert_uint_eq(chardev_room(&r->c), 0);
	rig_close(r, s[0]);
	if (_i) { /* the input hears of it before the output's turn comes */
		ck_assert(r->c.in.src.events);
		r->c.in.src.ready(&r->c.in.src, EPOLLIN | EPOLLHUP);
	}
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert(!chardev_has_peer(&r->c));
	ck_assert_uint_eq(r->drained, 1);
	ck_assert_uint_eq(chardev_room(&r->c), CHARDEV_RING);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(chardev_put(&r->c, buf, sizeof(buf)), sizeof(buf));
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
}
END_TEST

START_TEST(output_file)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int fd = mkstemp(path), append = open(path, O_WRONLY | O_APPEND);
	struct rig *r;

	/* Its offset goes on, before us and after us. */
	ck_assert_int_eq(write(fd, "one,", 4), 4);
	r = rig_new(-1, fd, -1);
	ck_assert(r->c.out.direct);
	put_str(r, "two,");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_free(r);
	ck_assert_int_eq(write(fd, "three,", 6), 6);
	r = rig_new(-1, append, -1);
	put_str(r, "four");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_free(r);
	lseek(fd, 0, SEEK_SET);
	expect_read(fd, "one,two,three,four");
	close(append);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(output_disk_full)
{
	int fd = open("/dev/full", O_WRONLY);
	struct rig *r = rig_new(-1, fd, -1);
	uint8_t next = 0;
	uint8_t buf[5000] = { next };

	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(chardev_put(&r->c, buf, sizeof(buf)), sizeof(buf));
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_uint_eq(r->c.dropped, 500000);
	ck_assert_int_ge(r->c.out.src.fd, 0); /* there may be room again */
	rig_free(r);
	close(fd);
}
END_TEST

static void collect(void *arg, const uint8_t *buf, size_t len)
{
	ck_assert(counts_up(buf, len, arg));
}

START_TEST(watch_and_log)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int log = mkstemp(path), p[2];
	struct rig *r;
	uint8_t put_next = 0, read_next = 0, seen_next = 0, log_next = 0;
	size_t put;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], log);
	r->c.watch = collect;
	r->c.watch_arg = &seen_next;
	put = fill(r, &put_next);
	ck_assert_uint_eq(seen_next, put_next);
	ck_assert_uint_lt(lseek(log, 0, SEEK_CUR), put); /* what is not out yet is not in the copy either */
	read_all(r, p[0], &read_next, put);
	ck_assert_uint_eq(lseek(log, 0, SEEK_CUR), put);
	lseek(log, 0, SEEK_SET);
	read_all(r, log, &log_next, put);
	rig_free(r);
	close(p[0]);
	close(p[1]);
	close(log);
	unlink(path);
}
END_TEST

START_TEST(log_without_output)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int log = mkstemp(path);
	struct rig *r = rig_new(-1, -1, log);

	r->th.max_io = 3;
	r->th.fail_fd = log;
	test_host_fail(&r->th, OP_WRITEV, 2, EINTR);
	put_str(r, "kept");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	lseek(log, 0, SEEK_SET);
	expect_read(log, "kept");

	test_host_fail(&r->th, OP_WRITEV, 1, ENOSPC);
	put_str(r, "lost");
	put_str(r, "lost");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	put_str(r, "lost");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->th.calls[OP_WRITEV], 1);
	expect_read(log, "");
	rig_free(r);
	close(log);
	unlink(path);
}
END_TEST

START_TEST(drain_slow_and_gone)
{
	int p[2];
	struct rig *r;
	uint8_t next = 0, buf[4096];
	sigset_t set;
	size_t total, got = 0;
	ssize_t n;

	/* Stuck: gives up at the limit, and says how much it dropped. */
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	total = fill(r, &next);
	chardev_drain(&r->c, 20);
	ck_assert_uint_eq(r->c.dropped, CHARDEV_RING);
	ck_assert_uint_eq(chardev_room(&r->c), CHARDEV_RING);
	rig_free(r);
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		got += (size_t)n;
	ck_assert_uint_eq(got, total - CHARDEV_RING);
	close(p[0]);

	/* Gone, on a thread where SIGPIPE would kill. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	take_sigpipe();
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	put_str(r, "x");
	rig_close(r, p[0]);
	chardev_drain(&r->c, 1000);
	ck_assert_uint_eq(r->c.dropped, 1);
	rig_free(r);
	close(p[1]);
	sigpending(&set);
	ck_assert(!sigismember(&set, SIGPIPE));

	/* Room in the pipe: all out at once, even without patience. */
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	put_str(r, "last words");
	chardev_drain(&r->c, 0);
	expect_read(p[0], "last words");
	rig_free(r);
	close(p[0]);
	close(p[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}
END_TEST

static void *put_many(void *arg)
{
	struct rig *r = arg;
	size_t done = 0;

	while (done < 1 << 20) {
		uint8_t buf[64];

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(done + i);
		done += chardev_put(&r->c, buf, sizeof(buf));
	}
	return NULL;
}

/* The real loop on its thread, a putting thread, and a reader. */
START_TEST(threads)
{
	int p[2];
	struct rig *r;
	pthread_t t;
	size_t got = 0;
	uint8_t buf[777], next = 0;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	r->th.h = *host_linux(); /* ours counts for one thread alone */
	ck_assert_int_eq(evloop_start(&r->l, "loop", NULL), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, put_many, r), 0);
	while (got < 1 << 20) {
		ssize_t n = read(p[0], buf, sizeof(buf));

		ck_assert_int_gt(n, 0);
		ck_assert(counts_up(buf, (size_t)n, &next));
		got += (size_t)n;
	}
	pthread_join(t, NULL);
	evloop_stop(&r->l);
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(every_failure_of_init)
{
	int in[2], out[2], before, done = 0;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	before = count_fds();
	for (unsigned at = 1; !done; at++) {
		struct test_host th;
		struct evloop l;
		struct chardev *c = calloc(1, sizeof(*c));
		struct tvmm_error err = { 0 };
		int ret;

		test_host_init(&th);
		ck_assert_int_eq(evloop_init(&l, &th.h, NULL), 0);
		test_host_fail(&th, OP_ANY, at, ENOMEM);
		ret = chardev_init(c, "console", &l, NULL, in[0], out[1], -1, &err);
		done = th.calls[OP_ANY] < at;
		if (ret)
			ck_assert_uint_gt(strlen(err.message), 0);
		else
			chardev_fini(c);
		evloop_fini(&l);
		free(c);
		ck_assert_uint_eq(count_fds(), before);
		ck_assert_uint_lt(at, 100);
	}
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chardev");
	TCase *tc = tcase_create("chardev");
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE); /* as on the loop's thread */
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	tcase_add_test(tc, output_pipe);
	tcase_add_loop_test(tc, output_stuck_pipe, 0, 2);
	tcase_add_test(tc, output_stuck_socket);
	tcase_add_loop_test(tc, output_stuck_pty, 0, 2);
	tcase_add_test(tc, pty_master);
	tcase_add_loop_test(tc, output_peer_gone, 0, 3);
	tcase_add_loop_test(tc, output_stuck_then_gone, 0, 2);
	tcase_add_test(tc, output_file);
	tcase_add_test(tc, output_disk_full);
	tcase_add_test(tc, watch_and_log);
	tcase_add_test(tc, log_without_output);
	tcase_add_test(tc, drain_slow_and_gone);
	tcase_add_test(tc, threads);
	tcase_add_test(tc, every_failure_of_init);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
