/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pressure.c - opening, reading and parsing the host's figures; see the header.  Owns its descriptors and one buffer.
 */
#include "pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"

/* ---- parsers ------------------------------------------------------------------------------------------------------ */

/* Digits at *S, at least one; moves past them.  False if there are none, or too many for 64 bits. */
static bool take_number(const char **s, uint64_t *out)
{
	uint64_t v = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; ++*s)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			return false;
	*out = v;
	return true;
}

bool pressure_field(const char *text, const char *key, uint64_t *out)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n'), line += line ? 1 : 0) {
		const char *s = line + len;
		uint64_t v;

		if (strncmp(line, key, len) || (*s != ' ' && *s != '\t'))
			continue;
		s += strspn(s, " \t");
		if (!take_number(&s, &v))
			return false;
		if (!strncmp(s, " kB", 3) && __builtin_mul_overflow(v, 1024, &v))
			return false;
		*out = v;
		return true;
	}
	return false;
}

bool pressure_number(const char *text, uint64_t *out)
{
	if (!strncmp(text, "max", 3) && (!text[3] || text[3] == '\n')) {
		*out = UINT64_MAX;
		return true;
	}
	return take_number(&text, out) && (!*text || *text == '\n');
}

static bool psi_line(const char *text, const char *kind, uint64_t *total)
{
	const char *line = strstr(text, kind), *end, *s;

	if (!line || (line != text && line[-1] != '\n'))
		return false;
	end = strchrnul(line, '\n');
	s = strstr(line, " total=");
	if (!s || s > end)
		return false;
	s += strlen(" total=");
	return take_number(&s, total);
}

bool pressure_psi(const char *text, struct psi *out)
{
	struct psi p = { .known = true };

	if (!psi_line(text, "some ", &p.some_us))
		return false;
	psi_line(text, "full ", &p.full_us);
	*out = p;
	return true;
}

/* Is WORD among the comma-separated words of LEN bytes at LIST? */
static bool has_word(const char *list, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = list, *end = list + len; s < end;) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		size_t w = (size_t)((comma ? comma : end) - s);

		if (w == n && !memcmp(s, word, n))
			return true;
		s += w + 1;
	}
	return false;
}

bool pressure_group_path(const char *text, bool v2, char *out, unsigned len)
{
	/* Lines are ID:CONTROLLERS:PATH; v2 is "0::PATH". */
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
		const char *end = strchrnul(line, '\n'), *a = memchr(line, ':', (size_t)(end - line)), *b;
		size_t n;

		b = a ? memchr(a + 1, ':', (size_t)(end - a - 1)) : NULL;
		if (!b || (v2 ? b != a + 1 : !has_word(a + 1, (size_t)(b - a - 1), "memory")))
			continue;
		n = (size_t)(end - b - 1);
		/* Outside our namespace a path goes up: it cannot be followed from here. */
		if (!n || b[1] != '/' || n >= len || memmem(b + 1, n, "/..", 3))
			return false;
		memcpy(out, b + 1, n);
		out[n] = '\0';
		return true;
	}
	return false;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static bool read_file(struct pressure *p, int fd)
{
	size_t n = 0;

	if (fd < 0)
		return false;
	while (n < PRESSURE_FILE) {
		struct iovec iov = { p->buf + n, PRESSURE_FILE - n };
		ssize_t got = p->host->preadv(p->host, fd, &iov, 1, (off_t)n);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	p->buf[n] = '\0';
	return n > 0;
}

static bool read_number(struct pressure *p, int fd, uint64_t *out)
{
	return read_file(p, fd) && pressure_number(p->buf, out);
}

static int open_in(const struct host *h, const char *dir, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -1;
	return h->open(h, path, O_RDONLY, 0);
}

/* Our own group and those above it, as far as they have a limit to read. */
static void open_levels(struct pressure *p, const char *mount, char *path)
{
	const struct host *h = p->host;
	char dir[PATH_MAX];

	while (p->n < PRESSURE_LEVELS) {
		struct pressure_level *l = &p->level[p->n];
		char *slash;

		if ((size_t)snprintf(dir, sizeof(dir), "%s%s", mount, path) >= sizeof(dir))
			return;
		l->limit = open_in(h, dir, p->v2 ? "memory.max" : "memory.limit_in_bytes");
		if (l->limit >= 0) {
			l->high = p->v2 ? open_in(h, dir, "memory.high") : -1;
			l->usage = open_in(h, dir, p->v2 ? "memory.current" : "memory.usage_in_bytes");
			l->stat = open_in(h, dir, "memory.stat");
			p->n++;
			if (p->v2 && p->group_psi < 0)
				p->group_psi = open_in(h, dir, "memory.pressure");
		}
		slash = strrchr(path, '/');
		if (!slash || !path[1])
			return;
		slash[slash == path] = '\0'; /* "/a/b" -> "/a" -> "/" */
	}
}

static void open_groups(struct pressure *p, const char *root)
{
	char mount[PATH_MAX], path[PATH_MAX];
	int fd;
	bool found;

	snprintf(mount, sizeof(mount), "%s/proc/self/cgroup", root);
	fd = p->host->open(p->host, mount, O_RDONLY, 0);
	found = read_file(p, fd);
	if (fd >= 0)
		p->host->close(p->host, fd);
	if (!found)
		return;
	if (pressure_group_path(p->buf, false, path, sizeof(path))) {
		snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/memory", root);
		open_levels(p, mount, path);
	} else if (pressure_group_path(p->buf, true, path, sizeof(path))) {
		p->v2 = true;
		snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
		open_levels(p, mount, path);
	}
}

void pressure_open(struct pressure *p, const struct host *host, const char *root)
{
	char dir[256];

	*p = (struct pressure){ .host = host, .group_psi = -1 };
	snprintf(dir, sizeof(dir), "%s/proc", root);
	p->meminfo = open_in(host, dir, "meminfo");
	p->psi = open_in(host, dir, "pressure/memory");
	p->status = open_in(host, dir, "self/status");
	open_groups(p, root);
}

static void close_fd(const struct host *h, int fd)
{
	if (fd >= 0)
		h->close(h, fd);
}

void pressure_close(struct pressure *p)
{
	if (!p->host)
		return;
	close_fd(p->host, p->meminfo);
	close_fd(p->host, p->psi);
	close_fd(p->host, p->status);
	close_fd(p->host, p->group_psi);
	for (unsigned i = 0; i < p->n; i++) {
		close_fd(p->host, p->level[i].limit);
		close_fd(p->host, p->level[i].high);
		close_fd(p->host, p->level[i].usage);
		close_fd(p->host, p->level[i].stat);
	}
	p->host = NULL;
}

static void read_host(struct pressure *p, struct pressure_sample *s)
{
	uint64_t free = 0;

	if (read_file(p, p->meminfo)) {
		s->host.known = pressure_field(p->buf, "MemTotal:", &s->host.total) && s->host.total &&
				pressure_field(p->buf, "MemAvailable:", &s->host.available) &&
				s->host.available <= s->host.total;
		s->swap_known = pressure_field(p->buf, "SwapFree:", &free);
		s->swap_free = free;
	}
	if (read_file(p, p->psi))
		pressure_psi(p->buf, &s->host.psi);
	if (!read_file(p, p->status) || !pressure_field(p->buf, "VmSwap:", &s->own_swap))
		s->own_swap = 0;
}

/* One level's room: below the tighter of its limits, counting page cache that is not in use as free. */
static bool read_level(struct pressure *p, const struct pressure_level *l, uint64_t ceiling, struct supply *out)
{
	uint64_t limit, high, usage, cache = 0;

	if (!read_number(p, l->limit, &limit) || !read_number(p, l->usage, &usage))
		return false;
	if (read_number(p, l->high, &high))
		limit = MIN(limit, high);
	if (!limit || limit >= ceiling) /* none, or no tighter than the host */
		return false;
	if (read_file(p, l->stat) && !pressure_field(p->buf, "total_inactive_file", &cache))
		pressure_field(p->buf, "inactive_file", &cache);
	usage -= MIN(usage, cache);
	*out = (struct supply){ .known = true, .total = limit, .available = limit - MIN(limit, usage) };
	return true;
}

void pressure_read(struct pressure *p, struct pressure_sample *s)
{
	memset(s, 0, sizeof(*s));
	read_host(p, s);
	for (unsigned i = 0; i < p->n; i++) {
		struct supply l;

		if (!read_level(p, &p->level[i], s->host.known ? s->host.total : INT64_MAX, &l))
			continue;
		/* The tightest by the share of it that is left; as products, which 64 bits may not hold. */
		if (!s->group.known || (__uint128_t)l.available * s->group.total <
				       (__uint128_t)s->group.available * l.total)
			s->group = l;
	}
	if (s->group.known && read_file(p, p->group_psi))
		pressure_psi(p->buf, &s->group.psi);
}
