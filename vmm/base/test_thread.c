/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_thread.c - what a new thread finds (its signals, its stack, its name), that its maker keeps his own mask, also where
 * the host has no thread, and when a wait ends.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "bits.h"
#include "test.h"
#include "thread.h"

struct seen {
	pthread_mutex_t lock; /* held by the maker until the thread has its name */
	sigset_t mask;
	size_t stack;
	char name[16];
};

static void *look(void *arg)
{
	struct seen *s = arg;
	pthread_attr_t attr;

	pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &s->stack);
	pthread_attr_destroy(&attr);
	pthread_mutex_lock(&s->lock);
	pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void same_mask(const sigset_t *before)
{
	sigset_t after;

	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		ck_assert_int_eq(sigismember(&after, sig), sigismember(before, sig));
}

START_TEST(starts)
{
	struct seen s = { .lock = PTHREAD_MUTEX_INITIALIZER };
	sigset_t before;
	pthread_t t;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_mutex_lock(&s.lock);
	ck_assert_int_eq(thread_start(host_linux(), &t, "a-name-of-twenty-one", KIB(512), look, &s), 0);
	pthread_mutex_unlock(&s.lock);
	same_mask(&before);
	pthread_join(t, NULL);
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			ck_assert_int_eq(sigismember(&s.mask, sig), 1);
	ck_assert_uint_eq(s.stack, KIB(512));
	ck_assert_str_eq(s.name, "a-name-of-twent");
	ck_assert_int_eq(thread_start(host_linux(), &t, "x", 0, look, &s), 0);
	pthread_join(t, NULL);
	ck_assert_uint_gt(s.stack, KIB(512));
}
END_TEST

/* A wait ends after its time, not before, and also where the second is nearly over. */
START_TEST(deadline)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond;

	thread_cond_init(&cond);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t begin = host_linux()->now_ns(host_linux()), until;
		struct timespec at = thread_deadline(990);

		ck_assert(at.tv_nsec >= 0 && at.tv_nsec < 1000000000);
		until = (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
		ck_assert_uint_ge(until, begin + 990000000);
		ck_assert_uint_le(until, host_linux()->now_ns(host_linux()) + 990000000);
		at = thread_deadline(5);
		pthread_mutex_lock(&lock);
		while (!pthread_cond_timedwait(&cond, &lock, &at))
			;
		pthread_mutex_unlock(&lock);
		ck_assert_uint_ge(host_linux()->now_ns(host_linux()), begin + 5000000);
	}
	pthread_cond_destroy(&cond);
}
END_TEST

static int none(const struct host *h, pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return -EAGAIN;
}

START_TEST(none_to_be_had)
{
	struct host h = *host_linux();
	sigset_t before;
	pthread_t t;

	h.thread = none;
	sigemptyset(&before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ck_assert_int_eq(thread_start(&h, &t, "x", 0, look, NULL), -EAGAIN);
	same_mask(&before);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { starts, none_to_be_had, deadline, NULL };

	return test_main("thread", tests);
}
