/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_unix_listen.c - listening at a path: its mode, what stands in the way of it, and a host that fails at each call.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"
#include "test_failing.h"
#include "unix_listen.h"

#define WHAT "the test socket"

struct place {
	char dir[32], path[48];
	struct sockaddr_un addr;
};

static void place_make(struct place *p)
{
	snprintf(p->dir, sizeof(p->dir), "/tmp/test_listen.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/sock", p->dir);
	ck_assert_int_eq(unix_address(&p->addr, p->path, 0, WHAT, NULL), 0);
}

static void place_remove(struct place *p)
{
	unlink(p->path);
	ck_assert_int_eq(rmdir(p->dir), 0);
}

static bool answers(const struct place *p)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = !connect(fd, (const struct sockaddr *)&p->addr, sizeof(p->addr));

	close(fd);
	return yes;
}

static void leave_behind(const struct place *p)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&p->addr, sizeof(p->addr)), 0);
	close(fd);
}

START_TEST(users_alone)
{
	static const mode_t masks[] = { 0, 022, 077 };

	for (unsigned i = 0; i < ARRAY_SIZE(masks); i++) {
		struct place p;
		struct stat st;
		mode_t old;
		int fd;

		place_make(&p);
		old = umask(masks[i]);
		fd = unix_listen(host_linux(), &p.addr, 4, false, WHAT, NULL);
		umask(old);
		ck_assert_int_ge(fd, 0);
		ck_assert(!stat(p.path, &st) && S_ISSOCK(st.st_mode));
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
		ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
		ck_assert(answers(&p));
		close(fd);
		place_remove(&p);
	}
}
END_TEST

START_TEST(taken)
{
	struct tvmm_error err;
	struct place p;
	struct stat st;
	int fd, second;

	place_make(&p);
	leave_behind(&p);
	fd = unix_listen(host_linux(), &p.addr, 4, false, WHAT, NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert(!stat(p.path, &st) && (st.st_mode & 07777) == 0600);
	ck_assert_int_eq(unix_listen(host_linux(), &p.addr, 4, false, WHAT, &err), -EADDRINUSE);
	ck_assert_int_eq(err.code, TVMM_E_BUSY);
	ck_assert_str_eq(err.message, "another process listens at the test socket");
	ck_assert_str_eq(err.object, p.path);
	ck_assert(answers(&p));
	second = unix_listen(host_linux(), &p.addr, 4, true, WHAT, NULL); /* who knows better need not ask */
	ck_assert_int_ge(second, 0);
	close(fd);
	ck_assert(answers(&p));
	close(second);
	place_remove(&p);
}
END_TEST

/* A file is not ours to remove, whatever the caller believes; nor is a link to a socket that nobody serves. */
START_TEST(no_socket)
{
	for (int abandoned = 0; abandoned < 2; abandoned++) {
		struct tvmm_error err;
		char beside[64];
		struct place p, other;

		place_make(&p);
		close(open(p.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		ck_assert_int_eq(unix_listen(host_linux(), &p.addr, 4, abandoned, WHAT, &err), -EEXIST);
		ck_assert_int_eq(err.code, TVMM_E_CONFIG);
		ck_assert_str_eq(err.message, "there is a file where the test socket is to be");
		ck_assert_int_eq(access(p.path, F_OK), 0);
		unlink(p.path);
		place_make(&other);
		leave_behind(&other);
		ck_assert_int_eq(symlink(other.path, p.path), 0);
		ck_assert_int_eq(unix_listen(host_linux(), &p.addr, 4, abandoned, WHAT, &err), -EEXIST);
		ck_assert_int_eq(access(other.path, F_OK), 0);
		place_remove(&other);
		snprintf(beside, sizeof(beside), "%s/none/sock", p.dir);
		ck_assert_int_eq(unix_address(&p.addr, beside, 0, WHAT, &err), 0);
		ck_assert_int_eq(unix_listen(host_linux(), &p.addr, 4, abandoned, WHAT, &err), -ENOENT);
		ck_assert_str_eq(err.message, "cannot make the test socket");
		place_remove(&p);
	}
}
END_TEST

START_TEST(lengths)
{
	struct sockaddr_un addr;
	struct tvmm_error err;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[sizeof(addr.sun_path) - 1] = '\0';
	ck_assert_int_eq(unix_address(&addr, path, 0, WHAT, &err), 0);
	ck_assert_str_eq(addr.sun_path, path);
	ck_assert_int_eq(unix_address(&addr, path, 1, WHAT, &err), -ENAMETOOLONG);
	ck_assert_int_eq(err.code, TVMM_E_CONFIG);
	ck_assert_str_eq(err.message, "the test socket's path is too long");
	ck_assert_str_eq(err.hint, "it may have 106 bytes");
	path[sizeof(addr.sun_path) - 1] = 'x';
	path[sizeof(addr.sun_path)] = '\0';
	ck_assert_int_eq(unix_address(&addr, path, 0, WHAT, &err), -ENAMETOOLONG);
}
END_TEST

/* ---- a host that fails ------------------------------------------------------------------------------------------ */

START_TEST(failures)
{
	struct host h = *host_linux();
	unsigned n, fds = count_fds();

	h.open = f_open; h.fstat = f_fstat; h.socket = f_socket; h.connect = f_connect; h.fchmod = f_fchmod; h.bind = f_bind;
	h.unlink = f_unlink; h.listen = f_listen;
	for (n = 1; n < 100; n++) {
		struct tvmm_error err = { 0 };
		struct place p;
		int fd;

		place_make(&p);
		leave_behind(&p);
		until_failure = n;
		fd = unix_listen(&h, &p.addr, 4, false, WHAT, &err);
		if (until_failure)
			break;
		ck_assert_int_lt(fd, 0);
		ck_assert(err.code && err.message[0]);
		ck_assert_uint_eq(count_fds(), fds);
		until_failure = 0;
		place_remove(&p);
	}
	ck_assert_uint_eq(n, 11); /* all ten of a socket that takes a dead one's place */
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { users_alone, taken, no_socket, lengths, failures, NULL };

	return test_main("unix_listen", tests);
}
