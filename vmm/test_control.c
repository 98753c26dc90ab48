/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_control.c - the control socket and its client, on a machine that is none: structures there and back, and clients
 * that are slow, dead, rude or too many.  What is answered to which call: test_control_calls.c.
 */
#include "control.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "bits.h"
#include "control_calls.h"
#include "control_fields.h"
#include "host.h"
#include "metrics.h"
#include "test.h"
#include "test_failing.h"
#include "test_stub_vm.h"

/* ---- the socket ------------------------------------------------------------------------------------------------- */

struct fixture {
	struct tvmm_vm vm;
	struct control *control;
	struct host host;
	char dir[64], path[96], lock[104], long_path[109];
};

static int open_on(struct fixture *f, const struct host *host, struct tvmm_error *err)
{
	struct control_desc d = { .host = host, .vm = &f->vm, .path = f->path, .name = "web", .cpus = 2 };

	return control_create(&f->control, &d, err);
}

static void start(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->vm.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->vm.stats.ns_to_run = 1;
	snprintf(f->dir, sizeof(f->dir), "/tmp/test_control_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	snprintf(f->lock, sizeof(f->lock), "%s/sock.lock", f->dir);
}

static void finish(struct fixture *f)
{
	control_destroy(f->control);
	close(f->vm.end_fd);
	ck_assert_int_eq(rmdir(f->dir), 0); /* socket and lock are gone */
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return a;
}

static int dial(struct fixture *f)
{
	struct sockaddr_un a = address(f->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Reads to the next NUL, or the end; how many bytes it had. */
static size_t hear(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size && read(fd, buf + n, 1) == 1 && buf[n++])
		;
	return n;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text) + 1, MSG_NOSIGNAL), (ssize_t)strlen(text) + 1);
}

START_TEST(place)
{
	struct fixture f, g;
	struct tvmm_error err;
	struct stat st;
	struct sockaddr_un a;
	int fd;

	start(&f);
	a = address(f.path);
	/* A socket that a dead process left behind. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	ck_assert_int_eq(open_on(&f, host_linux(), &err), 0);
	ck_assert(stat(f.path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
	g = f;
	ck_assert_int_eq(open_on(&g, host_linux(), &err), -EBUSY);
	ck_assert_str_eq(err.message, "another machine has this control socket");
	ck_assert_int_eq(err.code, TVMM_E_BUSY);
	close(dial(&f)); /* the refusal did not harm it */
	control_destroy(f.control);
	f.control = NULL;
	ck_assert_int_eq(access(f.path, F_OK), -1);
	/* What is not a socket is not ours to remove. */
	close(open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(open_on(&f, host_linux(), &err), -EEXIST);
	ck_assert_int_eq(err.code, TVMM_E_CONFIG);
	unlink(f.path);
	g = f;
	/* The folder is made, the one above it is not. */
	snprintf(g.path, sizeof(g.path), "%.40s/none/none/sock", f.dir);
	ck_assert_int_eq(open_on(&g, host_linux(), &err), -ENOENT);
	snprintf(g.path, sizeof(g.path), "%.40s/none/sock", f.dir);
	ck_assert_int_eq(open_on(&g, host_linux(), &err), 0);
	control_destroy(g.control);
	snprintf(g.path, sizeof(g.path), "%.40s/none", f.dir);
	ck_assert(stat(g.path, &st) == 0 && (st.st_mode & 0777) == 0700 && rmdir(g.path) == 0);
	((char *)memset(g.long_path, '/', sizeof(g.long_path)))[sizeof(g.long_path) - 1] = '\0';
	ck_assert_int_eq(control_create(&g.control, &(struct control_desc){ .host = host_linux(), .vm = &g.vm, .path = g.long_path,
			 .name = "web" }, &err), -ENAMETOOLONG);
	finish(&f);
}
END_TEST

START_TEST(typed)
{
	struct tvmm_counters k = { .size = sizeof(k) };
	static char metrics[METRICS_MAX];
	struct fixture f;
	struct tvmm_client *c;
	struct tvmm_error err;
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_stats s = { .size = sizeof(s) };
	struct tvmm_info i = { .size = sizeof(i) };
	const char *reply;
	char text[64];
	uint64_t *word;

	start(&f);
	f.vm.memory = (struct tvmm_memory){ .weight = 7, .reclaim = 2, .driver = true, .stall_permille = 3, .pressure = "green",
					    .decision = "a \"reason\"" };
	word = &f.vm.memory.configured;
	for (unsigned n = 0; n < 16; n++)
		word[n] = UINT64_MAX - n;
	f.vm.memory.size = sizeof(m);
	f.vm.stats = (struct tvmm_stats){ sizeof(s), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	f.vm.description = "kernel    k\ncpus      2\n";
	ck_assert_int_eq(open_on(&f, host_linux(), NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, &err), 0);

	ck_assert_int_eq(tvmm_client_memory(c, &m, &err), 0);
	ck_assert_mem_eq(&m, &f.vm.memory, sizeof(m));
	ck_assert_int_eq(tvmm_client_stats(c, &s, &err), 0);
	ck_assert_mem_eq(&s, &f.vm.stats, sizeof(s));
	ck_assert_int_eq(tvmm_client_info(c, &i, &err), 0);
	ck_assert_str_eq(i.name, "web");
	ck_assert_str_eq(i.version, "1.2.3");
	ck_assert_int_eq(i.pid, getpid());
	ck_assert_int_eq(i.state, TVMM_STATE_RUNNING);
	ck_assert_uint_eq(i.cpus, 2);
	ck_assert_int_eq(tvmm_client_describe(c, text, sizeof(text), &err), 0);
	ck_assert_str_eq(text, "kernel    k\ncpus      2\n");
	ck_assert_int_eq(tvmm_client_kvm_counters(c, &k, &err), -EOPNOTSUPP);
	ck_assert_uint_eq(k.count, 0);
	f.vm.counters = (struct tvmm_counters){ sizeof(k), 3, { { "exits", UINT64_MAX }, { "io_exits", 2 }, { "fpu_reload", 3 } } };
	ck_assert_int_eq(tvmm_client_kvm_counters(c, &k, &err), 0);
	ck_assert_mem_eq(&k, &f.vm.counters, sizeof(k));
	ck_assert_int_eq(tvmm_client_metrics(c, metrics, sizeof(metrics), &err), 0);
	ck_assert_ptr_nonnull(strstr(metrics, "tinyvmm_vcpu_exits_total{name=\"web\",reason=\"io\"} 2\n"));
	ck_assert_int_eq(tvmm_client_metrics(c, metrics, 64, &err), -ENOBUFS);
	ck_assert_int_eq(tvmm_client_set_memory(c, 1ull << 40, &err), 0);
	ck_assert_uint_eq(f.vm.bytes, 1ull << 40);
	ck_assert_int_eq(tvmm_client_trim_memory(c, &err), 0);
	ck_assert_uint_eq(f.vm.trims, 1);
	ck_assert_int_eq(tvmm_client_disk_refresh(c, 0, &err), 0);
	ck_assert_uint_eq(f.vm.refreshed, 1);
	ck_assert_int_eq(tvmm_client_request(c, TVMM_REQ_POWER_BUTTON, &err), 0);
	ck_assert_int_eq(f.vm.request, TVMM_REQ_POWER_BUTTON);
	ck_assert_int_eq(tvmm_client_request(c, 99, &err), -EINVAL);
	/* Errors as in the machine's own process. */
	ck_assert_int_eq(tvmm_client_set_memory(c, 2, &err), -EOPNOTSUPP);
	ck_assert(err.code == TVMM_E_UNSUPPORTED && err.sys_errno == EOPNOTSUPP && !strcmp(err.object, "memory") &&
		  !strcmp(err.message, "reclaim is off"));
	/* Any call; and calls that are wrong. */
	ck_assert_int_eq(tvmm_client_call(c, "SetMemory", "{\"bytes\":5}", &reply, &err), 0);
	ck_assert_str_eq(reply, "{}");
	ck_assert_int_eq(tvmm_client_call(c, "org.tinyvmm.VM.No", NULL, &reply, &err), -EOPNOTSUPP);
	ck_assert_str_eq(err.object, "org.tinyvmm.VM.No");
	ck_assert_int_eq(tvmm_client_call(c, "Stop", "{}},{", &reply, &err), -EINVAL);
	ck_assert_int_eq(tvmm_client_call(c, "Stop", "[]", &reply, &err), -EINVAL);
	ck_assert_int_eq(f.vm.request, TVMM_REQ_POWER_BUTTON);
	tvmm_client_close(c);
	ck_assert_int_eq(tvmm_client_open(&c, "/tmp/test_control/nothing", &err), -ENOENT);
	tvmm_client_close(NULL);
	finish(&f);
}
END_TEST

/* A structure of a smaller caller and of a larger one. */
START_TEST(sizes)
{
	struct {
		struct tvmm_stats s;
		uint64_t more;
	} large = { .s.size = sizeof(large), .more = 9 };
	struct tvmm_stats small = { .size = offsetof(struct tvmm_stats, exits_pio), .exits_pio = 9 };
	struct fixture f;
	struct tvmm_client *c;

	start(&f);
	f.vm.stats = (struct tvmm_stats){ sizeof(f.vm.stats), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	ck_assert_int_eq(open_on(&f, host_linux(), NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	ck_assert_int_eq(tvmm_client_stats(c, &large.s, NULL), 0);
	ck_assert(large.s.memory_configured == 7 && large.more == 0 && large.s.size == sizeof(large));
	ck_assert_int_eq(tvmm_client_stats(c, &small, NULL), 0);
	ck_assert(small.exits_user == 1 && small.exits_pio == 9);
	tvmm_client_close(c);
	finish(&f);
}
END_TEST

/* The end is told to who waits, whether it comes by itself or because the machine is taken away. */
static void told(bool by_descriptor)
{
	struct tvmm_result r = { .size = sizeof(r) };
	struct tvmm_client *c, *d;
	struct tvmm_error err;
	struct fixture f;

	start(&f);
	ck_assert_int_eq(open_on(&f, host_linux(), NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&d, f.path, NULL), 0);
	ck_assert_int_eq(tvmm_client_wait(c, 0, &r, &err), -ETIMEDOUT);
	ck_assert_int_eq(tvmm_client_trim_memory(c, &err), -EBUSY);
	ck_assert_int_eq(tvmm_client_trim_memory(d, &err), 0); /* by then the machine has seen the other's call */
	f.vm.ended = true;
	if (by_descriptor) {
		ck_assert_int_eq(eventfd_write(f.vm.end_fd, 1), 0);
	} else {
		control_destroy(f.control);
		f.control = NULL;
	}
	ck_assert_int_eq(tvmm_client_wait(c, 10000, &r, &err), 0);
	ck_assert_int_eq(r.reason, TVMM_POWEROFF);
	ck_assert_str_eq(r.detail, "the guest powered off");
	if (by_descriptor) {
		ck_assert_int_eq(tvmm_client_trim_memory(c, &err), 0);
	} else {
		ck_assert_int_eq(tvmm_client_trim_memory(d, &err), -EPIPE);
	}
	tvmm_client_close(c);
	tvmm_client_close(d);
	finish(&f);
}

START_TEST(the_end_is_told)
{
	told(true);
	told(false);
}
END_TEST

START_TEST(one_who_never_reads)
{
	static const char call[] = "{\"method\":\"org.tinyvmm.VM.Describe\"}";
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_client *c;
	struct fixture f;
	int fd;

	start(&f);
	ck_assert_int_eq(open_on(&f, host_linux(), NULL), 0);
	fd = dial(&f);
	while (send(fd, call, sizeof(call), MSG_DONTWAIT) > 0 || errno == EAGAIN) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (poll(&p, 1, 300) == 0) /* nothing moves any more */
			break;
	}
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(tvmm_client_memory(c, &m, NULL), 0);
	tvmm_client_close(c);
	ck_assert_uint_lt(f.vm.calls, 100000); /* it is not served without end */
	control_destroy(f.control); /* nor waited for */
	f.control = NULL;
	close(fd);
	finish(&f);
}
END_TEST

START_TEST(rude_ones)
{
	static char flood[3 * CONTROL_MESSAGE_MAX];
	static char buf[CONTROL_REPLY_MAX];
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_client *c;
	struct fixture f;
	int fd;

	start(&f);
	ck_assert_int_eq(open_on(&f, host_linux(), NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	/* Garbage: an answer, then the end. */
	fd = dial(&f);
	say(fd, "HELO");
	ck_assert_uint_gt(hear(fd, buf, sizeof(buf)), 1);
	ck_assert_ptr_nonnull(strstr(buf, "BadMessage"));
	ck_assert_uint_eq(hear(fd, buf, sizeof(buf)), 0);
	close(fd);
	/* No end of a message. */
	fd = dial(&f);
	memset(flood, 'a', sizeof(flood));
	send(fd, flood, sizeof(flood), MSG_NOSIGNAL);
	hear(fd, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "too long"));
	close(fd);
	/* Half a call and gone; a whole one and gone. */
	fd = dial(&f);
	send(fd, "{\"meth", 6, MSG_NOSIGNAL);
	close(fd);
	fd = dial(&f);
	say(fd, "{\"method\":\"org.tinyvmm.VM.Describe\"}");
	close(fd);
	/* Several calls in one piece, byte by byte the next. */
	fd = dial(&f);
	memcpy(flood, "{\"method\":\"a.b\"}\0{\"method\":\"c.d\"}\0{\"method\":\"e", 46);
	send(fd, flood, 46, MSG_NOSIGNAL);
	hear(fd, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "a.b"));
	hear(fd, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "c.d"));
	for (const char *p = ".f\"}"; *p; p++)
		send(fd, p, 1, MSG_NOSIGNAL);
	send(fd, "", 1, MSG_NOSIGNAL);
	hear(fd, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "e.f"));
	close(fd);
	ck_assert_int_eq(tvmm_client_memory(c, &m, NULL), 0);
	tvmm_client_close(c);
	finish(&f);
}
END_TEST

/* The ones that do nothing make room; those that wait do not. */
START_TEST(too_many)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_client *c;
	struct tvmm_error err;
	struct fixture f;
	int fd[40];

	start(&f);
	ck_assert_int_eq(open_on(&f, host_linux(), NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = dial(&f);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	ck_assert_int_eq(tvmm_client_memory(c, &m, &err), 0);
	tvmm_client_close(c);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	for (unsigned i = 0; i < 8; i++) {
		char buf[256];

		fd[i] = dial(&f);
		say(fd[i], "{\"method\":\"a.b\"}");
		ck_assert_uint_gt(hear(fd[i], buf, sizeof(buf)), 0); /* it has its place */
		say(fd[i], "{\"method\":\"org.tinyvmm.VM.Wait\"}");
	}
	/* Each may be evicted until its call has been read: so a ninth is tried until it is refused. */
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
		int ret = tvmm_client_memory(c, &m, &err);
		tvmm_client_close(c);
		if (ret)
			break;
	}
	ck_assert_msg(strstr(err.message, "TooManyClients") || err.sys_errno == EPIPE, "%s", err.message);
	for (unsigned i = 0; i < 8; i++)
		close(fd[i]);
	finish(&f);
}
END_TEST

/* ---- a host that fails ------------------------------------------------------------------------------------------ */

START_TEST(creation_fails)
{
	struct fixture f;
	struct tvmm_error err;
	unsigned n, fds;

	start(&f);
	f.host = *host_linux();
	f.host.open = f_open; f.host.fcntl = f_fcntl; f.host.socket = f_socket; f.host.fchmod = f_fchmod; f.host.bind = f_bind;
	f.host.listen = f_listen; f.host.eventfd = f_eventfd; f.host.epoll_create = f_epoll_create;
	f.host.timerfd = f_timerfd; f.host.epoll_ctl = f_epoll_ctl;
	fds = count_fds();
	for (n = 1; n < 100; n++) {
		int ret;

		until_failure = n;
		err = (struct tvmm_error){ 0 };
		ret = open_on(&f, &f.host, &err);
		if (until_failure) /* nothing failed: all have had their turn */
			break;
		if (ret) {
			ck_assert(err.code && err.message[0]);
		} else {
			control_destroy(f.control); /* it failed where it could do without */
		}
		f.control = NULL;
		ck_assert_uint_eq(count_fds(), fds);
		ck_assert_int_eq(access(f.path, F_OK), -1);
		unlink(f.lock); /* its owner could not be sure that it was his */
	}
	ck_assert_uint_ge(n, 12);
	finish(&f);
}
END_TEST

/* A host without descriptors: the client is taken later. */
START_TEST(accept_fails)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_client *c;
	struct fixture f;

	start(&f);
	f.host = *host_linux();
	f.host.accept = f_accept;
	until_failure = 1;
	ck_assert_int_eq(open_on(&f, &f.host, NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	ck_assert_int_eq(tvmm_client_memory(c, &m, NULL), 0);
	ck_assert_uint_eq(until_failure, 0);
	tvmm_client_close(c);
	finish(&f);
}
END_TEST

static _Atomic bool loop_fails;

static int f_epoll_wait(const struct host *h, int ep, struct epoll_event *evs, int max, int ms)
{
	return loop_fails ? -EINVAL : host_linux()->epoll_wait(h, ep, evs, max, ms);
}

/* A loop that ends: who is there hears an end, who comes is turned away, and the machine goes on. */
START_TEST(loop_ends)
{
	struct tvmm_memory m = { .size = sizeof(m) };
	struct tvmm_client *c;
	struct tvmm_error err;
	struct fixture f;

	start(&f);
	f.host = *host_linux();
	f.host.epoll_wait = f_epoll_wait;
	ck_assert_int_eq(open_on(&f, &f.host, NULL), 0);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, NULL), 0);
	ck_assert_int_eq(tvmm_client_memory(c, &m, NULL), 0);
	loop_fails = true;
	ck_assert_int_le(tvmm_client_memory(c, &m, NULL), 0); /* it was answered before the loop ended */
	ck_assert_int_eq(tvmm_client_memory(c, &m, &err), -EPIPE);
	tvmm_client_close(c);
	ck_assert_int_eq(tvmm_client_open(&c, f.path, &err), -ECONNREFUSED);
	ck_assert_str_eq(err.message, "no machine listens there");
	loop_fails = false;
	finish(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { place, typed, sizes, the_end_is_told, one_who_never_reads, rude_ones, too_many, creation_fails,
				       accept_fails, loop_ends, NULL };

	return test_main("control", tests);
}
