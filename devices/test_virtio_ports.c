/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_ports.c - named ports: what is told on the control queues, peers that come to a socket and go, bytes in both
 * directions while one side is closed or slow, and drivers that say nonsense.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "chardev_listen.h"
#include "test_driver.h"
#include "test_host.h"
#include "virtio_console.h"

enum { RX0, TX0, CRX, CTX, RX1, TX1, QUEUES };
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

#define MULTIPORT BIT_ULL(1)

struct message {
	uint32_t id;
	uint16_t event, value;
};

struct rig {
	struct td t;
	struct chardev chr[2];
	struct chardev_listen listen;
	struct virtio_console con;
	char path[64];
	int peer; /* our end of port 1 */
};

/* Port "a" at a unix socket, port "b" on one of a pair. */
static struct rig *rig_new(uint64_t features)
{
	struct rig *r = calloc(1, sizeof(*r));
	int sv[2];

	td_init(&r->t);
	snprintf(r->path, sizeof(r->path), "/tmp/test_ports.%d", getpid());
	ck_assert_int_eq(chardev_init(&r->chr[0], "port a", &r->t.loop, &r->t.log, -1, -1, -1, NULL), 0);
	ck_assert_int_eq(chardev_listen_init(&r->listen, &r->chr[0], r->path, NULL), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert_int_eq(chardev_init(&r->chr[1], "port b", &r->t.loop, &r->t.log, sv[1], sv[1], -1, NULL), 0);
	close(sv[1]);
	r->peer = sv[0];
	virtio_ports_init(&r->con, "ports", &r->t.mem, &r->t.loop, &r->t.log);
	virtio_ports_add(&r->con, "a", &r->chr[0]);
	virtio_ports_add(&r->con, "b", &r->chr[1]);
	ck_assert_uint_eq(r->con.dev.n_queues, QUEUES);
	td_start(&r->t, &r->con.dev, features);
	return r;
}

static void rig_free(struct rig *r)
{
	for (unsigned q = 0; q < QUEUES; q++)
		ck_assert_uint_eq(r->con.dev.queue[q].vq.popped, r->con.dev.queue[q].vq.pushed);
	virtio_set_status(&r->con.dev, 0);
	virtio_console_fini(&r->con);
	chardev_listen_fini(&r->listen);
	ck_assert_int_eq(access(r->path, F_OK), -1);
	for (unsigned i = 0; i < 2; i++)
		chardev_fini(&r->chr[i]);
	td_fini(&r->t);
	close(r->peer);
	free(r);
}

static void settle(struct rig *r)
{
	unsigned turns;

	do {
		ck_assert_int_ge(loop_settle(&r->t.loop), 0);
		turns = 0;
		for (unsigned q = 0; q < QUEUES; q++)
			turns += td_run(&r->t, q);
	} while (turns);
}

static void say(struct rig *r, uint32_t id, uint16_t event, uint16_t value)
{
	struct message m = { htole32(id), htole16(event), htole16(value) };
	struct td_seg s = td_out(&r->t, &m, sizeof(m));

	td_offer(&r->t, &r->t.ring[CTX], &s, 1);
	td_kick(&r->t, CTX);
	settle(r);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[CTX], NULL), 0);
}

/* Offers one control buffer; what comes, or event -1. */
static struct message hear(struct rig *r, char *name, size_t size)
{
	struct td_seg s = td_in(&r->t, 80);
	struct message m = { 0, UINT16_MAX, 0 };
	uint32_t len;

	td_offer(&r->t, &r->t.ring[CRX], &s, 1);
	td_kick(&r->t, CRX);
	settle(r);
	if (td_take_used(&r->t, &r->t.ring[CRX], &len) < 0)
		return m;
	ck_assert_uint_ge(len, sizeof(m));
	memcpy(&m, td_ptr(&r->t, s.addr), sizeof(m));
	if (name)
		snprintf(name, size, "%.*s", (int)(len - sizeof(m)), (const char *)td_ptr(&r->t, s.addr) + sizeof(m));
	else
		ck_assert_uint_eq(len, sizeof(m));
	return m;
}

static void hears(struct rig *r, uint32_t id, uint16_t event, uint16_t value)
{
	struct message m = hear(r, NULL, 0);

	ck_assert_uint_eq(m.event, event);
	ck_assert_uint_eq(m.id, id);
	ck_assert_uint_eq(m.value, value);
}

static void hears_name(struct rig *r, uint32_t id, const char *name)
{
	char buf[80];
	struct message m = hear(r, buf, sizeof(buf));

	ck_assert_uint_eq(m.event, PORT_NAME);
	ck_assert_uint_eq(m.id, id);
	ck_assert_str_eq(buf, name);
}

/* What Linux does, up to programs that have both ports open. */
static void handshake(struct rig *r)
{
	say(r, 0, DEVICE_READY, 1);
	hears(r, 0, PORT_ADD, 1);
	hears(r, 1, PORT_ADD, 1);
	say(r, 0, PORT_READY, 1);
	hears_name(r, 0, "a");
	say(r, 1, PORT_READY, 1);
	hears_name(r, 1, "b");
	hears(r, 1, PORT_OPEN, 1);
	say(r, 0, PORT_OPEN, 1);
	say(r, 1, PORT_OPEN, 1);
}

static int connect_to(struct rig *r)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, r->path, sizeof(r->path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	settle(r);
	return fd;
}

static void send_text(struct rig *r, unsigned q, const char *text)
{
	struct td_seg s = td_out(&r->t, text, (uint32_t)strlen(text));

	td_offer(&r->t, &r->t.ring[q], &s, 1);
	td_kick(&r->t, q);
	settle(r);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[q], NULL), 0);
}

static void reads(int fd, const char *text)
{
	char buf[64] = "";

	ck_assert_int_eq(recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT), (int)strlen(text));
	ck_assert_str_eq(buf, text);
}

/* One receive buffer; the bytes that came at once, or -1. */
static int receive(struct rig *r, unsigned q, char *buf)
{
	struct td_seg s = td_in(&r->t, 16);
	uint32_t len;

	td_offer(&r->t, &r->t.ring[q], &s, 1);
	td_kick(&r->t, q);
	settle(r);
	if (td_take_used(&r->t, &r->t.ring[q], &len) < 0)
		return -1;
	memcpy(buf, td_ptr(&r->t, s.addr), len);
	buf[len] = '\0';
	return (int)len;
}

START_TEST(names)
{
	struct rig *r = rig_new(MULTIPORT | VIRTIO_F_EVENT_IDX);
	uint8_t c[4];

	virtio_config_read(&r->con.dev, 4, c, 4);
	ck_assert_uint_eq(load_le32(c), 2);
	handshake(r);
	say(r, 1, PORT_READY, 0);
	ck_assert_uint_eq(hear(r, NULL, 0).event, UINT16_MAX);
	td_start(&r->t, &r->con.dev, MULTIPORT);
	handshake(r); /* a new driver hears all of it again */
	rig_free(r);
}
END_TEST

/* Each port has its own bytes, both ways. */
START_TEST(streams)
{
	struct rig *r = rig_new(MULTIPORT);
	char buf[32];
	int fd;

	handshake(r);
	fd = connect_to(r);
	hears(r, 0, PORT_OPEN, 1);
	send_text(r, TX0, "to a");
	send_text(r, TX1, "to b");
	settle(r);
	reads(fd, "to a");
	reads(r->peer, "to b");
	ck_assert_int_eq(write(fd, "from a", 6), 6);
	ck_assert_int_eq(write(r->peer, "from b", 6), 6);
	settle(r);
	ck_assert_int_eq(receive(r, RX1, buf), 6);
	ck_assert_str_eq(buf, "from b");
	ck_assert_int_eq(receive(r, RX0, buf), 6);
	ck_assert_str_eq(buf, "from a");
	close(fd);
	rig_free(r);
}
END_TEST

/* A peer that has no more to say still hears; its successor waits until it is gone, and has none of its bytes. */
START_TEST(peers)
{
	struct rig *r = rig_new(MULTIPORT);
	char buf[32];
	int first, second;
	uint32_t len;

	handshake(r);
	first = connect_to(r);
	hears(r, 0, PORT_OPEN, 1);
	second = connect_to(r);
	ck_assert_int_eq(write(first, "ask", 3), 3);
	ck_assert_int_eq(write(second, "next", 4), 4);
	shutdown(first, SHUT_WR);
	ck_assert_int_eq(receive(r, RX0, buf), 3);
	ck_assert_int_eq(receive(r, RX0, buf), -1); /* this buffer stays out */
	ck_assert_int_eq(loop_step(&r->t.loop), 0); /* a half-closed peer costs nothing */
	send_text(r, TX0, "answer");
	settle(r);
	reads(first, "answer");
	close(first);
	settle(r);
	hears(r, 0, PORT_OPEN, 0);
	hears(r, 0, PORT_OPEN, 1);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX0], &len), 0);
	ck_assert_uint_eq(len, 4);
	ck_assert_int_eq(receive(r, RX0, buf), -1);
	send_text(r, TX0, "hello");
	settle(r);
	reads(second, "hello");
	close(second);
	settle(r);
	hears(r, 0, PORT_OPEN, 0);
	send_text(r, TX0, "nobody");
	ck_assert_uint_eq(r->chr[0].dropped, 6);
	rig_free(r);
}
END_TEST

/* While the guest has the port closed its bytes stay with the peer: a driver would throw them away. */
START_TEST(closed)
{
	struct rig *r = rig_new(MULTIPORT);
	char buf[32];

	handshake(r);
	say(r, 1, PORT_OPEN, 0);
	ck_assert_int_eq(write(r->peer, "early", 5), 5);
	ck_assert_int_eq(receive(r, RX1, buf), -1);
	say(r, 1, PORT_OPEN, 1);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX1], NULL), 0);
	ck_assert_uint_eq(r->t.queue_irqs[RX1], 1);
	rig_free(r);
}
END_TEST

/* A port whose peer does not read does not hold up the other. */
START_TEST(stuck)
{
	struct rig *r = rig_new(MULTIPORT);
	enum { BIG = 600000 };
	char *big = calloc(1, BIG);
	struct td_seg s;
	size_t got = 0;
	ssize_t n;

	handshake(r);
	s = td_out(&r->t, big, BIG);
	td_offer(&r->t, &r->t.ring[TX1], &s, 1);
	td_kick(&r->t, TX1);
	settle(r);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[TX1], NULL), -1);
	send_text(r, TX0, "x");
	while ((n = recv(r->peer, big, BIG, MSG_DONTWAIT)) > 0) {
		got += (size_t)n;
		settle(r);
	}
	ck_assert_uint_eq(got, BIG);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[TX1], NULL), 0);
	free(big);
	rig_free(r);
}
END_TEST

/* Nonsense is counted and harmless; what is owed does not grow; a buffer too small breaks the device, until reset. */
START_TEST(nonsense)
{
	struct rig *r = rig_new(MULTIPORT);
	struct td_seg s = td_out(&r->t, "1234567", 7);
	uint64_t faults;
	char buf[32];

	handshake(r);
	faults = r->t.log.guest_faults;
	say(r, 2, PORT_OPEN, 1);
	say(r, UINT32_MAX, PORT_READY, 1);
	say(r, 0, PORT_ADD, 1);
	say(r, 0, PORT_NAME, 1);
	say(r, 0, 8, 1);
	td_offer(&r->t, &r->t.ring[CTX], &s, 1);
	td_kick(&r->t, CTX);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[CTX], NULL), 0);
	ck_assert_uint_eq(r->t.log.guest_faults, faults + 6);
	for (unsigned i = 0; i < 1000; i++)
		say(r, 1, PORT_READY, 1);
	ck_assert_int_eq(receive(r, RX0, buf), -1);
	for (unsigned i = 0; i < 20; i++) {
		close(connect_to(r));
		settle(r);
	}
	hears(r, 0, PORT_OPEN, 0); /* the last state */
	hears_name(r, 1, "b");
	hears(r, 1, PORT_OPEN, 1);
	ck_assert_uint_eq(hear(r, NULL, 0).event, UINT16_MAX); /* the buffer stays out */
	say(r, 1, PORT_READY, 1);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[CRX], NULL), 0); /* and has the name */
	s = td_in(&r->t, 7);
	td_offer(&r->t, &r->t.ring[CRX], &s, 1);
	td_kick(&r->t, CRX);
	ck_assert(virtio_status(&r->con.dev) & VIRTIO_S_NEEDS_RESET);
	td_start(&r->t, &r->con.dev, MULTIPORT);
	handshake(r);
	rig_free(r);
}
END_TEST

/* A driver without MULTIPORT has the first port, and the other queues do nothing. */
START_TEST(one_port)
{
	struct rig *r = rig_new(0);
	struct td_seg s = td_out(&r->t, "x", 1);
	char buf[32];
	int fd = connect_to(r);

	send_text(r, TX0, "plain");
	settle(r);
	reads(fd, "plain");
	ck_assert_int_eq(write(fd, "text", 4), 4);
	ck_assert_int_eq(receive(r, RX0, buf), 4);
	td_offer(&r->t, &r->t.ring[TX1], &s, 1);
	td_kick(&r->t, TX1);
	td_offer(&r->t, &r->t.ring[CTX], &s, 1);
	td_kick(&r->t, CTX);
	settle(r);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[TX1], NULL), -1);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[CTX], NULL), -1);
	close(fd);
	rig_free(r);
}
END_TEST

START_TEST(sockets)
{
	struct rig *r = rig_new(MULTIPORT);
	struct chardev_listen other;
	struct tvmm_error err;
	char path[80], deep[200];
	struct stat st;
	int fd;

	ck_assert_int_eq(chardev_listen_init(&other, &r->chr[1], r->path, &err), -EADDRINUSE);
	ck_assert_int_eq(err.code, TVMM_E_BUSY);
	ck_assert(!stat(r->path, &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0600);
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	ck_assert_int_eq(chardev_listen_init(&other, &r->chr[1], deep, &err), -ENAMETOOLONG);
	ck_assert_str_eq(err.message, "the socket of port b's path is too long");
	/* What a killed process left is replaced; a file that is no socket is not. */
	snprintf(path, sizeof(path), "%s.old", r->path);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(chardev_listen_init(&other, &r->chr[1], path, &err), -EEXIST);
	ck_assert_str_eq(err.message, "there is a file where the socket of port b is to be");
	ck_assert_int_eq(unlink(path), 0);
	{
		struct sockaddr_un sun = { .sun_family = AF_UNIX };

		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
		close(fd);
	}
	ck_assert_int_eq(chardev_listen_init(&other, &r->chr[1], path, &err), 0);
	chardev_listen_fini(&other);
	ck_assert_int_eq(access(path, F_OK), -1);
	rig_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { names, streams, peers, closed, stuck, nonsense, one_port, sockets, NULL };

	return test_main("virtio_ports", tests);
}
