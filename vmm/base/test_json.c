/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_json.c - what is JSON and what is not, values and their bounds, and that what was written is read back. */
#include "json.h"
#include "tinyvmm.h"

#include <errno.h>
#include "bits.h"
#include "test.h"

static struct json j;

static int parse(const char *text)
{
	return json_parse(&j, text, strlen(text));
}

START_TEST(accepts_and_refuses)
{
	static const char *const good[] = {
		"null", " true ", "false", "0", "-0", "-12.5e+3", "1E9", "\"\"", "\"\\u00e9\\ud83d\\ude00\"", "[]", "{}", "[ ]",
		"{\"a\":[1,2,{\"b\":null}],\"c\":\"d\"}", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "\"\xc3\xa9\"", "[1,2]\n",
	};
	static const char *const bad[] = {
		"", " ", "nul", "tru", "01", "-", "1.", "1.e3", ".5", "1e", "+1", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\n\"",
		"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "[", "[1", "[1,",
		"[1,]", "[,1]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{1:2}", "{\"a\" 1}", "[1 2]", "[}",
		"{]", "]", "1 2", "{} x", "'a'", "nullx",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(parse(good[i]) == 0, "refused: %s", good[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(parse(bad[i]) == -EINVAL, "accepted: %s", bad[i]);
	ck_assert_int_eq(json_parse(&j, "\"a\0b\"", 5), -EINVAL);
}
END_TEST

START_TEST(bounds)
{
	static char text[2 * JSON_VALUES_MAX + 4];
	unsigned n = 0;

	ck_assert_int_eq(parse("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), -E2BIG);
	text[n++] = '[';
	for (unsigned i = 0; i < JSON_VALUES_MAX - 1; i++) {
		text[n++] = '0';
		text[n++] = ',';
	}
	text[n - 1] = ']';
	ck_assert_int_eq(json_parse(&j, text, n), 0);
	ck_assert_uint_eq(j.n, JSON_VALUES_MAX);
	memcpy(text + n - 1, ",0]", 3);
	ck_assert_int_eq(json_parse(&j, text, n + 2), -E2BIG);
	ck_assert_int_eq(json_parse(&j, text, (size_t)JSON_TEXT_MAX + 1), -E2BIG);
}
END_TEST

START_TEST(values)
{
	char buf[8];
	uint64_t u = 7;
	int64_t i = 7;
	bool b = false;
	int a, e;

	ck_assert_int_eq(parse("{\"a\":[1,[2,3],{\"x\":4}],\"s\":\"a\\n\\u00e9\",\"u\":18446744073709551615,\"o\":18446744073709551616,"
			       "\"n\":-9223372036854775808,\"f\":1.5,\"t\":true,\"a\":9,\"z\":\"\\u0000\",\"k\\u0065y\":6}"), 0);
	a = json_get(&j, 0, "a");
	e = json_first(&j, a);
	ck_assert(json_u64(&j, e, &u) && u == 1);
	e = json_after(&j, a, e);
	ck_assert(json_is(&j, e, JSON_ARRAY));
	e = json_after(&j, a, e);
	ck_assert(json_u64(&j, json_get(&j, e, "x"), &u) && u == 4);
	ck_assert_int_eq(json_after(&j, a, e), -1);
	ck_assert(json_decode(&j, json_get(&j, 0, "s"), buf, 5));
	ck_assert_str_eq(buf, "a\n\xc3\xa9");
	ck_assert(!json_decode(&j, json_get(&j, 0, "s"), buf, 4));
	ck_assert(!json_decode(&j, json_get(&j, 0, "z"), buf, sizeof(buf)));
	ck_assert(json_u64(&j, json_get(&j, 0, "u"), &u) && u == UINT64_MAX);
	ck_assert(!json_i64(&j, json_get(&j, 0, "u"), &i));
	ck_assert(!json_u64(&j, json_get(&j, 0, "o"), &u));
	ck_assert(!json_u64(&j, json_get(&j, 0, "n"), &u));
	ck_assert(json_i64(&j, json_get(&j, 0, "n"), &i) && i == INT64_MIN);
	ck_assert(!json_u64(&j, json_get(&j, 0, "f"), &u) && !json_i64(&j, json_get(&j, 0, "f"), &i));
	ck_assert(json_bool(&j, json_get(&j, 0, "t"), &b) && b);
	ck_assert(json_u64(&j, json_get(&j, 0, "key"), &u) && u == 6);
	ck_assert_int_eq(json_get(&j, 0, "b"), -1);
	ck_assert_int_eq(json_get(&j, a, "a"), -1);
	ck_assert_int_eq(json_get(&j, -1, "a"), -1);
	ck_assert(json_decode(&j, json_first(&j, 0), buf, sizeof(buf)) && !strcmp(buf, "a"));
	ck_assert(json_decode(&j, json_after(&j, 0, json_first(&j, 0) + 1), buf, sizeof(buf)) && !strcmp(buf, "s"));
	ck_assert_int_eq(json_first(&j, json_get(&j, 0, "t")), -1);
	ck_assert_int_eq(json_first(&j, -1), -1);
	ck_assert(!json_u64(&j, -1, &u) && !json_bool(&j, -1, &b) && !json_decode(&j, -1, buf, 8));
}
END_TEST

START_TEST(written)
{
	char buf[256], back[16];
	struct json_out o;

	json_begin(&o, buf, sizeof(buf));
	json_open(&o, NULL, '{');
	json_put_string(&o, "s", "q\"\\\n\x01\xff\xc3\xa9");
	json_put_u64(&o, "u", UINT64_MAX);
	json_open(&o, "a", '[');
	json_put_i64(&o, NULL, -1);
	json_put_bool(&o, NULL, true);
	json_open(&o, NULL, '{');
	json_close(&o, '}');
	json_close(&o, ']');
	json_put_bool(&o, "f", false);
	json_close(&o, '}');
	ck_assert(!o.full);
	ck_assert_str_eq(buf, "{\"s\":\"q\\\"\\\\\\n\\u0001\\ufffd\xc3\xa9\",\"u\":18446744073709551615,\"a\":[-1,true,{}],\"f\":false}");
	ck_assert_int_eq(json_parse(&j, buf, o.len), 0);
	ck_assert(json_decode(&j, json_get(&j, 0, "s"), back, sizeof(back)));
	ck_assert_str_eq(back, "q\"\\\n\x01\xef\xbf\xbd\xc3\xa9");
}
END_TEST

/* At every size it fits or says that it does not, and never writes beyond. */
START_TEST(quoted)
{
	char buf[64];

	ck_assert_int_eq(tvmm_json_quote(buf, sizeof(buf), "a\"\x01\xff"), 0);
	ck_assert_str_eq(buf, "\"a\\\"\\u0001\\ufffd\"");
	ck_assert_int_eq(tvmm_json_quote(buf, 5, "ab"), 0); /* to the byte */
	ck_assert_int_eq(tvmm_json_quote(buf, 4, "ab"), -ENOSPC);
	ck_assert_int_eq(tvmm_json_quote(buf, 0, ""), -ENOSPC);
	/* What always does. */
	ck_assert_int_eq(tvmm_json_quote(buf, 6 * 3 + 3, "\x01\x02\xff"), 0);
}
END_TEST

START_TEST(full)
{
	char buf[64];

	for (size_t size = 1; size < sizeof(buf); size++) {
		struct json_out o;

		memset(buf, 'x', sizeof(buf));
		json_begin(&o, buf, size);
		json_open(&o, NULL, '{');
		json_put_string(&o, "key", "a\nb");
		json_close(&o, '}');
		ck_assert_int_eq(o.full, size <= strlen("{\"key\":\"a\\nb\"}"));
		ck_assert_uint_lt(strlen(buf), size);
		ck_assert_int_eq(buf[size], 'x');
	}
}
END_TEST

int main(void)
{
	return test_main("json", (const TTest *const[]){ accepts_and_refuses, bounds, values, written, quoted, full, NULL });
}
