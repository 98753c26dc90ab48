/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client.c - the other end of a control socket: tvmm_client_*() of tinyvmm.h.
 *
 * In the process that looks at a machine, on the caller's thread; starts no thread, keeps no state but the connection.
 * What comes from the socket is as little trusted as what goes into it: bounded, parsed whole, read by name.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "bits.h"
#include "control_calls.h"
#include "control_fields.h"
#include "error.h"

#define CALL_MS 10000
#define INTERFACE "org.tinyvmm.VM."

struct tvmm_client {
	const struct host *host;
	int fd;
	int patience_ms;
	bool waits;     /* the call of tvmm_client_wait() is out */
	char path[108];
	size_t len;     /* bytes read so far of the answer */
	char call[CONTROL_MESSAGE_MAX + 1];
	char answer[CONTROL_REPLY_MAX];
	char reply[CONTROL_REPLY_MAX];
	struct json doc; /* of the answer */
};

static int no_machine(const char *path, int sys_errno, struct tvmm_error *err)
{
	bool none = sys_errno == ENOENT || sys_errno == ECONNREFUSED;

	return err_set(err, TVMM_E_IO, sys_errno, path, none ? "no machine listens there" : "cannot connect to the machine");
}

int tvmm_client_open(struct tvmm_client **out, const char *path, struct tvmm_error *err)
{
	const struct host *h = host_linux();
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct tvmm_client *c;
	int ret;

	if (strlen(path) >= sizeof(addr.sun_path))
		return no_machine(path, ENAMETOOLONG, err);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	c = malloc(sizeof(*c));
	if (!c)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, NULL, "out of memory");
	c->host = h;
	c->patience_ms = CALL_MS;
	c->waits = false;
	c->len = 0;
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->fd = h->socket(h, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ret = c->fd < 0 ? c->fd : h->connect(h, c->fd, (const struct sockaddr *)&addr, sizeof(addr));
	/* The queue of those who wish to connect is full: there is no descriptor to wait on. */
	for (unsigned i = 0; ret == -EAGAIN && i < CALL_MS / 10; i++) {
		h->poll(h, NULL, 0, 10);
		ret = h->connect(h, c->fd, (const struct sockaddr *)&addr, sizeof(addr));
	}
	if (ret) {
		tvmm_client_close(c);
		return no_machine(path, -ret, err);
	}
	*out = c;
	return 0;
}

void tvmm_client_close(struct tvmm_client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		c->host->close(c->host, c->fd);
	free(c);
}

void tvmm_client_set_timeout(struct tvmm_client *c, unsigned ms)
{
	c->patience_ms = (int)MIN(ms, (unsigned)INT32_MAX);
}

/* ---- one call --------------------------------------------------------------------------------------------------- */

static int lost(struct tvmm_client *c, int sys_errno, struct tvmm_error *err)
{
	if (sys_errno == ETIMEDOUT)
		return err_set(err, TVMM_E_BUSY, ETIMEDOUT, c->path, "the machine does not answer");
	return err_set(err, TVMM_E_IO, EPIPE, c->path, "the machine has closed the connection");
}

/* Waits for EVENTS until the time DUE (0: for ever).  0, or a negative errno. */
static int await(struct tvmm_client *c, short events, uint64_t due)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	uint64_t now = c->host->now_ns(c->host);
	int ms = !due ? -1 : due <= now ? 0 : (int)((due - now) / 1000000 + 1);
	int ret = c->host->poll(c->host, &p, 1, ms);

	if (ret == -EINTR)
		return 0;
	return ret < 0 ? ret : ret ? 0 : -ETIMEDOUT;
}

static uint64_t due_in(struct tvmm_client *c, int ms)
{
	return ms < 0 ? 0 : c->host->now_ns(c->host) + (uint64_t)ms * 1000000;
}

static int send_call(struct tvmm_client *c, const char *method, const char *parameters, struct tvmm_error *err)
{
	const char *interface = strchr(method, '.') ? "" : INTERFACE;
	int len = snprintf(c->call, sizeof(c->call), "{\"method\":\"%s%s\",\"parameters\":%s}", interface, method,
			   parameters ? parameters : "{}");
	uint64_t due = due_in(c, c->patience_ms);
	size_t sent = 0;

	if ((size_t)len >= sizeof(c->call))
		return err_set(err, TVMM_E_CONFIG, 0, method, "the call is longer than %d bytes", CONTROL_MESSAGE_MAX);
	if (json_parse(&c->doc, c->call, (size_t)len) || !json_is(&c->doc, json_get(&c->doc, 0, "parameters"), JSON_OBJECT))
		return err_set(err, TVMM_E_CONFIG, 0, method, "the parameters are not a JSON object");
	while (sent <= (size_t)len) { /* with the NUL */
		ssize_t n = c->host->send(c->host, c->fd, c->call + sent, (size_t)len + 1 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -EAGAIN || n == -EINTR)
			n = await(c, POLLOUT, due);
		if (n < 0)
			return lost(c, (int)-n, err);
		sent += (size_t)n;
	}
	return 0;
}

/* One whole answer into c->answer, its length without the NUL in *LEN. */
static int receive(struct tvmm_client *c, int timeout_ms, size_t *len, struct tvmm_error *err)
{
	uint64_t due = due_in(c, timeout_ms);
	const char *nul;

	while (!(nul = memchr(c->answer, '\0', c->len))) {
		ssize_t n = sizeof(c->answer) - c->len;

		if (!n)
			return err_set(err, TVMM_E_IO, EPROTO, c->path, "the answer is too long");
		n = c->host->recv(c->host, c->fd, c->answer + c->len, (size_t)n, MSG_DONTWAIT);
		if (!n)
			return lost(c, EPIPE, err);
		if (n == -EAGAIN || n == -EINTR)
			n = await(c, POLLIN, due);
		if (n < 0)
			return lost(c, (int)-n, err);
		c->len += (size_t)n;
	}
	*len = (size_t)(nul - c->answer);
	c->len = 0; /* one call at a time: nothing can follow */
	return 0;
}

/* An error of the machine's, as it would have been in its own process. */
static int refused(struct tvmm_client *c, const char *name, int params, struct tvmm_error *err)
{
	struct tvmm_error e = { 0 };
	char what[160] = "";

	fields_read(&c->doc, params, fields_error, &e);
	if (e.code && e.message[0]) {
		if (err)
			*err = e;
		return e.sys_errno > 0 ? -e.sys_errno : -EINVAL;
	}
	if (!json_decode(&c->doc, json_get(&c->doc, params, "method"), what, sizeof(what)) &&
	    !json_decode(&c->doc, json_get(&c->doc, params, "parameter"), what, sizeof(what)))
		json_decode(&c->doc, json_get(&c->doc, params, "interface"), what, sizeof(what));
	return err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, what, "the machine refuses the call with %s%s%s", name,
		       e.message[0] ? ": " : "", e.message);
}

static int take_answer(struct tvmm_client *c, int timeout_ms, struct tvmm_error *err)
{
	char name[128];
	size_t len = 0;
	int ret = receive(c, timeout_ms, &len, err);

	if (ret)
		return ret;
	if (json_parse(&c->doc, c->answer, len) || !json_is(&c->doc, 0, JSON_OBJECT))
		return err_set(err, TVMM_E_IO, EPROTO, c->path, "the answer is not a JSON object");
	if (json_decode(&c->doc, json_get(&c->doc, 0, "error"), name, sizeof(name)))
		return refused(c, name, json_get(&c->doc, 0, "parameters"), err);
	return 0;
}

/* Sends, and takes the answer apart; *PARAMS is its parameters in c->doc. */
static int call(struct tvmm_client *c, const char *method, const char *parameters, int *params, struct tvmm_error *err)
{
	int ret;

	if (c->waits)
		return err_set(err, TVMM_E_BUSY, EBUSY, c->path, "the client waits for the machine's end");
	ret = send_call(c, method, parameters, err);
	if (!ret)
		ret = take_answer(c, c->patience_ms, err);
	if (!ret)
		*params = json_get(&c->doc, 0, "parameters");
	return ret;
}

int tvmm_client_call(struct tvmm_client *c, const char *method, const char *parameters, const char **reply,
		     struct tvmm_error *err)
{
	int params = -1, ret = call(c, method, parameters, &params, err);
	const char *text = "{}";
	size_t len = 2;

	if (ret)
		return ret;
	if (params >= 0)
		text = json_text(&c->doc, params, &len);
	memcpy(c->reply, text, len);
	c->reply[len] = '\0';
	*reply = c->reply;
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

int tvmm_client_info(struct tvmm_client *c, struct tvmm_info *info, struct tvmm_error *err)
{
	struct tvmm_info now = { 0 };
	int params = -1, ret = call(c, "Describe", NULL, &params, err);

	if (ret)
		return ret;
	fields_read(&c->doc, params, fields_info, &now);
	copy_sized(info, info->size, &now, sizeof(now));
	return 0;
}

int tvmm_client_stats(struct tvmm_client *c, struct tvmm_stats *stats, struct tvmm_error *err)
{
	struct tvmm_stats now = { 0 };
	int params = -1, ret = call(c, "Describe", NULL, &params, err);

	if (ret)
		return ret;
	fields_read(&c->doc, json_get(&c->doc, params, "stats"), fields_stats, &now);
	copy_sized(stats, stats->size, &now, sizeof(now));
	return 0;
}

int tvmm_client_describe(struct tvmm_client *c, char *buf, size_t len, struct tvmm_error *err)
{
	int params = -1, list, ret = call(c, "Describe", NULL, &params, err);
	size_t n = 0;

	if (!len)
		return -EINVAL;
	buf[0] = '\0';
	if (ret)
		return ret;
	list = json_get(&c->doc, params, "description");
	for (int i = json_first(&c->doc, list); i >= 0; i = json_after(&c->doc, list, i)) {
		if (!json_decode(&c->doc, i, buf + n, len - n))
			break;
		n += strlen(buf + n);
		if (n + 1 < len)
			buf[n++] = '\n';
		buf[n] = '\0';
	}
	return 0;
}

int tvmm_client_memory(struct tvmm_client *c, struct tvmm_memory *memory, struct tvmm_error *err)
{
	struct tvmm_memory now = { 0 };
	int params = -1, ret = call(c, "GetMemory", NULL, &params, err);

	if (ret)
		return ret;
	fields_read(&c->doc, json_get(&c->doc, params, "memory"), fields_memory, &now);
	copy_sized(memory, memory->size, &now, sizeof(now));
	return 0;
}

int tvmm_client_kvm_counters(struct tvmm_client *c, struct tvmm_counters *counters, struct tvmm_error *err)
{
	int params = -1, list, ret;

	if (counters->size != sizeof(*counters))
		return err_set(err, TVMM_E_CONFIG, EINVAL, NULL, "struct tvmm_counters has another size");
	ret = call(c, "Describe", NULL, &params, err);
	*counters = (struct tvmm_counters){ .size = sizeof(*counters) };
	if (ret)
		return ret;
	list = json_get(&c->doc, params, "kvm");
	for (int key = json_first(&c->doc, list); key >= 0 && counters->count < TVMM_COUNTERS_MAX;
	     key = json_after(&c->doc, list, key + 1)) {
		struct tvmm_counter *k = &counters->counter[counters->count];

		counters->count += json_decode(&c->doc, key, k->name, sizeof(k->name)) && json_u64(&c->doc, key + 1, &k->total);
	}
	return counters->count ? 0 : err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, "KVM_GET_STATS_FD",
					      "this host's KVM gives no counters");
}

int tvmm_client_metrics(struct tvmm_client *c, char *buf, size_t len, struct tvmm_error *err)
{
	int params = -1, ret = call(c, "GetMetrics", NULL, &params, err);

	if (!ret && !json_decode(&c->doc, json_get(&c->doc, params, "text"), buf, len))
		ret = err_set(err, TVMM_E_CONFIG, ENOBUFS, c->path, "the metrics need more room");
	return ret;
}

int tvmm_client_set_memory(struct tvmm_client *c, uint64_t bytes, struct tvmm_error *err)
{
	char parameters[64];
	int params = -1;

	snprintf(parameters, sizeof(parameters), "{\"bytes\":%lu}", bytes);
	return call(c, "SetMemory", parameters, &params, err);
}

int tvmm_client_trim_memory(struct tvmm_client *c, struct tvmm_error *err)
{
	int params = -1;

	return call(c, "TrimMemory", NULL, &params, err);
}

int tvmm_client_disk_refresh(struct tvmm_client *c, unsigned index, struct tvmm_error *err)
{
	char parameters[64];
	int params = -1;

	snprintf(parameters, sizeof(parameters), "{\"index\":%u}", index);
	return call(c, "RefreshDisk", parameters, &params, err);
}

int tvmm_client_request(struct tvmm_client *c, int request, struct tvmm_error *err)
{
	int params = -1;

	if (request != TVMM_REQ_STOP && request != TVMM_REQ_POWER_BUTTON)
		return err_set(err, TVMM_E_CONFIG, EINVAL, NULL, "request %d is not known", request);
	return call(c, request == TVMM_REQ_STOP ? "Stop" : "PowerButton", NULL, &params, err);
}

int tvmm_client_wait(struct tvmm_client *c, int timeout_ms, struct tvmm_result *result, struct tvmm_error *err)
{
	struct tvmm_result now = { 0 };
	int ret = c->waits ? 0 : send_call(c, "Wait", NULL, err);

	if (ret)
		return ret;
	c->waits = true;
	ret = take_answer(c, timeout_ms, err);
	if (ret != -ETIMEDOUT)
		c->waits = false;
	if (ret)
		return ret;
	fields_read(&c->doc, json_get(&c->doc, 0, "parameters"), fields_result, &now);
	copy_sized(result, result->size, &now, sizeof(now));
	return 0;
}
