/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * smaps.c - the parser of smaps.h.  Called on the I/O loop when somebody asks for figures.  Reads no file itself.
 */
#include "smaps.h"

#include <stdlib.h>
#include <string.h>
#include "bits.h"

/* "START-END ..." in hexadecimal starts the lines of a mapping. */
static bool take_header(struct smaps *s)
{
	char *at;
	uint64_t start = strtoull(s->line, &at, 16), end;

	if (at == s->line || *at != '-')
		return false;
	end = strtoull(at + 1, &at, 16);
	if (*at != ' ' || end <= start)
		return false;
	s->inside = false;
	for (unsigned i = 0; i < s->n; i++)
		s->inside |= start >= s->range[i].start && end <= s->range[i].end;
	return true;
}

static void take_field(struct smaps *s)
{
	static const char *const names[] = { "Rss:", "Swap:", "AnonHugePages:", "ShmemPmdMapped:" };
	uint64_t *const to[] = { &s->resident, &s->swapped, &s->huge, &s->huge };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (!strncmp(s->line, names[i], n))
			*to[i] += strtoull(s->line + n, NULL, 10) << 10;
	}
}

void smaps_feed(struct smaps *s, const char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (buf[i] != '\n') {
			if (s->len < sizeof(s->line) - 1)
				s->line[s->len++] = buf[i];
			continue; /* what is beyond is a path, of no use here */
		}
		s->line[s->len] = '\0';
		s->len = 0;
		if (!take_header(s) && s->inside)
			take_field(s);
	}
}
