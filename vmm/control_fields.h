/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control_fields.h - public structures as JSON objects: which member has which name and form.
 *
 * One table per structure serves the machine's end of the control socket, which writes them, and the client's, which
 * reads them; so the two cannot differ.  A reader leaves alone what is not there or not of the form: old and new
 * versions understand each other as far as they can.  Pure functions; any thread.
 */
#ifndef TVMM_CONTROL_FIELDS_H
#define TVMM_CONTROL_FIELDS_H

#include "json.h"

enum field_form { FIELD_U64, FIELD_U32, FIELD_I32, FIELD_BOOL, FIELD_TEXT, FIELD_WORD };

struct field {
	const char *name;
	uint8_t form;             /* enum field_form */
	uint16_t at, size;        /* in the structure; the size of a text */
	const char *const *words; /* of a word, which is an int32_t: by its value, NULL at the end */
};

/* Each ends with a name of NULL. */
extern const struct field fields_memory[]; /* struct tvmm_memory */
extern const struct field fields_stats[];  /* struct tvmm_stats */
extern const struct field fields_info[];   /* struct tvmm_info */
extern const struct field fields_result[]; /* struct tvmm_result */
extern const struct field fields_error[];  /* struct tvmm_error */

/* As an object under KEY, or, with KEY "", as members of the one that is open. */
void fields_write(struct json_out *o, const char *key, const struct field *f, const void *from);
void fields_read(const struct json *j, int obj, const struct field *f, void *to);

#endif
