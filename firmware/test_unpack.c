/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_unpack.c - the system's xz, zstd and gzip: what they give back, and each way it can fail. */
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include "test_tree.h"

static const char *const tools[] = { "xz", "zstd", "gzip" };
static char dir[64];

/* Packs LEN bytes by TOOL; the file's descriptor, or -1 where there is no such tool. */
static int pack(const char *tool, const char *data, size_t len)
{
	char cmd[200], path[100];

	tree_put(dir, "plain", data, len);
	snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null && %s -c <%s/plain >%s/packed", tool, tool, dir, dir);
	if (system(cmd))
		return -1;
	snprintf(path, sizeof(path), "%s/packed", dir);
	return open(path, O_RDONLY | O_CLOEXEC);
}

START_TEST(round_trip)
{
	size_t size = 3000000;
	char *data = malloc(size);

	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * i >> 7);
	tree_make(dir);
	for (size_t i = 0; i < 3; i++) {
		int fd = pack(tools[i], data, size);
		void *out;
		size_t len;

		if (fd < 0)
			continue;
		ck_assert_int_eq(unpack_with_tool(tools[i], fd, size, &out, &len), 0);
		ck_assert_uint_eq(len, size);
		ck_assert(!memcmp(out, data, size));
		free(out);
		/* Again from its start, and one byte too long. */
		ck_assert_int_eq(unpack_with_tool(tools[i], fd, size - 1, &out, &len), -EFBIG);
		ck_assert_int_eq(unpack_with_tool(tools[i], fd, 1, &out, &len), -EFBIG);
		close(fd);
	}
	free(data);
	tree_remove(dir);
}
END_TEST

START_TEST(failures)
{
	char path[100];
	void *out;
	size_t len;
	int fd;

	tree_make(dir);
	tree_text(dir, "noise", "this was never packed");
	snprintf(path, sizeof(path), "%s/noise", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(unpack_with_tool("no-such-tool", fd, 100, &out, &len), -ENOENT);
	ck_assert_int_eq(unpack_with_tool("gzip", fd, 100, &out, &len), -EIO);
	ck_assert_int_eq(unpack_with_tool("true", fd, 100, &out, &len), -EIO); /* success, and nothing to show for it */
	close(fd);
	ck_assert_int_eq(unpack_with_tool("gzip", -1, 100, &out, &len), -EBADF);

	/* Cut short: half of the data comes out, and then an error. */
	fd = pack("gzip", "0123456789012345678901234567890123456789", 40);
	ck_assert_int_ge(fd, 0);
	snprintf(path, sizeof(path), "%s/packed", dir);
	ck_assert_int_eq(truncate(path, lseek(fd, 0, SEEK_END) - 4), 0);
	ck_assert_int_eq(unpack_with_tool("gzip", fd, 100, &out, &len), -EIO);
	close(fd);
	tree_remove(dir);
}
END_TEST

int main(void)
{
	return test_main("unpack", (const TTest *const[]){ round_trip, failures, NULL });
}
