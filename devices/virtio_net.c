/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_net.c - the network device: its features and configuration, the transmit queues, the control queue.
 *
 * The receive side is virtio_net_rx.c.  All on the I/O loop.  A request is handed back once, whatever is in it: packets
 * that are none are dropped and counted, an unknown command gets an error.  Only a command without room for its answer
 * breaks the device.
 */
#include "virtio_net.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "bits.h"
#include "evtimer.h"
#include "segs.h"
#include "virtio_net_rx.h"

#define QUEUE_SIZE 256
#define BATCH      128 /* packets a turn */
#define SPIN_MAX_NS 1000000u /* who looks on lets others have their turn after this */

#define F_MTU     BIT_ULL(3)
#define F_MAC     BIT_ULL(5)
#define F_STATUS  BIT_ULL(16)
#define F_CTRL_VQ BIT_ULL(17)
#define F_MQ      BIT_ULL(22)

#define S_LINK_UP 1

struct net_config {
	uint8_t mac[6];
	uint16_t status, max_pairs, mtu;
};
static_assert(sizeof(struct net_config) == 12, "virtio 1.2, 5.1.4");

enum { CTRL_MQ = 4, CTRL_MQ_PAIRS_SET = 0 };
enum { CTRL_OK = 0, CTRL_ERR = 1 };

static struct virtio_net *to_net(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

/* ---- transmit ----------------------------------------------------------------------------------------------------- */

bool net_limited(struct virtio_net *v, unsigned q, uint64_t *now)
{
	const struct host *h = v->dev.loop->host;
	uint64_t wait;

	if (v->timer.fd < 0)
		return false;
	*now = h->now_ns(h);
	wait = ratelimit_wait(&v->limit[q & 1], *now);
	if (wait)
		evtimer_set(&v->timer, v->dev.loop, *now + wait);
	return wait;
}

/* Both directions, all pairs: whoever still has to wait sets the timer again. */
static void timer_ready(struct evsource *src, uint32_t events)
{
	struct virtio_net *v = container_of(src, struct virtio_net, timer);

	evtimer_take(src, v->dev.loop);
	for (unsigned q = 0; q < 2 * v->pairs; q++)
		virtio_notify(&v->dev, q);
}

int virtio_net_limit(struct virtio_net *v, uint64_t bytes_per_s, uint64_t packets_per_s, uint64_t burst_ns, struct tvmm_error *err)
{
	int ret = evtimer_init(&v->timer, v->dev.loop, EPOLLIN, timer_ready, err);

	if (ret)
		return ret;
	for (unsigned i = 0; i < 2; i++)
		ratelimit_init(&v->limit[i], bytes_per_s, packets_per_s, burst_ns);
	return 0;
}

/* Sends what the driver has, up to BATCH with the *N so far.  False: there may be more, for which somebody will come. */
static bool send_some(struct virtio_net *v, unsigned pair, unsigned *n)
{
	unsigned q = 2 * pair + 1;
	struct virtq *vq = &v->dev.queue[q].vq;
	uint64_t now = 0;

	while (vq_pop(vq, &v->req) == 1) {
		if (net_limited(v, q, &now)) {
			vq_unpop(vq, &v->req);
			return false; /* timer_ready() goes on */
		}
		if (v->req.out_len <= NETIF_HDR) {
			log_guest(v->dev.log, v->dev.name, "a packet of %u bytes", v->req.out_len);
		} else if (v->nif->ops->send(v->nif, pair, v->req.iov, v->req.n_out, v->req.out_len) == -EAGAIN) {
			vq_unpop(vq, &v->req);
			v->tx_stuck[pair] = true;
			return false; /* net_ready() goes on */
		}
		if (v->timer.fd >= 0)
			ratelimit_take(&v->limit[1], now, v->req.out_len, 1);
		vq_push(vq, v->req.head, 0);
		if (++*n == BATCH) {
			virtio_again(&v->dev, q);
			return false;
		}
	}
	return true;
}

static void work_tx(struct virtio_net *v, unsigned pair)
{
	unsigned q = 2 * pair + 1, n = 0;
	struct virtq *vq = &v->dev.queue[q].vq;

	v->tx_stuck[pair] = false;
	do
		vq_notify_off(vq);
	while (send_some(v, pair, &n) && vq_notify_on(vq));
	virtio_signal(&v->dev, q);
}

/* ---- with open eyes ----------------------------------------------------------------------------------------------- */

void virtio_net_poll(struct virtio_net *v, uint64_t ns)
{
	v->spin_ns = ns;
}

/*
 * Serves both of PAIR's queues until they have been empty for a while, or somebody else has something for the loop.  False:
 * there may be more to send, for which somebody will come.
 */
static bool look_on(struct virtio_net *v, unsigned pair)
{
	const struct host *h = v->dev.loop->host;
	unsigned q = 2 * pair + 1;
	const struct virtq *tx = &v->dev.queue[q].vq, *rx = &v->dev.queue[q - 1].vq;
	uint64_t begin = h->now_ns(h), last = begin, now;
	bool idle = false, came = false, wanted;

	v->tx_stuck[pair] = false;
	do {
		unsigned n = 0;
		bool all = send_some(v, pair, &n);

		if (n)
			virtio_signal(&v->dev, q);
		if (!all || tx->broken)
			return false;
		if (rx->live && !rx->broken)
			n += net_rx_work(v, pair);
		came |= n && idle; /* the answer that was there at once does not count */
		idle = !n;
		now = h->now_ns(h);
		last = n ? now : last;
		wanted = idle && evloop_is_wanted(v->dev.loop);
	} while (!wanted && now - last < v->spin_ns && now - begin < SPIN_MAX_NS);
	if (came || (idle && !wanted))
		vigil_ended(&v->vigil[pair], came);
	if (!wanted && now - last < v->spin_ns) {
		virtio_again(&v->dev, q);
		return false;
	}
	return true;
}

static bool may_look_on(struct virtio_net *v, unsigned pair)
{
	return v->spin_ns && v->timer.fd < 0 && vigil_is_worth(&v->vigil[pair]);
}

/* The driver has something to send. */
static void serve(struct virtio_net *v, unsigned pair)
{
	if (!may_look_on(v, pair) || look_on(v, pair))
		work_tx(v, pair);
}

/* ---- the kernel's workers ----------------------------------------------------------------------------------------- */

/* Where a worker cannot be had, now that it is needed, packets go through us. */
static void lend(struct virtio_net *v, unsigned pair)
{
	int ret;

	if (!v->vhost || !v->nif->up || v->lent[pair])
		return;
	ret = vhost_net_start(v->vhost, &v->dev, pair, v->nif->ops->lend(v->nif, pair, true));
	if (ret) {
		v->nif->ops->lend(v->nif, pair, false);
		log_event(v->dev.log, v->dev.name, "vhost-net does not take the queues (errno %d): they are served here", -ret);
	}
	v->lent[pair] = !ret;
}

static void take_back(struct virtio_net *v, unsigned pair)
{
	if (!v->lent[pair])
		return;
	vhost_net_stop(v->vhost, pair);
	v->nif->ops->lend(v->nif, pair, false);
	v->lent[pair] = false;
}

/* ---- control ------------------------------------------------------------------------------------------------------ */

/* A driver that knows of one pair finds the control queue right behind that (5.1.2). */
static unsigned ctrl_queue(const struct virtio_net *v)
{
	return virtio_has(&v->dev, F_MQ) ? 2 * v->pairs : 2;
}

static uint8_t set_pairs(struct virtio_net *v, unsigned pairs)
{
	if (!virtio_has(&v->dev, F_MQ) || !pairs || pairs > v->pairs)
		return CTRL_ERR;
	for (unsigned i = pairs; i < v->pairs; i++)
		take_back(v, i);
	if (v->nif->ops->set_pairs && v->nif->ops->set_pairs(v->nif, pairs) < 0)
		return CTRL_ERR;
	v->active = pairs;
	for (unsigned i = 0; i < pairs; i++) {
		lend(v, i);
		if (!v->lent[i] && v->dev.queue[2 * i].vq.live)
			net_rx_work(v, i);
	}
	return CTRL_OK;
}

static uint8_t execute(struct virtio_net *v, struct segs *out)
{
	uint8_t cmd[4];

	if (!segs_take(out, cmd, 2) || cmd[0] != CTRL_MQ || cmd[1] != CTRL_MQ_PAIRS_SET || !segs_take(out, cmd + 2, 2))
		return CTRL_ERR;
	return set_pairs(v, load_le16(cmd + 2));
}

static void work_ctrl(struct virtio_net *v, unsigned q)
{
	struct virtq *vq = &v->dev.queue[q].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &v->req) == 1) {
			struct segs out = segs_out(&v->req), in = segs_in(&v->req);
			uint8_t *ack = segs_last_byte(&in);
			uint16_t head = v->req.head; /* receiving, which a command may start, has the same scratch */

			if (!ack) {
				virtio_break(&v->dev, "command %u has no room for its answer", head);
				return;
			}
			*ack = execute(v, &out);
			vq_push(vq, head, 1);
			virtio_signal(&v->dev, q);
			if (++n == BATCH) {
				virtio_again(&v->dev, q);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

/* ---- the class ---------------------------------------------------------------------------------------------------- */

static void net_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_net *v = to_net(dev);

	if (v->pairs > 1 && q == ctrl_queue(v))
		work_ctrl(v, q);
	else if (q >= 2 * v->pairs || v->lent[q / 2])
		return; /* a queue that this driver has no use for, or that is not ours now */
	else if (q & 1)
		serve(v, q / 2);
	else
		net_rx_work(v, q / 2);
}

static void net_ready(struct netif *nif, unsigned pair)
{
	struct virtio_net *v = nif->user;
	const struct virtq *rx = &v->dev.queue[2 * pair].vq, *tx = &v->dev.queue[2 * pair + 1].vq;

	if (rx->live && !rx->broken && !v->lent[pair] && net_rx_work(v, pair) && tx->live && !v->tx_stuck[pair] &&
	    may_look_on(v, pair) && look_on(v, pair))
		work_tx(v, pair);
	for (unsigned i = 0; i < v->pairs; i++)
		if (v->tx_stuck[i] && v->dev.queue[2 * i + 1].vq.live)
			work_tx(v, i);
}

static void net_link(struct netif *nif)
{
	struct virtio_net *v = nif->user;

	if (!v)
		return;
	pthread_mutex_lock(&v->dev.lock);
	if (v->link_up != nif->up) {
		v->link_up = nif->up;
		virtio_config_changed_locked(&v->dev);
	}
	pthread_mutex_unlock(&v->dev.lock);
	/* What is sent now is dropped: nothing waits any more. */
	for (unsigned i = 0; i < v->pairs; i++)
		if (v->tx_stuck[i])
			virtio_again(&v->dev, 2 * i + 1);
}

static void net_activate(struct virtio_dev *dev)
{
	struct virtio_net *v = to_net(dev);

	v->nif->ops->set_features(v->nif, dev->driver_features & v->nif->features);
	net_rx_start(v);
	lend(v, 0);
}

static void net_reset(struct virtio_dev *dev)
{
	struct virtio_net *v = to_net(dev);

	for (unsigned i = 0; i < v->pairs; i++)
		take_back(v, i);
	memset(v->tx_stuck, 0, sizeof(v->tx_stuck));
	memset(v->vigil, 0, sizeof(v->vigil));
	net_rx_start(v);
	v->nif->ops->set_features(v->nif, 0);
	v->active = 1;
	if (v->pairs > 1 && v->nif->up)
		v->nif->ops->set_pairs(v->nif, 1);
}

static void net_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	const struct virtio_net *v = to_net(dev);
	struct net_config c = { .status = htole16(v->link_up ? S_LINK_UP : 0), .max_pairs = htole16(v->pairs),
				.mtu = htole16(v->mtu) };

	memcpy(c.mac, v->mac, sizeof(c.mac));
	memcpy(buf, (const char *)&c + off, len);
}

static const struct virtio_class net_class = {
	.name = "virtio-net",
	.device_id = 1,
	.pci_class = 0x020000, /* Ethernet controller */
	.activate = net_activate,
	.reset = net_reset,
	.notify = net_notify,
	.config_read = net_config_read,
};

int virtio_net_init(struct virtio_net *v, const char *name, struct netif *nif, struct vhost_net *vhost,
		    const uint8_t mac[6], uint16_t mtu, const struct gmem *mem, struct evloop *loop, struct log *log, struct tvmm_error *err)
{
	uint64_t features = nif->features | F_MAC | F_STATUS | NET_F_MRG_RXBUF;
	unsigned queues = 2 * nif->pairs;

	v->rx = calloc(nif->pairs, sizeof(*v->rx));
	if (!v->rx)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, name, "out of memory");
	v->nif = nif;
	v->vhost = vhost;
	v->timer = (struct evsource){ .fd = -1 };
	v->spin_ns = 0;
	memset(v->vigil, 0, sizeof(v->vigil));
	memset(v->lent, 0, sizeof(v->lent));
	v->pairs = nif->pairs;
	v->active = 1;
	memcpy(v->mac, mac, sizeof(v->mac));
	v->mtu = mtu;
	v->link_up = nif->up;
	memset(v->tx_stuck, 0, sizeof(v->tx_stuck));
	if (v->pairs > 1) {
		features |= F_CTRL_VQ | F_MQ;
		queues++;
	}
	if (mtu)
		features |= F_MTU;
	virtio_init(&v->dev, &net_class, name, queues, QUEUE_SIZE, sizeof(struct net_config), features, mem, loop, log);
	nif->user = v;
	nif->ready = net_ready;
	nif->link = net_link;
	return 0;
}

void virtio_net_fini(struct virtio_net *v)
{
	if (!v->rx)
		return;
	virtio_fini(&v->dev);
	evtimer_fini(&v->timer, v->dev.loop);
	v->nif->ready = NULL;
	v->nif->link = NULL;
	v->nif->user = NULL;
	free(v->rx);
	v->rx = NULL;
}
