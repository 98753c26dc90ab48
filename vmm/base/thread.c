/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thread.c - starting a thread with its name, its stack and no signals, and waits by the monotonic clock (thread.h).  Any thread;
 * keeps nothing.
 */
#include "thread.h"

#include <signal.h>
#include <stdio.h>

int thread_start(const struct host *h, pthread_t *thread, const char *name, size_t stack, void *(*fn)(void *arg), void *arg)
{
	char shown[16];
	pthread_attr_t attr;
	sigset_t all, old;
	int ret = pthread_attr_init(&attr);

	if (ret)
		return -ret;
	if (stack)
		pthread_attr_setstacksize(&attr, stack);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* a new thread has the mask of who made it */
	ret = h->thread(h, thread, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (ret)
		return ret;
	snprintf(shown, sizeof(shown), "%.15s", name);
	pthread_setname_np(*thread, shown);
	return 0;
}

void thread_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

struct timespec thread_deadline(unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}
