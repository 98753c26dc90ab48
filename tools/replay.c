/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replay.c - a fuzz target without a fuzzer: runs it once over each file named, or over each file of a folder named,
 * and says so in TAP.  A file named *.pack holds many inputs, each behind its length in two bytes (tools/fuzz makes it).
 * One thread.  For the unit tests, and to look at one input in a debugger.  It finds nothing new.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include "fuzz_input.h"

static void run_input(const uint8_t *data, size_t len)
{
	/* Exactly as long as it is, so that a read beyond its end is seen. */
	uint8_t *copy = malloc(len ? len : 1);

	FUZZ_ASSERT(copy);
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static unsigned run_pack(const uint8_t *data, size_t size)
{
	unsigned n = 0;

	for (size_t at = 0; at < size; n++) {
		size_t len;

		FUZZ_ASSERT(size - at >= 2);
		len = load_le16(data + at);
		FUZZ_ASSERT(size - at - 2 >= len);
		run_input(data + at + 2, len);
		at += 2 + len;
	}
	return n;
}

static unsigned run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	const char *dot = strrchr(path, '.');
	uint8_t *buf = NULL;
	size_t len = 0, got;
	unsigned n = 1;

	if (!f) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(99);
	}
	do {
		uint8_t *more = realloc(buf, len + 4096);

		FUZZ_ASSERT(more);
		buf = more;
		got = fread(buf + len, 1, 4096, f);
		len += got;
	} while (got);
	fclose(f);
	if (dot && !strcmp(dot, ".pack"))
		n = run_pack(buf, len);
	else
		run_input(buf, len);
	free(buf);
	return n;
}

static unsigned run_dir(const char *path)
{
	char file[4096];
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir(path);

	if (!d) {
		printf("Bail out! %s: %s\n", path, strerror(errno));
		exit(99);
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		n += run_file(file);
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	struct stat st;
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
	printf("%s 1 - %s: %u kept inputs\n1..1\n", n ? "ok" : "not ok", fuzz_name, n);
	return n ? EXIT_SUCCESS : EXIT_FAILURE;
}
