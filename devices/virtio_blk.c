/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_blk.c - requests taken from the queues, started on the disk, and answered in the order in which they are done.
 *
 * Notifications come as visits of the vCPU (virtio.h), in which a request that needs no waiting is served before the guest
 * goes on; under load they are off, and the loop's thread looks into the queue in times of its own (pace.h).
 *
 * A request that is under way has a slot: a copy of its segments, and where its status goes.  When all slots are taken,
 * queues wait.  A reset is over when the last slot is free (blk_settle), so nothing writes guest memory after it.
 *
 * A request is a header (16 readable bytes), data, and a status byte, the last writable one; a driver may split these
 * as it likes.  Every request that was taken is handed back exactly once, whatever is in it: a header that cannot be
 * read, a sector beyond the end, an unknown type get a status and no more.  A request without room for a status breaks
 * the device: there is no other way to answer it.
 */
#include "virtio_blk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "bits.h"
#include "evtimer.h"
#include "segs.h"
#include "virtio_blk_config.h"

#define QUEUE_SIZE 256
#define BATCH      32 /* requests a turn; then other devices have theirs */
#define BATCH_VISIT 8 /* the same for a vCPU */
#define SPIN_MAX_NS 1000000u /* the thread that looks with open eyes lets others have their turn after this */
#define SECTOR     VIRTIO_BLK_SECTOR

#define F_SEG_MAX  BIT_ULL(2)
#define F_RO       BIT_ULL(5)
#define F_BLK_SIZE BIT_ULL(6)
#define F_FLUSH    BIT_ULL(9)
#define F_TOPOLOGY BIT_ULL(10)
#define F_MQ       BIT_ULL(12)
#define F_DISCARD  BIT_ULL(13)
#define F_ZEROES   BIT_ULL(14)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
static_assert(sizeof(struct blk_header) == 16, "virtio 1.2, 5.2.6");

/* One range of a discard or write-zeroes request (5.2.6). */
struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
static_assert(sizeof(struct blk_range) == 16, "virtio 1.2, 5.2.6");

#define RANGE_UNMAP BIT(0)

static struct virtio_blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

/* A request under way. */
struct blk_slot {
	struct disk_io io;
	struct virtio_blk *b;
	uint16_t q;
	uint8_t *status;    /* in guest memory */
	uint32_t room;      /* bytes before it in the writable part */
	uint32_t written;   /* if it ends well */
	uint32_t type;
	uint16_t n_ranges, range; /* of discard and write zeroes: how many, and which is under way */
	struct blk_range ranges[VIRTIO_BLK_DISCARD_RANGES];
	struct virtq_req req;
};

/* Is [sector, sector + len) inside the disk, in whole sectors?  Its first byte goes to *OFF. */
static bool range_ok(const struct virtio_blk *b, uint64_t sector, size_t len, uint64_t *off)
{
	uint64_t end;

	return len % SECTOR == 0 && !__builtin_mul_overflow(sector, (uint64_t)SECTOR, off) &&
	       !__builtin_add_overflow(*off, len, &end) && end <= b->disk->size;
}

/* ---- the end of a request ----------------------------------------------------------------------------------------- */

static void blk_work(struct virtio_blk *b, unsigned q);

/* Once for all that was done in one turn. */
static void after_turn(struct disk_after *a)
{
	struct virtio_blk *b = container_of(a, struct virtio_blk, after);
	uint32_t starved = b->starved;

	for (; b->to_signal; b->to_signal &= b->to_signal - 1)
		virtio_signal(&b->dev, (unsigned)__builtin_ctz(b->to_signal));
	b->starved = 0;
	for (; starved && !b->stopping; starved &= starved - 1)
		blk_work(b, (unsigned)__builtin_ctz(starved));
}

/* Answers, and frees the slot. */
static void answer(struct blk_slot *s, uint8_t status)
{
	struct virtio_blk *b = s->b;
	uint32_t written = status == S_OK ? s->written : 0;

	if (!b->stopping) {
		*s->status = status;
		/* What the driver may trust is a prefix: all of the data and the status behind it, or nothing. */
		vq_push(&b->dev.queue[s->q].vq, s->req.head, written == s->room ? written + 1 : written);
		b->to_signal |= BIT(s->q);
	}
	b->free[b->n_free++] = (uint16_t)(s - b->slots);
	disk_call_after(b->engine, &b->after);
}

static uint8_t status_of(int ret)
{
	return !ret ? S_OK : ret == -EOPNOTSUPP ? S_UNSUPP : S_IOERR;
}

static void next_range(struct blk_slot *s);

/* A step of the request is done. */
static void io_done(struct disk_io *io, int ret)
{
	struct blk_slot *s = container_of(io, struct blk_slot, io);
	struct virtio_blk *b = s->b;
	enum disk_op was = io->op;

	if (ret && ret != -EOPNOTSUPP)
		atomic_fetch_add_explicit(&b->disk->errors, 1, memory_order_relaxed);
	if (ret || b->stopping) {
		/* Only discarding is something that a disk may not know. */
		answer(s, was == DISK_DISCARD ? status_of(ret) : S_IOERR);
		return;
	}
	if (s->range < s->n_ranges && ++s->range < s->n_ranges) {
		next_range(s);
		return;
	}
	/* A driver that does not know of flushing takes a write that is done for one that is safe (5.2.6.2). */
	if ((was == DISK_WRITE || was == DISK_ZERO) && !virtio_has(&b->dev, F_FLUSH)) {
		io->op = DISK_FLUSH;
		disk_submit(b->engine, b->disk, io);
		return;
	}
	answer(s, S_OK);
}

/* ---- its start ---------------------------------------------------------------------------------------------------- */

/* Each of these has the request under way (and returns true), or nothing to wait for, with *STATUS the answer. */
static bool transfer(struct blk_slot *s, enum disk_op op, uint64_t sector, struct segs *data, uint8_t *status)
{
	struct virtio_blk *b = s->b;
	uint64_t off;

	*status = S_IOERR;
	if ((op == DISK_WRITE && b->disk->ro) || !range_ok(b, sector, data->left, &off))
		return false;
	s->written = op == DISK_READ ? (uint32_t)data->left : 0;
	if (!data->left && (op == DISK_READ || virtio_has(&b->dev, F_FLUSH))) {
		*status = S_OK;
		return false;
	}
	s->io = (struct disk_io){ .op = data->left ? op : DISK_FLUSH, .iov = data->iov, .n = data->n, .off = off, .len = data->left,
				  .done = io_done };
	disk_submit(b->engine, b->disk, &s->io);
	return true;
}

static bool flush(struct blk_slot *s)
{
	s->io = (struct disk_io){ .op = DISK_FLUSH, .done = io_done };
	disk_submit(s->b->engine, s->b->disk, &s->io);
	return true;
}

/* Starts the next range that is not empty.  The ranges were looked at in do_ranges(), and the disk's size is ours. */
static void next_range(struct blk_slot *s)
{
	const struct blk_range *r = &s->ranges[s->range];

	s->io = (struct disk_io){ .op = s->type == T_ZEROES ? DISK_ZERO : DISK_DISCARD, .unmap = le32toh(r->flags) & RANGE_UNMAP,
				  .off = le64toh(r->sector) * SECTOR, .len = (uint64_t)le32toh(r->sectors) * SECTOR,
				  .done = io_done };
	disk_submit(s->b->engine, s->b->disk, &s->io);
}

static uint8_t range_status(const struct virtio_blk *b, uint32_t type, const struct blk_range *r)
{
	uint32_t sectors = le32toh(r->sectors), flags = le32toh(r->flags);
	uint64_t off;

	/* Unknown flags, and unmap where it means nothing, are unsupported (5.2.6.2). */
	if (flags & ~(type == T_ZEROES ? RANGE_UNMAP : 0u))
		return S_UNSUPP;
	if (sectors > (type == T_ZEROES ? VIRTIO_BLK_ZEROES_SECTORS : VIRTIO_BLK_DISCARD_SECTORS) ||
	    !range_ok(b, le64toh(r->sector), (uint64_t)sectors * SECTOR, &off))
		return S_IOERR;
	return S_OK;
}

/* All ranges are read and looked at before the first is acted on, so that a request that is malformed does nothing. */
static bool do_ranges(struct blk_slot *s, struct segs *out, uint8_t *status)
{
	struct virtio_blk *b = s->b;
	size_t n = out->left / sizeof(s->ranges[0]), max = s->type == T_ZEROES ? 1 : VIRTIO_BLK_DISCARD_RANGES;
	bool short_or_long = !n || n > max || out->left % sizeof(s->ranges[0]);

	*status = S_UNSUPP;
	if (!virtio_has(&b->dev, s->type == T_ZEROES ? F_ZEROES : F_DISCARD))
		return false;
	*status = S_IOERR;
	if (b->disk->ro || short_or_long || !segs_take(out, s->ranges, n * sizeof(s->ranges[0])))
		return false;
	for (size_t i = 0; i < n; i++) {
		*status = range_status(b, s->type, &s->ranges[i]);
		if (*status != S_OK)
			return false;
		if (s->ranges[i].sectors)
			s->ranges[s->n_ranges++] = s->ranges[i];
	}
	if (!s->n_ranges)
		return false;
	next_range(s);
	return true;
}

static bool get_id(struct blk_slot *s, struct segs *in, uint8_t *status)
{
	size_t len = MIN(in->left, sizeof(s->b->serial));

	s->written = (uint32_t)len;
	*status = segs_put(in, s->b->serial, len) ? S_OK : S_IOERR;
	return false;
}

static bool start(struct blk_slot *s, struct segs *out, struct segs *in, uint8_t *status)
{
	struct blk_header h;

	*status = S_IOERR;
	if (!segs_take(out, &h, sizeof(h)))
		return false;
	s->type = le32toh(h.type);
	switch (s->type) {
	case T_IN:
		return transfer(s, DISK_READ, le64toh(h.sector), in, status);
	case T_OUT:
		return transfer(s, DISK_WRITE, le64toh(h.sector), out, status);
	case T_FLUSH:
		return flush(s);
	case T_GET_ID:
		return get_id(s, in, status);
	case T_DISCARD:
	case T_ZEROES:
		return do_ranges(s, out, status);
	default:
		*status = S_UNSUPP;
		return false;
	}
}

/* Takes S from the free slots and starts its request.  False: there is no place for an answer. */
static bool handle(struct blk_slot *s, unsigned q, uint64_t now)
{
	struct virtio_blk *b = s->b;
	struct segs out = segs_out(&s->req), in = segs_in(&s->req);
	uint8_t status;

	s->status = segs_last_byte(&in);
	if (!s->status)
		return false;
	b->n_free--;
	s->q = (uint16_t)q;
	s->room = (uint32_t)in.left;
	s->written = 0;
	s->n_ranges = s->range = 0;
	if (b->timer.fd >= 0)
		ratelimit_take(&b->limit, now, s->req.out_len + (uint64_t)s->req.in_len - MIN(17u, s->req.out_len), 1);
	if (!start(s, &out, &in, &status))
		answer(s, status);
	return true;
}

static uint64_t now_if_limited(const struct virtio_blk *b)
{
	return b->timer.fd >= 0 ? b->dev.loop->host->now_ns(b->dev.loop->host) : 0;
}

/* Must queue Q wait for its allowance?  Then the timer will tell. */
static bool must_wait(struct virtio_blk *b, unsigned q, uint64_t now)
{
	uint64_t wait = b->timer.fd >= 0 ? ratelimit_wait(&b->limit, now) : 0;

	if (!wait || evtimer_set(&b->timer, b->dev.loop, now + wait) < 0)
		return false;
	b->limited |= BIT(q);
	return true;
}

/*
 * Starts up to MAX requests, *N so far.  True: the queue is empty.  False: there may be more; somebody will come for them,
 * unless *N is MAX.
 */
static bool take_requests(struct virtio_blk *b, unsigned q, unsigned max, unsigned *n)
{
	struct virtq *vq = &b->dev.queue[q].vq;
	uint64_t now = now_if_limited(b);

	for (;;) {
		struct blk_slot *s;

		if (must_wait(b, q, now))
			return false;
		if (!b->n_free) {
			b->starved |= BIT(q);
			return false;
		}
		if (*n == max)
			return false;
		s = &b->slots[b->free[b->n_free - 1]];
		s->b = b;
		if (vq_pop(vq, &s->req) != 1)
			return true;
		if (!handle(s, q, now)) {
			virtio_break(&b->dev, "request %u has no room for a status", s->req.head);
			return false;
		}
		++*n;
	}
}

static void come_again(struct virtio_blk *b, unsigned q)
{
	b->again |= BIT(q);
	virtio_again(&b->dev, q);
}

static void blk_work(struct virtio_blk *b, unsigned q)
{
	struct virtq *vq = &b->dev.queue[q].vq;
	unsigned n = 0, max = b->dev.loop->visited ? BATCH_VISIT : BATCH;

	do
		vq_notify_off(vq);
	while (take_requests(b, q, max, &n) && vq_notify_on(vq));
	if (n == max)
		come_again(b, q);
	disk_kick(b->engine);
}

/* ---- pace --------------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(const struct virtio_blk *b)
{
	return b->dev.loop->host->now_ns(b->dev.loop->host);
}

/* Leaves notifications of queue Q off for WAIT.  False: there is no timer to rely on. */
static bool look_later(struct virtio_blk *b, unsigned q, uint64_t now, uint64_t wait)
{
	if (!b->look_ns || now + wait < b->look_ns) {
		if (evtimer_set(&b->look, b->dev.loop, now + wait) < 0)
			return false;
		b->look_ns = now + wait;
	}
	b->quiet |= BIT(q);
	return true;
}

/* Serves queue Q until it is empty, and if there is a CPU to spare, until it has been so for a while; how many there were. */
static unsigned serve(struct virtio_blk *b, unsigned q, bool *more)
{
	uint64_t begin = now_ns(b), last = begin, now;
	unsigned sum = 0;

	do {
		unsigned n = 0;

		take_requests(b, q, BATCH, &n);
		disk_reap(b->engine); /* what is done meanwhile does not wait for us either */
		now = now_ns(b);
		last = n ? now : last;
		sum += n;
	} while (now - last < b->spin_ns && now - begin < SPIN_MAX_NS);
	*more = b->spin_ns && now - last < b->spin_ns;
	return sum;
}

/* One look at queue Q, whose notifications are off, and on to the next or back to them. */
static void look(struct virtio_blk *b, unsigned q)
{
	struct virtq *vq = &b->dev.queue[q].vq;
	uint64_t wait;
	bool more;

	if (!vq->live || vq->broken)
		return;
	wait = pace_looked(&b->pace[q], serve(b, q, &more));
	if (more)
		come_again(b, q);
	else if (!wait || b->spin_ns || !look_later(b, q, now_ns(b), wait))
		blk_work(b, q);
}

static void look_ready(struct evsource *src, uint32_t events)
{
	struct virtio_blk *b = container_of(src, struct virtio_blk, look);
	uint32_t quiet = b->quiet;

	b->quiet = 0;
	b->look_ns = 0;
	for (; quiet; quiet &= quiet - 1)
		look(b, (unsigned)__builtin_ctz(quiet));
}

static void blk_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_blk *b = to_blk(dev);
	bool again = b->again & BIT(q), deep = pace_is_deep(&b->pace[q]);

	if (b->quiet & BIT(q))
		return;
	if (b->spin_ns && deep) {
		/* The loop's thread, while the guest goes on. */
		if (dev->loop->visited && !again)
			come_again(b, q);
		if (dev->loop->visited)
			return;
		b->again &= ~BIT(q);
		look(b, q);
		return;
	}
	b->again &= ~BIT(q);
	if (b->look.fd >= 0 && !again) {
		uint64_t now = now_ns(b), wait = pace_notified(&b->pace[q], now);

		if (wait && look_later(b, q, now, wait)) {
			vq_notify_off(&dev->queue[q].vq);
			return;
		}
	}
	blk_work(b, q);
}

static void limit_over(struct evsource *src, uint32_t events)
{
	struct virtio_blk *b = container_of(src, struct virtio_blk, timer);
	uint32_t queues = b->limited;

	evtimer_take(src, b->dev.loop);
	b->limited = 0;
	for (; queues; queues &= queues - 1)
		blk_work(b, (unsigned)__builtin_ctz(queues));
}

/* ---- reset -------------------------------------------------------------------------------------------------------- */

static void blk_activate(struct virtio_dev *dev)
{
	to_blk(dev)->stopping = false;
}

static void blk_reset(struct virtio_dev *dev)
{
	struct virtio_blk *b = to_blk(dev);

	b->stopping = true;
	b->to_signal = b->starved = b->limited = b->quiet = b->again = 0;
	memset(b->pace, 0, sizeof(b->pace));
}

struct settling {
	struct virtio_blk *b;
	bool settled;
};

static void look_again(void *arg)
{
	struct settling *s = arg;

	disk_reap(s->b->engine);
	s->settled = s->b->n_free == VIRTIO_BLK_SLOTS;
}

static bool blk_settle(struct virtio_dev *dev, unsigned limit_ms)
{
	const struct host *h = dev->loop->host;
	struct settling s = { .b = to_blk(dev) };
	uint64_t end = h->now_ns(h) + limit_ms * 1000000ull;

	for (;;) {
		evloop_call(dev->loop, look_again, &s);
		if (s.settled || h->now_ns(h) >= end)
			return s.settled;
		disk_engine_wait(s.b->engine);
	}
}

static const struct virtio_class blk_class = {
	.name = "virtio-blk",
	.device_id = 2,
	.pci_class = 0x010000, /* SCSI storage, as other machines have it */
	.visit_notify = true,
	.activate = blk_activate,
	.reset = blk_reset,
	.settle = blk_settle,
	.notify = blk_notify,
	.config_read = virtio_blk_config_read,
};

static int make_timers(struct virtio_blk *b, struct evloop *loop, bool batches, struct tvmm_error *err)
{
	b->timer.fd = b->look.fd = -1;
	if (ratelimit_is_set(&b->limit))
		return evtimer_init(&b->timer, loop, EPOLLIN, limit_over, err);
	/* At its edge: it is set anew each time, and never read. */
	return b->engine && batches ? evtimer_init(&b->look, loop, EPOLLIN | EPOLLET, look_ready, err) : 0;
}

int virtio_blk_init(struct virtio_blk *b, const char *name, struct disk *disk, const struct virtio_blk_opts *o,
		    const struct gmem *mem, struct evloop *loop, struct log *log, struct tvmm_error *err)
{
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | (disk->ro ? F_RO : F_DISCARD | F_ZEROES) |
			    (o->queues > 1 ? F_MQ : 0);
	int ret;

	*b = (struct virtio_blk){ .disk = disk, .engine = o->engine, .capacity = disk->size / SECTOR, .limit = o->limit,
				  .spin_ns = o->spin_us * 1000u };
	/* A megabyte, of which only what is used is ever touched. */
	b->slots = calloc(VIRTIO_BLK_SLOTS, sizeof(*b->slots));
	if (!b->slots)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, name, "out of memory");
	ret = make_timers(b, loop, !o->no_batches, err);
	if (ret) {
		free(b->slots);
		b->slots = NULL;
		return ret;
	}
	b->after.fn = after_turn;
	for (unsigned i = 0; i < VIRTIO_BLK_SLOTS; i++)
		b->free[b->n_free++] = (uint16_t)(VIRTIO_BLK_SLOTS - 1 - i);
	memcpy(b->serial, o->serial, strnlen(o->serial, sizeof(b->serial)));
	virtio_init(&b->dev, &blk_class, name, o->queues, QUEUE_SIZE, VIRTIO_BLK_CONFIG_LEN, features, mem, loop, log);
	return 0;
}

void virtio_blk_fini(struct virtio_blk *b)
{
	if (!b->slots)
		return;
	/* However long the host takes: its requests point into guest memory, and their ends into ours. */
	do
		virtio_set_status(&b->dev, 0);
	while (!virtio_is_quiet(&b->dev));
	virtio_fini(&b->dev);
	evtimer_fini(&b->timer, b->dev.loop);
	evtimer_fini(&b->look, b->dev.loop);
	free(b->slots);
	b->slots = NULL;
}
