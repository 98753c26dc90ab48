/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thread.h - the one way to start a thread of a machine, and to wait for something with a limit.
 *
 * All signals are blocked in it, from its first instruction: they are the embedder's, who wants them on its own threads.
 * (A vCPU opens the one by which it is kicked itself.)
 */
#ifndef TVMM_BASE_THREAD_H
#define TVMM_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include "host.h"

/* 0 or -errno.  NAME is what ps shows: 15 bytes of it.  STACK in bytes, 0 for the system's default. */
int thread_start(const struct host *h, pthread_t *thread, const char *name, size_t stack, void *(*fn)(void *arg), void *arg);

/* A condition that is waited for by a clock which nobody sets, and MS from now on that clock. */
void thread_cond_init(pthread_cond_t *cond);
struct timespec thread_deadline(unsigned ms);

#endif
