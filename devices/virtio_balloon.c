/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_balloon.c - inflate, deflate, statistics, free page hinting and reporting, in the vCPU's exit; see the header.
 *
 * Why hinted memory can be discarded, although the driver may use it again "even while the device still has to process
 * it".  A trim asks for hints with a command id.  Linux (6.1 to 6.12, get_free_page_and_send) then does, for one free
 * block of 4 MiB after another, in a single work item: allocate the block; put it on the ring; notify; and *only then*
 * put it on the list from which its shrinker returns blocks to the allocator.  So up to the moment that the notifying
 * instruction retires the block belongs to nobody else, and afterwards it may be anybody's.  A device that discards on
 * another thread, or later, races with the shrinker and can discard a page in use.  This one cannot:
 *
 *   1. The notification is an exit of that vCPU (no ioeventfd), and hints are discarded within it or not at all.  The
 *      instruction retires when the vCPU is entered again, which is after hint_work() has returned.
 *   2. No notification is lost: the avail event is armed again before each exit ends (vq_notify_on), and no code asks
 *      the driver to stay silent (vq_notify_off is never called here).  So each block's own exit sees it, and everything
 *      that was on the ring, as used when it ends.
 *   3. What an exit finds beyond its bound, or the loop finds later, is returned without being discarded: a hint may be
 *      ignored (5.5.6.5).  The same for hints that come with no run under way: from before DRIVER_OK, of an older id.
 *   4. A run begins when the driver echoes the id, and ends when it says so, or earlier (hint_drop): what it hands over
 *      later is returned as it is.  The driver's own steps are in order.
 *   5. dev->lock is held throughout, so a reset waits for the discard, and queues of other vCPUs do not come between.
 *
 * Shown by the torture of guest-tests/linux/memory.sh (tools/memory-soak runs it for hours), which finds wrong pages within
 * seconds where a hint is discarded one notification late.
 *
 * Reporting needs no such argument: the driver waits for each buffer.  Neither does the balloon with MUST_TELL_HOST: a
 * page is announced on the deflate queue, and taken back from the gmem_reclaim, before the guest touches it.  A driver
 * that did not accept MUST_TELL_HOST may touch it at any time, so for that one pages are discarded before the buffer is
 * returned.
 *
 * A guest whose free pages hold a pattern (PAGE_POISON with a value) would find zeroes instead: hints and reports are
 * returned untouched then.
 */
#include "virtio_balloon.h"

#include <stddef.h>
#include "bits.h"
#include "segs.h"

#define QUEUE_SIZE 128 /* Linux wants 32 for reporting */

#define REQUEST_BYTES MIB(256) /* discarded of one request at most; Linux reports 32 blocks of up to 4 MiB */

#define CMD_STOP 0u
#define CMD_DONE 1u
#define CMD_MIN  0x80000000u
#define TRIM_FILLED MIB(32) /* so much in a row ends a run: see hint_drop() */
#define TRIM_PATIENCE_NS UINT64_C(5000000000) /* a run that the driver did not finish by then may be asked for anew */

struct balloon_config {
	uint32_t num_pages, actual, cmd_id, poison; /* little-endian; offsets 0, 4, 8, 12 */
};
_Static_assert(sizeof(struct balloon_config) == 16, "virtio 1.2, 5.5.4");

/* What is left of an exit's budget. */
struct budget {
	unsigned buffers;
	uint64_t pfns, bytes;
	bool late; /* not the exit of whoever offered the buffer */
};

static struct virtio_balloon *balloon_of(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_balloon, dev);
}

/* ---- inflate and deflate ------------------------------------------------------------------------------------------ */

static bool page_list(struct virtio_balloon *b, bool inflate, struct budget *left)
{
	struct gmem_reclaim *r = b->reclaim;
	struct segs s = segs_out(&b->req);
	bool now = !virtio_has(&b->dev, VIRTIO_BALLOON_F_MUST_TELL_HOST);
	uint32_t n = b->req.out_len / 4;

	if (b->req.n_in || b->req.out_len % 4 || n > BALLOON_BUFFER_PFNS) {
		virtio_break(&b->dev, "a list of pages has %u bytes to read and %u to write", b->req.out_len,
			     b->req.in_len);
		return false;
	}
	left->pfns -= MIN(left->pfns, n);
	while (n) {
		uint32_t part = MIN(n, ARRAY_SIZE(b->pfn));

		if (!segs_take(&s, b->pfn, part * 4))
			return false; /* cannot be: the length was counted */
		for (uint32_t i = 0; i < part; i++)
			b->pfn[i] = le32toh(b->pfn[i]);
		if (!(inflate ? r->ops->give(r, b->pfn, part, now) : r->ops->take(r, b->pfn, part))) {
			virtio_break(&b->dev, "a page to %s is not RAM", inflate ? "inflate with" : "deflate");
			return false;
		}
		n -= part;
	}
	return true;
}

/* ---- statistics --------------------------------------------------------------------------------------------------- */

static void parse_stats(struct virtio_balloon *b)
{
	struct segs s = segs_out(&b->req);
	struct balloon_stats st = { .seq = b->s.stats.seq + 1, .when_ns = b->host->now_ns(b->host) };
	uint8_t entry[10]; /* le16 tag, le64 value */

	for (unsigned i = 0; i < BALLOON_MAX_STATS && segs_take(&s, entry, sizeof(entry)); i++) {
		uint16_t tag = load_le16(entry);

		if (tag < BALLOON_S_NR) {
			st.val[tag] = load_le64(entry + 2);
			st.has |= BIT(tag);
		}
	}
	b->s.stats = st;
}

/* The driver leaves one buffer with us; returning it asks for the next. */
static void stats_work(struct virtio_balloon *b, struct virtq *vq)
{
	parse_stats(b);
	if (b->stats_head >= 0) {
		vq_push(vq, (uint16_t)b->stats_head, 0);
		virtio_signal(&b->dev, BALLOON_Q_STATS);
	}
	b->stats_head = b->req.head;
}

/* ---- hinting and reporting ---------------------------------------------------------------------------------------- */

/* Discards the writable part, up to REQUEST_BYTES of it: the rest stays as it is, which is allowed. */
static uint64_t drop_part(struct virtio_balloon *b, struct budget *left)
{
	struct iovec *iov = b->req.iov + b->req.n_out;
	uint64_t bytes = 0;
	unsigned n = 0;

	if (b->poison)
		return 0;
	while (n < b->req.n_in && bytes + iov[n].iov_len <= REQUEST_BYTES)
		bytes += iov[n++].iov_len;
	left->bytes -= MIN(left->bytes, bytes);
	return n ? b->reclaim->ops->drop(b->reclaim, iov, n) : 0;
}

static void trim_done(struct virtio_balloon *b)
{
	b->trim = TRIM_NONE;
	b->handed = MAX(b->handed, b->run_handed);
	b->s.trims++;
	b->s.last_trim_bytes = b->run_bytes;
	b->s.last_trim_ns = b->host->now_ns(b->host);
	log_line(b->dev.log, TVMM_LOG_INFO, "%s: trimmed %lu MiB in %lu us", b->dev.name, b->run_bytes >> 20,
		 (b->s.last_trim_ns - b->asked_ns) / 1000);
	b->cmd_id = CMD_DONE; /* the driver returns its blocks to its allocator */
	virtio_config_changed_locked(&b->dev);
}

/*
 * A guest that clears what it allocates (init_on_alloc, the default of many kernels) touches each block before it hands it
 * over.  Where nothing was there, memory is brought in, cleared twice and given back, for nothing; in a guest that has long
 * been idle that is most of what is free.  Linux hands over what was in use last first, and what it reported last, so when
 * one such block follows upon the other the rest is like them.  But first of all come the blocks of earlier runs, which it
 * keeps on the list that it hands over from: so many say nothing.  Should some of the rest not be like them, reporting
 * brings it back.
 */
static void hint_drop(struct virtio_balloon *b, struct budget *left)
{
	bool filled = b->reclaim->ops->filled(b->reclaim, b->req.iov + b->req.n_out);
	uint64_t got = drop_part(b, left);

	b->run_handed += got;
	if (!filled) {
		b->run_filled = 0;
		b->run_bytes += got;
		b->s.trim_bytes += got;
	} else if (b->run_handed > b->handed) {
		b->run_filled += got;
	}
	if (b->run_filled > TRIM_FILLED)
		trim_done(b);
}

static void hint_work(struct virtio_balloon *b, struct budget *left)
{
	struct segs s = segs_out(&b->req);
	uint8_t word[4];

	if (segs_take(&s, word, sizeof(word))) {
		uint32_t id = load_le32(word);

		if (b->trim == TRIM_ASKED && id == b->cmd_id) {
			b->trim = TRIM_RUNS;
			b->run_bytes = b->run_filled = b->run_handed = 0;
		} else if (b->trim == TRIM_RUNS && id == CMD_STOP) {
			trim_done(b);
		}
	}
	if (b->req.n_in && b->trim == TRIM_RUNS && !left->late && left->bytes)
		hint_drop(b, left);
}

/* ---- queues ------------------------------------------------------------------------------------------------------- */

/* One request.  False: the device is broken now. */
static bool serve(struct virtio_balloon *b, unsigned q, struct budget *left)
{
	struct virtq *vq = &b->dev.queue[q].vq;

	switch (q) {
	case BALLOON_Q_INFLATE:
	case BALLOON_Q_DEFLATE:
		if (!page_list(b, q == BALLOON_Q_INFLATE, left))
			return false;
		break;
	case BALLOON_Q_STATS:
		stats_work(b, vq);
		return true; /* kept */
	case BALLOON_Q_HINT:
		hint_work(b, left);
		break;
	default:
		b->s.reported += drop_part(b, left);
		break;
	}
	vq_push(vq, b->req.head, 0);
	return true;
}

static bool spent(const struct budget *left, unsigned q)
{
	/* Of hints, all are taken off the ring in the exit that they came with; past the budget they are ignored. */
	return !left->buffers || !left->pfns || (!left->bytes && q != BALLOON_Q_HINT);
}

static void work(struct virtio_balloon *b, unsigned q, bool late)
{
	struct virtq *vq = &b->dev.queue[q].vq;
	struct budget left = { .buffers = 2 * QUEUE_SIZE, .pfns = BALLOON_EXIT_PFNS, .bytes = BALLOON_EXIT_BYTES,
			       .late = late };

	do {
		while (!spent(&left, q) && vq_pop(vq, &b->req) == 1) {
			left.buffers--;
			if (!serve(b, q, &left))
				return;
		}
		if (q != BALLOON_Q_STATS)
			virtio_signal(&b->dev, q);
	} while (vq_notify_on(vq) && !spent(&left, q));
	/* The event is armed; what is left over was announced already, or may be. */
	if (spent(&left, q)) {
		b->pending |= BIT(q);
		evbell_ring(&b->later);
	}
}

static void balloon_notify(struct virtio_dev *dev, unsigned q)
{
	work(balloon_of(dev), q, false);
}

static void balloon_later(struct evbell *bell)
{
	struct virtio_balloon *b = container_of(bell, struct virtio_balloon, later);
	uint32_t pending;

	pthread_mutex_lock(&b->dev.lock);
	pending = b->pending;
	b->pending = 0;
	for (unsigned q = 0; q < BALLOON_QUEUES; q++)
		if (pending & BIT(q) && b->dev.queue[q].vq.live && !b->dev.queue[q].vq.broken)
			work(b, q, true);
	pthread_mutex_unlock(&b->dev.lock);
}

static void balloon_reset(struct virtio_dev *dev)
{
	struct virtio_balloon *b = balloon_of(dev);

	/* The guest may use all of its memory now, and begins with an empty balloon. */
	b->reclaim->ops->forget(b->reclaim);
	b->actual = b->poison = 0;
	b->cmd_id = CMD_STOP;
	b->trim = TRIM_NONE;
	b->handed = 0;
	b->pending = 0;
	b->stats_head = -1;
	b->s.stats = (struct balloon_stats){ 0 };
}

/* ---- configuration ------------------------------------------------------------------------------------------------ */

static void balloon_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct virtio_balloon *b = balloon_of(dev);
	struct balloon_config c = { htole32(b->num_pages), htole32(b->actual), htole32(b->cmd_id), htole32(b->poison) };

	memcpy(buf, (uint8_t *)&c + off, len);
}

/* Told once for each target: a driver cannot flood the log with it. */
static void set_actual(struct virtio_balloon *b, uint32_t actual)
{
	b->actual = actual;
	if (actual != b->num_pages || !b->set_ns)
		return;
	log_line(b->dev.log, TVMM_LOG_INFO, "%s: the guest gave %u MiB, as asked %lu us ago", b->dev.name, actual >> 8,
		 (b->host->now_ns(b->host) - b->set_ns) / 1000);
	b->set_ns = 0;
}

static void balloon_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	struct virtio_balloon *b = balloon_of(dev);

	if (len != 4)
		return;
	if (off == offsetof(struct balloon_config, actual))
		set_actual(b, load_le32(buf));
	else if (off == offsetof(struct balloon_config, poison) && virtio_has(dev, VIRTIO_BALLOON_F_PAGE_POISON))
		b->poison = load_le32(buf);
}

static const struct virtio_class balloon_class = {
	.name = "virtio-balloon",
	.device_id = 5,
	.pci_class = 0x00ff00, /* no class fits */
	.sync_notify = true,
	.reset = balloon_reset,
	.notify = balloon_notify,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
};

/* ---- for those who decide ----------------------------------------------------------------------------------------- */

static bool driver_runs(const struct virtio_balloon *b)
{
	return (b->dev.status & (VIRTIO_S_DRIVER_OK | VIRTIO_S_NEEDS_RESET | VIRTIO_S_FAILED)) == VIRTIO_S_DRIVER_OK;
}

void virtio_balloon_set(struct virtio_balloon *b, uint64_t bytes)
{
	uint32_t pages = (uint32_t)MIN(bytes / BALLOON_PAGE, UINT32_MAX);

	pthread_mutex_lock(&b->dev.lock);
	if (pages != b->num_pages) {
		b->num_pages = pages;
		b->set_ns = b->host->now_ns(b->host);
		virtio_config_changed_locked(&b->dev);
	}
	pthread_mutex_unlock(&b->dev.lock);
}

int virtio_balloon_trim(struct virtio_balloon *b)
{
	uint64_t now = b->host->now_ns(b->host);
	int ret = 0;

	pthread_mutex_lock(&b->dev.lock);
	if (!driver_runs(b)) {
		ret = -ENODEV;
	} else if (!virtio_has(&b->dev, VIRTIO_BALLOON_F_FREE_PAGE_HINT) || b->poison) {
		ret = -EOPNOTSUPP;
	} else if (b->trim == TRIM_NONE || now - b->asked_ns > TRIM_PATIENCE_NS) {
		b->reclaim->ops->look(b->reclaim);
		b->trim = TRIM_ASKED;
		b->asked_ns = now;
		b->cmd_id = CMD_MIN | b->next_cmd++;
		virtio_config_changed_locked(&b->dev);
	}
	pthread_mutex_unlock(&b->dev.lock);
	return ret;
}

bool virtio_balloon_ask_stats(struct virtio_balloon *b)
{
	struct virtq *vq = &b->dev.queue[BALLOON_Q_STATS].vq;
	bool ask;

	pthread_mutex_lock(&b->dev.lock);
	ask = driver_runs(b) && b->stats_head >= 0 && vq->live && !vq->broken;
	if (ask) {
		vq_push(vq, (uint16_t)b->stats_head, 0);
		b->stats_head = -1;
		virtio_signal(&b->dev, BALLOON_Q_STATS);
	}
	pthread_mutex_unlock(&b->dev.lock);
	return ask;
}

void virtio_balloon_state(struct virtio_balloon *b, struct balloon_state *s)
{
	pthread_mutex_lock(&b->dev.lock);
	*s = b->s;
	s->driver = driver_runs(b);
	s->features = b->dev.driver_features;
	s->target = (uint64_t)b->num_pages * BALLOON_PAGE;
	s->actual = (uint64_t)b->actual * BALLOON_PAGE;
	s->poison = b->poison;
	s->trimming = b->trim != TRIM_NONE;
	pthread_mutex_unlock(&b->dev.lock);
}

int virtio_balloon_init(struct virtio_balloon *b, const char *name, const struct gmem *mem, struct evloop *loop,
			struct log *log, struct gmem_reclaim *reclaim, bool reporting, struct tvmm_error *err)
{
	uint64_t features = VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ |
			    VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_FREE_PAGE_HINT |
			    VIRTIO_BALLOON_F_PAGE_POISON;
	int ret;

	/* Reporting is the last queue: leaving it out moves no other (Linux counts only the queues that there are). */
	if (reporting)
		features |= VIRTIO_BALLOON_F_REPORTING;
	memset(b, 0, sizeof(*b));
	b->host = loop->host;
	b->reclaim = reclaim;
	b->stats_head = -1;
	virtio_init(&b->dev, &balloon_class, name, reporting ? BALLOON_QUEUES : BALLOON_QUEUES - 1, QUEUE_SIZE,
		    sizeof(struct balloon_config), features, mem, loop, log);
	ret = evbell_init(&b->later, loop, balloon_later, err);
	if (ret)
		virtio_fini(&b->dev);
	b->later_ok = !ret;
	return ret;
}

void virtio_balloon_fini(struct virtio_balloon *b)
{
	if (!b->later_ok)
		return;
	virtio_fini(&b->dev);
	evbell_fini(&b->later, b->dev.loop);
	b->later_ok = false;
}
