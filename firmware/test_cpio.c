/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_cpio.c - archives: read back by a parser of our own, and by the system's cpio where there is one. */
#include "cpio.h"

#include "test_tree.h"

static void fill(struct cpio *c)
{
	c->max = 1 << 20;
	cpio_dir(c, "dev", 0755);
	cpio_chardev(c, "dev/console", 0600, 5, 1);
	cpio_file(c, "empty", 0644, "", 0);
	/* Every alignment of name and data. */
	cpio_file(c, "a", 0644, "1", 1);
	cpio_file(c, "ab", 0755, "12", 2);
	cpio_file(c, "abc", 0644, "123", 3);
	cpio_file(c, "abcd", 0644, "1234", 4);
	cpio_file(c, "abcde", 0644, "12345", 5);
	cpio_end(c);
	ck_assert(!c->failed);
}

START_TEST(reads_back)
{
	struct cpio c = { 0 };
	struct cpio_entry e;
	size_t at = 0;

	fill(&c);
	ck_assert(cpio_next(c.buf, c.len, &at, &e));
	ck_assert_str_eq(e.name, "dev");
	ck_assert_uint_eq(e.mode, S_IFDIR | 0755);
	ck_assert(cpio_next(c.buf, c.len, &at, &e));
	ck_assert_str_eq(e.name, "dev/console");
	ck_assert_uint_eq(e.mode, S_IFCHR | 0600);
	ck_assert_uint_eq(e.major, 5);
	ck_assert_uint_eq(e.minor, 1);
	ck_assert(cpio_next(c.buf, c.len, &at, &e));
	ck_assert_uint_eq(e.len, 0);
	for (size_t i = 1; i <= 5; i++) {
		ck_assert(cpio_next(c.buf, c.len, &at, &e));
		ck_assert_uint_eq(strlen(e.name), i);
		ck_assert_uint_eq(e.len, i);
		ck_assert_mem_eq(e.data, "12345", i);
		ck_assert_uint_eq(e.mode, S_IFREG | (i == 2 ? 0755u : 0644u));
	}
	ck_assert(!cpio_next(c.buf, c.len, &at, &e));
	ck_assert_uint_eq(at, c.len);
	free(c.buf);
}
END_TEST

START_TEST(same_every_time)
{
	struct cpio a = { 0 }, b = { 0 };

	fill(&a);
	fill(&b);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_eq(a.buf, b.buf, a.len);
	free(a.buf);
	free(b.buf);
}
END_TEST

/* At each limit the archive is whole or has failed, and never passes the limit. */
START_TEST(keeps_its_limit)
{
	struct cpio whole = { 0 };

	fill(&whole);
	for (size_t max = 0; max <= whole.len; max++) {
		struct cpio c = { .max = max };

		cpio_dir(&c, "dev", 0755);
		cpio_file(&c, "abcde", 0644, "12345", 5);
		cpio_end(&c);
		ck_assert(c.len <= max);
		ck_assert(c.failed == (c.len < 116 + 124 + 124));
		if (c.failed)
			ck_assert_ptr_null(cpio_reserve(&c, "x", 0644, 0)); /* even what would fit */
		free(c.buf);
	}
	free(whole.buf);
}
END_TEST

START_TEST(refuses_4_gib)
{
	struct cpio c = { .max = SIZE_MAX / 2 };

	ck_assert_ptr_null(cpio_reserve(&c, "big", 0644, (size_t)UINT32_MAX + 1));
	ck_assert(c.failed);
	free(c.buf);
}
END_TEST

START_TEST(cpio_reads_it)
{
	static const char want[] = "dev\ndev/console\nempty\na\nab\nabc\nabcd\nabcde\n";
	char dir[64], cmd[160], got[256] = "";
	struct cpio c = { 0 };
	FILE *p;

	if (access("/bin/cpio", X_OK) && access("/usr/bin/cpio", X_OK))
		return; /* the parser above has looked already */
	tree_make(dir);
	fill(&c);
	tree_put(dir, "archive", c.buf, c.len);
	snprintf(cmd, sizeof(cmd), "cpio --quiet -t <%s/archive", dir);
	p = popen(cmd, "r");
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(fread(got, 1, sizeof(got) - 1, p), strlen(want));
	ck_assert_int_eq(pclose(p), 0);
	ck_assert_str_eq(got, want);
	free(c.buf);
	tree_remove(dir);
}
END_TEST

int main(void)
{
	return test_main("cpio", (const TTest *const[]){ reads_back, same_every_time, keeps_its_limit, refuses_4_gib,
							 cpio_reads_it, NULL });
}
