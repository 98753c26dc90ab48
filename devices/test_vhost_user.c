/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_vhost_user.c - the handshake with a vhost-user server (a small one of the test's, at a socket pair): what is agreed on,
 * and every answer that is cut short, wrong, late or none.
 */
#include "test_vhost_user.h"
#include <sys/stat.h>
#include <sys/un.h>

static struct tvmm_error err;

static int try_open(struct vhost_user **v)
{
	err = (struct tvmm_error){ 0 };
	return vhost_user_open(v, &peer.th.h, "/run/server", &err);
}

START_TEST(agreement)
{
	struct vhost_user *v;

	peer_begin();
	ck_assert_int_eq(try_open(&v), 0);
	ck_assert_uint_eq(v->features, PEER_FEATURES);
	ck_assert_uint_eq(peer.agreed, BIT_ULL(0) | BIT_ULL(3) | BIT_ULL(5) | BIT_ULL(9));
	ck_assert_uint_eq(v->queues, 4);
	ck_assert_uint_eq(v->config[0], 200);
	ck_assert_uint_eq(peer.seen[R_SET_OWNER], 1);
	ck_assert_int_ge(peer.channel, 0);
	vhost_user_close(v);
	peer_end();
}
END_TEST

/* The server has fewer features, and those it needs not have. */
START_TEST(little)
{
	struct vhost_user *v;

	peer_begin();
	peer.proto = BIT_ULL(9);
	ck_assert_int_eq(try_open(&v), 0);
	ck_assert_uint_eq(peer.agreed, BIT_ULL(9));
	ck_assert_uint_eq(v->queues, 1);
	ck_assert_uint_eq(peer.seen[R_QUEUES] + peer.seen[R_CHANNEL], 0);
	ck_assert_int_lt(v->channel.fd, 0);
	vhost_user_close(v);
	peer_end();

	peer_begin();
	peer.queues = 1000000;
	ck_assert_int_eq(try_open(&v), 0);
	ck_assert_uint_eq(v->queues, VIRTIO_MAX_QUEUES);
	vhost_user_close(v);
	peer_end();
}
END_TEST

static void refuse(const char *sentence)
{
	struct vhost_user *v = NULL;

	ck_assert_int_lt(try_open(&v), 0);
	ck_assert_ptr_null(v);
	ck_assert_str_eq(err.object, "/run/server");
	ck_assert_msg(strstr(err.message, sentence), "'%s' is not '%s'", err.message, sentence);
	peer_end();
}

START_TEST(lacking)
{
	peer_begin();
	peer.features &= ~VIRTIO_F_VERSION_1;
	refuse("does not know virtio 1.0");
	peer_begin();
	peer.features &= ~BIT_ULL(30);
	refuse("has no protocol features");
	peer_begin();
	peer.proto &= ~BIT_ULL(9);
	refuse("tells no configuration");
	peer_begin();
	peer.queues = 0;
	refuse("has no queues");
	peer_begin();
	peer.wrong_at = R_CONFIG;
	peer.wrong = ONE_SHORT;
	refuse("has no disk");
}
END_TEST

static const uint32_t questions[] = { R_GET_FEATURES, R_GET_PROTO, R_QUEUES, R_CONFIG };

START_TEST(wrong_answers)
{
	static const struct {
		enum wrong wrong;
		const char *sentence;
	} t[] = {
		{ SILENT, "does not answer" },       { HANGS_UP, "hung up" },      { OTHER_REQUEST, "" },
		{ OTHER_VERSION, "does not speak" }, { NO_REPLY_FLAG, "" },        { TOO_LONG, "" },
		{ ONE_SHORT, "" },                   { ENDLESS, "does not speak" },
	};
	unsigned fds = count_fds();

	for (unsigned q = 0; q < ARRAY_SIZE(questions); q++) {
		for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
			peer_begin();
			peer.wrong_at = questions[q];
			peer.wrong = t[i].wrong;
			refuse(t[i].sentence);
			ck_assert_uint_eq(count_fds(), fds);
		}
	}
}
END_TEST

START_TEST(cut_short)
{
	unsigned fds = count_fds();

	for (unsigned q = 0; q < ARRAY_SIZE(questions); q++) {
		size_t len = questions[q] == R_CONFIG ? 84 : 20;

		for (size_t cut = 0; cut < len; cut++) {
			peer_begin();
			peer.wrong_at = questions[q];
			peer.wrong = cut ? CUT : HANGS_UP;
			peer.cut = cut;
			refuse("hung up");
			ck_assert_uint_eq(count_fds(), fds);
		}
	}
}
END_TEST

/* A byte at a time, and with descriptors that nobody wants: good answers all the same. */
START_TEST(odd_answers)
{
	unsigned fds = count_fds();
	struct vhost_user *v;

	for (unsigned q = 0; q < ARRAY_SIZE(questions); q++) {
		for (unsigned w = 0; w < 2; w++) {
			peer_begin();
			peer.wrong_at = questions[q];
			peer.wrong = w ? TRICKLES : WITH_FDS;
			ck_assert_int_eq(try_open(&v), 0);
			ck_assert_uint_eq(v->config[0], 200);
			vhost_user_close(v);
			peer_end();
			ck_assert_uint_eq(count_fds(), fds);
		}
	}
}
END_TEST

START_TEST(host_fails)
{
	unsigned fds = count_fds(), failed = 0;
	struct vhost_user *v;

	for (unsigned at = 1;; at++) {
		int ret;

		peer_begin();
		test_host_fail(&peer.th, OP_ANY, at, EIO);
		ret = try_open(&v);
		if (!ret)
			vhost_user_close(v);
		else
			ck_assert(err.code && err.message[0]);
		failed += ret != 0;
		peer_end();
		ck_assert_uint_eq(count_fds(), fds);
		if (peer.th.calls[OP_ANY] < at)
			break;
	}
	ck_assert_uint_gt(failed, 10);
}
END_TEST

/* The real socket, or what is in its place. */
START_TEST(nobody_there)
{
	char dir[] = "/tmp/vhost-user-XXXXXX", path[64], longer[200];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct vhost_user *v = NULL;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	ck_assert_int_eq(vhost_user_open(&v, host_linux(), path, &err), -ENOENT);
	ck_assert_str_eq(err.message, "cannot connect to the vhost-user server");
	ck_assert(strstr(err.hint, "start it first"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(vhost_user_open(&v, host_linux(), path, &err), -ECONNREFUSED);
	ck_assert(strstr(err.hint, "nobody listens"));
	close(fd);
	unlink(path);
	rmdir(dir);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	ck_assert_int_eq(vhost_user_open(&v, host_linux(), longer, &err), -ENAMETOOLONG);
	ck_assert_int_eq(err.code, TVMM_E_CONFIG);
	ck_assert_ptr_null(v);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { agreement, little, lacking, wrong_answers, cut_short, odd_answers, host_fails, nobody_there, NULL };

	return test_main("vhost_user", tests);
}
