/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_virtq.c - the queue by itself, and the cursor over its requests: any layout, any ring memory, calls in any order,
 * memory that changes between two looks.
 *
 * What must hold: what vq_pop() gives lies in RAM, within the limits, its lengths add up; no head is out twice; a queue
 * that broke stays so until reset, having told once; nothing but the used area and the bytes given is ever written.
 */
#include <errno.h>
#include "fuzz_guest.h"
#include "segs.h"

const char fuzz_name[] = "virtq";

static struct fuzz_guest g; /* its memory alone */
static struct virtq q;
static struct virtq_req req;
static struct virtq_layout layout;
static bool out[VIRTQ_MAX_SIZE]; /* heads that we hold */
static unsigned n_out, faults;
static bool was_popped; /* the latest call was a vq_pop() that gave REQ */

static void fault(struct virtq *vq, const char *why)
{
	FUZZ_ASSERT(vq == &q && q.broken);
	FUZZ_ASSERT(*why && strlen(why) < 160);
	faults++;
}

static bool in_ram(const void *p, size_t len)
{
	uintptr_t low = (uintptr_t)p - (uintptr_t)g.low, high = (uintptr_t)p - (uintptr_t)g.high;

	return (low < FUZZ_LOW_SIZE && len <= FUZZ_LOW_SIZE - low) || (high < FUZZ_HIGH_SIZE && len <= FUZZ_HIGH_SIZE - high);
}

/* Whatever of the used area the queue wrote is all right. */
static void accept_used(void)
{
	if (q.live)
		fuzz_may_write(&g, layout.used.addr, 6 + 8u * q.size);
}

static void forget(void)
{
	memset(out, 0, sizeof(out));
	n_out = faults = 0;
	was_popped = false;
}

static void op_activate(void)
{
	uint8_t how = fuzz_u8(&g.in);
	const char *why = NULL;
	uint64_t at = fuzz_gpa(&g.in);
	struct fuzz_ring *r = &g.ring[0];
	int ret;

	accept_used();
	layout.size = how & 64 ? fuzz_u16(&g.in) : (uint16_t)(1u << (how & 7));
	layout.desc = GPA(at);
	layout.avail = GPA(how & 16 ? fuzz_gpa(&g.in) : at + 16u * layout.size);
	layout.used = GPA(how & 32 ? fuzz_gpa(&g.in) : align_up(layout.avail.addr + 6 + 2u * layout.size, 4));
	ret = vq_activate(&q, &g.mem, &layout, how & 8, how & 128 ? true : false, &why);
	forget();
	FUZZ_ASSERT(ret == 0 ? q.live && !q.broken : ret == -EINVAL && why && !q.live);
	if (ret)
		return;
	FUZZ_ASSERT(in_ram(q.desc, 16u * q.size) && in_ram(q.avail, 6 + 2u * q.size) && in_ram(q.used, 6 + 8u * q.size));
	FUZZ_ASSERT(is_power_of_2(q.size) && q.size <= VIRTQ_MAX_SIZE);
	r->size = layout.size;
	r->desc = layout.desc.addr;
	r->avail = layout.avail.addr;
	r->used = layout.used.addr;
	r->avail_idx = (uint16_t)fuzz_uint(&g.in, how & 4 ? 2 : 0);
	r->next = 0;
}

/* The device may write what it was given for that. */
static void accept_segs(const struct iovec *iov, unsigned n)
{
	for (; n; n--, iov++)
		if (iov->iov_len)
			memcpy(fuzz_shadow(&g, iov->iov_base), iov->iov_base, iov->iov_len);
}

static void check_request(void)
{
	uint64_t len[2] = { 0, 0 };

	FUZZ_ASSERT(req.head < q.size);
	FUZZ_ASSERT(!out[req.head]);
	FUZZ_ASSERT(req.n_out + req.n_in >= 1 && req.n_out + req.n_in <= VIRTQ_MAX_SEGS);
	for (unsigned i = 0; i < (unsigned)req.n_out + req.n_in; i++) {
		FUZZ_ASSERT(in_ram(req.iov[i].iov_base, req.iov[i].iov_len));
		len[i >= req.n_out] += req.iov[i].iov_len;
	}
	FUZZ_ASSERT(len[0] == req.out_len && len[1] == req.in_len);
}

static void op_pop(void)
{
	bool usable = q.live && !q.broken;
	int ret = vq_pop(&q, &req);

	FUZZ_ASSERT(ret == 0 || ret == 1 || ret == -EPROTO);
	FUZZ_ASSERT(usable || ret == -EPROTO);
	FUZZ_ASSERT(ret != -EPROTO || !q.live || q.broken);
	was_popped = ret == 1;
	if (ret != 1)
		return;
	check_request();
	out[req.head] = true;
	n_out++;
}

static void op_unpop(void)
{
	if (!was_popped)
		return;
	vq_unpop(&q, &req);
	if (!q.broken) {
		out[req.head] = false;
		n_out--;
	}
	was_popped = false;
}

static void op_push(void)
{
	uint16_t head = fuzz_u8(&g.in) & 1 ? req.head : fuzz_u16(&g.in), before = q.next_used;
	bool ours = head < VIRTQ_MAX_SIZE && out[head] && q.live && !q.broken;

	vq_push(&q, head, (uint32_t)fuzz_value(&g.in));
	FUZZ_ASSERT((uint16_t)(q.next_used - before) == ours);
	if (ours) {
		out[head] = false;
		n_out--;
	}
	was_popped = false;
}

/* Any use of the two cursors; what they have left is what was there less what they gave. */
static void op_segs(void)
{
	struct segs s;
	uint8_t b = fuzz_u8(&g.in), buf[512];
	struct iovec given[VIRTQ_MAX_SEGS];
	size_t left, want;
	bool in = b & 1, done;

	if (!was_popped)
		return;
	memcpy(given, req.iov + req.n_out, req.n_in * sizeof(given[0]));
	s = in ? segs_in(&req) : segs_out(&req);
	for (unsigned n = b >> 1 & 7; n; n--) {
		b = fuzz_u8(&g.in);
		want = (b >> 2) * 8;
		left = s.left;
		switch (b & 3) {
		case 0:
			FUZZ_ASSERT(segs_skip(&s, want) == MIN(want, left));
			FUZZ_ASSERT(s.left == left - MIN(want, left));
			break;
		case 1:
			FUZZ_ASSERT(!segs_last_byte(&s) == !left);
			FUZZ_ASSERT(s.left == left - !!left);
			break;
		default:
			memset(buf, b, sizeof(buf));
			done = in ? segs_put(&s, buf, want) : segs_take(&s, buf, want);
			FUZZ_ASSERT(done == (want <= left));
			FUZZ_ASSERT(s.left == (done ? left - want : left));
			break;
		}
		for (unsigned i = 0; i < s.n; i++)
			FUZZ_ASSERT(in_ram(s.iov[i].iov_base, s.iov[i].iov_len));
	}
	/* The cursor works in place: the request's segments are used up, its head is not. */
	was_popped = false;
	if (in)
		accept_segs(given, req.n_in);
	req.n_out = req.n_in = 0;
}

static void op(void)
{
	uint8_t b = fuzz_u8(&g.in);
	struct fuzz_mutation *m;
	uint64_t addr;

	switch (b & 15) {
	case 0:
		op_activate();
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		op_pop();
		break;
	case 5:
		op_unpop();
		break;
	case 6:
	case 7:
		op_push();
		break;
	case 8:
		vq_should_signal(&q);
		break;
	case 9:
		vq_notify_on(&q);
		break;
	case 10:
		vq_notify_off(&q);
		break;
	case 11:
		fuzz_wild_chain(&g, &g.ring[0]);
		break;
	case 12:
		addr = b & 16 ? g.ring[0].desc + fuzz_u8(&g.in) : fuzz_gpa(&g.in);
		fuzz_poke(&g, addr, fuzz_value(&g.in), 1u << (b >> 5 & 3));
		break;
	case 13:
		m = &g.mut[b >> 4 & 1];
		*m = (struct fuzz_mutation){ .left = 1 + (b >> 5), .size = 4, .addr = g.ring[0].desc + fuzz_u16(&g.in) % 2048,
					     .val = fuzz_value(&g.in) };
		break;
	case 14:
		op_segs();
		break;
	default:
		accept_used();
		vq_reset(&q);
		forget();
		break;
	}
	FUZZ_ASSERT(faults == (q.live && q.broken));
	FUZZ_ASSERT(!q.live || q.broken || q.popped - q.pushed == n_out);
}

/* After a reset, a correct driver's request comes through as it is. */
static void still_works(void)
{
	static const struct virtq_layout good = { 4, GPA(FUZZ_LOW), GPA(FUZZ_LOW + 0x100), GPA(FUZZ_LOW + 0x200) };
	struct fuzz_ring *r = &g.ring[0];
	const char *why;
	uint32_t len;

	memset(g.mut, 0, sizeof(g.mut));
	memset(g.low, 0, 0x1000);
	FUZZ_ASSERT(vq_activate(&q, &g.mem, &good, true, true, &why) == 0);
	*r = (struct fuzz_ring){ .desc = good.desc.addr, .avail = good.avail.addr, .used = good.used.addr, .size = 4 };
	fuzz_offer(&g, r, &(struct fuzz_seg){ FUZZ_HIGH, 100, true }, 1, FUZZ_LOW + 0x800);
	FUZZ_ASSERT(vq_pop(&q, &req) == 1 && req.n_in == 1 && req.in_len == 100 && req.iov[0].iov_base == g.high);
	vq_push(&q, req.head, 5);
	FUZZ_ASSERT(vq_should_signal(&q));
	FUZZ_ASSERT(fuzz_used(&g, r, &len) && len == 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_guest_now = NULL;
	if (!g.low)
		fuzz_guest_init(&g);
	memset(g.low, 0, FUZZ_LOW_SIZE);
	memset(g.high, 0, FUZZ_HIGH_SIZE);
	memset(g.mut, 0, sizeof(g.mut));
	memset(&g.ring[0], 0, offsetof(struct fuzz_ring, req));
	memset(g.shadow, 0, FUZZ_LOW_SIZE + FUZZ_HIGH_SIZE);
	q = (struct virtq){ .fault = fault };
	req.head = req.n_out = req.n_in = 0;
	forget();
	g.in = (struct fuzz){ data, data + size };
	fuzz_guest_now = &g;
	while (fuzz_more(&g.in))
		op();
	accept_used();
	fuzz_memory_same(&g);
	still_works();
	return 0;
}
