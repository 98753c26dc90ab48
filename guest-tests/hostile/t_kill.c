/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_kill.c - a process with a machine in it is killed (SIGKILL) again and again while its guest writes, and after each
 * kill the image must hold every write whose flush the guest has reported, and no sector that nobody wrote.
 *
 * What this shows: a flush or a write that is answered before it is done, done out of order, or left in a buffer of
 * ours.  What it cannot show: that fdatasync() reaches the medium, for the page cache outlives a process.  That there is
 * one fdatasync() for each flush is therefore counted, by strace where it can be had.
 *
 * Arguments: how many kills (or TVMM_KILLS in the environment; else 30), and the seed (else the time).
 * "child IMAGE FROM ROUNDS" is what it calls itself with.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>
#include "harness.h"
#include "kill.h"

#define SECTORS 16384u

static char self[4096], image[64];
static uint64_t safe[SECTORS]; /* the last round that wrote this sector and was reported flushed */

/* The process that will be killed: a machine, with its console on stdout. */
static int child(char **argv)
{
	struct tvmm_config *cfg = tvmm_config_new();
	struct tvmm_result r = { .size = sizeof(r) };
	struct tvmm_error err;
	struct tvmm_vm *vm;
	char append[96], console[32];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(append, sizeof(append), "from=%s rounds=%s", argv[3], argv[4]);
	snprintf(console, sizeof(console), "fd=%d:1", null);
	if (!cfg || tvmm_config_set(cfg, "kernel", payload_path("payload_kill"), &err) || tvmm_config_set(cfg, "memory", "64", &err) ||
	    tvmm_config_set(cfg, "no-defaults", "on", &err) || tvmm_config_set(cfg, "append", append, &err) ||
	    tvmm_config_set(cfg, "console", console, &err) || tvmm_config_set(cfg, "disk", argv[2], &err) ||
	    tvmm_vm_create(&vm, cfg, &err) || tvmm_vm_start(vm, &err)) {
		fprintf(stderr, "# %s: %s\n", err.message, err.object);
		return 2;
	}
	tvmm_vm_wait(vm, -1, &r);
	tvmm_vm_free(vm);
	tvmm_config_free(cfg);
	return r.reason == TVMM_POWEROFF ? 0 : 1;
}

/* Starts it, with its console in *OUT.  TRACE: under strace, which writes there. */
static pid_t spawn(uint64_t from, unsigned rounds, const char *trace, int *out)
{
	char f[24], n[24];
	int p[2];
	pid_t pid;

	snprintf(f, sizeof(f), "%llu", (unsigned long long)from);
	snprintf(n, sizeof(n), "%u", rounds);
	if (pipe2(p, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		if (trace) /* without io_uring: what a ring does, strace does not see */
			execlp("strace", "strace", "-f", "-qq", "-e", "trace=fdatasync,pwritev,pwritev2,pwrite64,io_uring_setup", "-e",
			       "inject=io_uring_setup:error=EPERM", "-e", "signal=none", "-o", trace,
			       self, "child", image, f, n, (char *)NULL);
		else
			execl(self, self, "child", image, f, n, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	*out = p[0];
	return pid;
}

/* Every round up to R was flushed: so says a line "F R". */
static void now_safe(uint64_t from, uint64_t r)
{
	for (; from <= r; from++)
		for (unsigned e = 0; e < KILL_EXTENTS; e++)
			for (unsigned i = 0; i < kill_length(from, e); i++)
				safe[kill_place(from, e, SECTORS) + i] = from;
}

struct tally { unsigned lost, torn; uint64_t newest; };

/* Looks at each sector: whole, in its place, and not older than what was reported. */
static struct tally judge(void)
{
	struct tally t = { 0 };
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	const struct kill_sector *s = mmap(NULL, SECTORS * 512, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	for (unsigned i = 0; s != MAP_FAILED && i < SECTORS; i++) {
		bool empty = s[i].magic == 0 && s[i].round == 0;

		if (!empty && (s[i].magic != KILL_MAGIC || s[i].sector != i || s[i].sum != kill_sum(&s[i])))
			t.torn++;
		else if (s[i].round < safe[i])
			t.lost++;
		if (s[i].round > t.newest)
			t.newest = s[i].round;
	}
	if (s == MAP_FAILED)
		t.lost = SECTORS;
	else
		munmap((void *)s, SECTORS * 512);
	return t;
}

/* Reads reports until the end of the pipe, or until DEADLINE, when it kills.  The last whole report, 0: none. */
static uint64_t listen_and_kill(pid_t pid, int out, int after_ms, unsigned *reports)
{
	long long deadline = 0, limit = now_ms() + LIMIT_MS;
	static char buf[1 << 20];
	size_t len = 0;
	uint64_t last = 0;
	bool killed = false;

	*reports = 0;
	for (;;) {
		struct pollfd p = { .fd = out, .events = POLLIN };
		long long now = now_ms();
		ssize_t n;

		if (!killed && ((deadline && now >= deadline) || now >= limit)) {
			kill(pid, SIGKILL);
			killed = true;
		}
		poll(&p, 1, killed ? 1000 : 1);
		n = p.revents ? read(out, buf + len, sizeof(buf) - 1 - len) : 0;
		if (p.revents && n <= 0)
			break;
		len += (size_t)n;
		/* The time runs from the first report: a machine that is killed before it wrote shows little. */
		if (!deadline && after_ms >= 0 && memchr(buf, '\n', len))
			deadline = now_ms() + after_ms;
	}
	close(out);
	buf[len] = 0;
	for (char *l = buf, *end; (end = strchr(l, '\n')); l = end + 1) {
		if (!strncmp(l, "F ", 2)) {
			last = strtoull(l + 2, NULL, 10);
			++*reports;
		} else if (!strncmp(l, "not ok", 6)) {
			ok(false, "%.*s", (int)(end - l), l);
		}
	}
	return last;
}

static void kill_loop(unsigned kills, unsigned seed)
{
	unsigned long reports = 0, lost = 0, torn = 0, silent = 0;
	uint64_t next = 1;

	srand(seed);
	for (unsigned i = 0; i < kills; i++) {
		struct tally t;
		unsigned n;
		int out;
		pid_t pid = spawn(next, 0, NULL, &out);
		uint64_t last = listen_and_kill(pid, out, rand() % 60, &n);

		waitpid(pid, NULL, 0);
		if (last)
			now_safe(next, last);
		t = judge();
		reports += n;
		silent += n == 0;
		lost += t.lost;
		torn += t.torn;
		if (t.lost || t.torn)
			note("kill %u, rounds %llu to %llu: %u sectors lost, %u damaged", i, (unsigned long long)next,
			     (unsigned long long)last, t.lost, t.torn);
		/* Rounds that were not reported may be there in part: they are not used again. */
		next = (t.newest > last ? t.newest : last) + 2;
	}
	note("%u kills, %lu flushes reported", kills, reports);
	ok(silent <= kills / 10, "the guest was at work when it was killed (not so: %lu times)", silent);
	ok(reports >= kills, "it had flushed before, %lu times", reports);
	ok(lost == 0, "%u kills: no write that was flushed is lost (%lu sectors)", kills, lost);
	ok(torn == 0, "%u kills: no sector is damaged (%lu)", kills, torn);
}

static unsigned count_lines(const char *path, const char *what)
{
	FILE *f = fopen(path, "re");
	char line[512];
	unsigned n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, what) && !strstr(line, "resumed>");
	if (f)
		fclose(f);
	return n;
}

/* One fdatasync() for each flush, no more and no fewer; the writes are there, too. */
static void count_syncs(void)
{
	char trace[] = "/tmp/t_kill_trace_XXXXXX";
	unsigned reports, syncs;
	int out, status = 0, fd = mkstemp(trace);
	pid_t pid;

	if (fd >= 0)
		close(fd);
	pid = spawn(1000000, 50, trace, &out);
	listen_and_kill(pid, out, -1, &reports);
	waitpid(pid, &status, 0);
	syncs = count_lines(trace, "fdatasync(");
	if (!WIFEXITED(status) || status) {
		if (!count_lines(trace, "pwrite"))
			skip("flushes are counted", "strace is not there, or may not trace");
		else
			ok(false, "the guest under strace ends by power-off");
	} else {
		ok(reports == 50 && syncs == reports, "%u flushes seen by the guest, %u fdatasync() made", reports, syncs);
		ok(count_lines(trace, "pwrite") >= 50 * KILL_EXTENTS, "%u writes", count_lines(trace, "pwrite"));
	}
	unlink(trace);
}

int main(int argc, char **argv)
{
	const char *env = getenv("TVMM_KILLS");
	int kills = argc > 1 ? atoi(argv[1]) : env ? atoi(env) : 30, fd;
	unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : (unsigned)time(NULL);

	if (argc == 5 && !strcmp(argv[1], "child"))
		return child(argv);
	tests_begin();
	note("%d kills, seed %u", kills, seed);
	/* In memory if possible: what is not shown here anyway would take most of the time (see above). */
	snprintf(image, sizeof(image), "%s/t_kill_XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	fd = mkstemp(image);
	if (!ok(fd >= 0 && ftruncate(fd, SECTORS * 512) == 0 && readlink("/proc/self/exe", self, sizeof(self) - 1) > 0, "image made"))
		return tests_end();
	close(fd);
	kill_loop(kills > 0 ? (unsigned)kills : 30, seed);
	count_syncs();
	unlink(image);
	return tests_end();
}
