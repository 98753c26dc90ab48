/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control_calls.h - what may be asked over the control socket, and the answers: varlink's messages without the socket.
 *
 * A message is one JSON object, {"method":M,"parameters":{...}}; so is the answer, {"parameters":{...}} or {"error":E,
 * "parameters":{...}}.  The interface is org.tinyvmm.VM, whose description the machine itself gives
 * (org.varlink.service.GetInterfaceDescription).  Every call is carried out through tinyvmm.h: whoever talks to the
 * socket can do what the process that made the machine can, no more.  Called on the control thread; allocates nothing.
 */
#ifndef TVMM_CONTROL_CALLS_H
#define TVMM_CONTROL_CALLS_H

#include "config.h"
#include "host.h"
#include "json.h"
#include "metrics.h"
#include "tinyvmm.h"

enum {
	CONTROL_MESSAGE_MAX = 4096,  /* of a call, its NUL not counted */
	CONTROL_REPLY_MAX = 1 << 16, /* of an answer, with its NUL */
};

struct control_calls {
	struct tvmm_vm *vm;
	const struct host *host;
	char name[CONFIG_NAME_MAX + 1];
	unsigned cpus;
	uint64_t since_ns;
	struct json doc; /* of the message at hand */
	char text[METRICS_MAX];
};

enum control_next {
	CONTROL_REPLY,  /* OUT holds the answer */
	CONTROL_SILENT, /* the caller wants none */
	CONTROL_WAIT,   /* it will come when the machine has ended: control_end_reply() */
	CONTROL_CLOSE,  /* OUT holds an answer, after which nothing can be understood any more */
};

/* Answers the LEN bytes at MSG into OUT, which has CONTROL_REPLY_MAX bytes; *OUT_LEN counts the NUL. */
enum control_next control_answer(struct control_calls *c, const char *msg, size_t len, char *out, size_t *out_len);

/* The answer to Wait: the machine has ended. */
void control_end_reply(struct control_calls *c, char *out, size_t *out_len);

/* An error of this name, with a sentence. */
void control_error_reply(const char *name, const char *message, char *out, size_t *out_len);

/* Has the machine ended? */
bool control_has_ended(struct control_calls *c);

#endif
