/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_pci.c - the PCI transport (virtio 1.2, 4.1): capabilities, common configuration, interrupts, notifications.
 *
 * Called by vCPU threads through the bus, and by whoever raises an interrupt.  Each register answers to its own width
 * (4.1.3.1; a 64-bit field also to two halves, as drivers must use it); any other access reads all ones and writes
 * nothing.
 *
 * Two things of the specification are left out.  VIRTIO_PCI_CAP_PCI_CFG, a second way to the BAR for firmware that
 * cannot map it: it needs reads of configuration space to be trapped, which are served from a read-only page.  And INTx:
 * a driver without MSI-X finds the ISR true, and has to poll it.
 */
#include "virtio_pci.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include "bits.h"

#define ALL_ONES UINT64_MAX
#define VENDOR   0x1af4
#define DEVICE   0x1040 /* plus the virtio device id */
#define SUBSYS   0x40   /* likewise; this or more says "not transitional" (4.1.2.1) */
#define REVISION 1
#define BAR      0

_Static_assert(VIRTIO_MAX_QUEUES <= PCI_MSIX_CALLS, "each queue has a call");

#define ISR_QUEUE  1
#define ISR_CONFIG 2

/* The length of common configuration up to queue_reset, and where its last two fields lie, both without effect here. */
#define COMMON_LEN 0x3c

static struct virtio_pci *vp_of(struct virtio_dev *dev)
{
	return (struct virtio_pci *)((uintptr_t)dev->transport - offsetof(struct virtio_pci, transport));
}

/* ---- interrupts --------------------------------------------------------------------------------------------------- */

static void interrupt(struct virtio_pci *vp, uint8_t isr, _Atomic uint16_t *vector)
{
	uint16_t v = atomic_load_explicit(vector, memory_order_relaxed);

	/* Usually nobody reads the ISR: then it is written once. */
	if (!(atomic_load_explicit(&vp->isr, memory_order_relaxed) & isr))
		atomic_fetch_or_explicit(&vp->isr, isr, memory_order_relaxed);
	if (v != VIRTIO_MSI_NO_VECTOR)
		pci_msix_signal(&vp->msix, v);
}

static void queue_irq(struct virtio_dev *dev, unsigned q)
{
	struct virtio_pci *vp = vp_of(dev);

	interrupt(vp, ISR_QUEUE, &vp->queue_vector[q]);
}

static void config_irq(struct virtio_dev *dev)
{
	struct virtio_pci *vp = vp_of(dev);

	interrupt(vp, ISR_CONFIG, &vp->config_vector);
}

/* Under dev->lock, or before the guest runs. */
static void set_queue_vector(struct virtio_pci *vp, unsigned q, uint16_t vector)
{
	vp->queue_vector[q] = vector;
	pci_msix_call_vector(&vp->msix, q, vector);
}

static int queue_call(struct virtio_dev *dev, unsigned q, int fd)
{
	return pci_msix_call_fd(&vp_of(dev)->msix, q, fd);
}

static void clear_registers(struct virtio_dev *dev)
{
	struct virtio_pci *vp = vp_of(dev);

	vp->device_feature_select = vp->driver_feature_select = 0;
	vp->queue_select = 0;
	vp->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++)
		set_queue_vector(vp, q, VIRTIO_MSI_NO_VECTOR);
	vp->isr = 0;
}

/* ---- common configuration (4.1.4.3) ------------------------------------------------------------------------------- */

static bool is_legal_width(uint64_t off, unsigned size)
{
	static const uint8_t width[COMMON_LEN] = {
		[VIRTIO_PCI_COMMON_DFSELECT] = 4,
		[VIRTIO_PCI_COMMON_DF] = 4,
		[VIRTIO_PCI_COMMON_GFSELECT] = 4,
		[VIRTIO_PCI_COMMON_GF] = 4,
		[VIRTIO_PCI_COMMON_MSIX] = 2,
		[VIRTIO_PCI_COMMON_NUMQ] = 2,
		[VIRTIO_PCI_COMMON_STATUS] = 1,
		[VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
		[VIRTIO_PCI_COMMON_Q_SELECT] = 2,
		[VIRTIO_PCI_COMMON_Q_SIZE] = 2,
		[VIRTIO_PCI_COMMON_Q_MSIX] = 2,
		[VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
		[VIRTIO_PCI_COMMON_Q_NOFF] = 2,
		[VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
		[VIRTIO_PCI_COMMON_Q_DESCHI] = 4,
		[VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
		[VIRTIO_PCI_COMMON_Q_AVAILHI] = 4,
		[VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
		[VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
		[0x38] = 2, /* queue_notify_data: VIRTIO_F_NOTIF_CONFIG_DATA is not offered */
		[0x3a] = 2, /* queue_reset: VIRTIO_F_RING_RESET is not offered */
	};

	return off < COMMON_LEN && size == width[off];
}

static struct gpa *queue_area(struct virtio_queue *q, unsigned off)
{
	struct gpa *const area[] = { &q->layout.desc, &q->layout.avail, &q->layout.used };

	return area[(off - VIRTIO_PCI_COMMON_Q_DESCLO) / 8];
}

/* Registers of the selected queue; one that does not exist has size 0 and no vector.  Under dev->lock. */
static uint32_t queue_read(struct virtio_pci *vp, struct virtio_queue *q, unsigned off)
{
	if (!q)
		return off == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_MSI_NO_VECTOR : 0;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->layout.size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return vp->queue_vector[q->index];
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return q->index;
	case 0x38:
	case 0x3a:
		return 0;
	default:
		return (uint32_t)(queue_area(q, off)->addr >> (off & 4 ? 32 : 0));
	}
}

static uint64_t common_read(struct virtio_pci *vp, unsigned off)
{
	struct virtio_dev *dev = vp->dev;
	uint32_t val;

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return vp->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		return virtio_features(dev, vp->device_feature_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return vp->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		return virtio_driver_features(dev, vp->driver_feature_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return vp->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->n_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return virtio_status(dev);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return (uint8_t)virtio_generation(dev);
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return vp->queue_select;
	default:
		pthread_mutex_lock(&dev->lock);
		val = queue_read(vp, virtio_queue(dev, vp->queue_select), off);
		pthread_mutex_unlock(&dev->lock);
		return val;
	}
}

/* A vector that does not exist reads back as none, and so the driver learns (4.1.5.1.2.1). */
static uint16_t vector(const struct virtio_pci *vp, uint32_t val)
{
	return val < vp->msix.n ? (uint16_t)val : VIRTIO_MSI_NO_VECTOR;
}

/* Under dev->lock. */
static void queue_write(struct virtio_pci *vp, struct virtio_queue *q, unsigned off, uint32_t val)
{
	struct gpa *area;

	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		virtio_queue_set_size(q, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		set_queue_vector(vp, q->index, vector(vp, val));
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (val == 1) /* a driver must not write 0, and a queue once enabled stays so until reset */
			virtio_queue_enable(q);
		break;
	case VIRTIO_PCI_COMMON_Q_NOFF:
	case 0x38:
	case 0x3a:
		break;
	default:
		area = queue_area(q, off);
		if (!virtio_queue_is_open(q))
			break;
		if (off & 4)
			area->addr = (uint32_t)area->addr | (uint64_t)val << 32;
		else
			area->addr = (area->addr & ~0xffffffffull) | val;
		break;
	}
}

static void common_write(struct virtio_pci *vp, unsigned off, uint32_t val)
{
	struct virtio_dev *dev = vp->dev;
	struct virtio_queue *q;

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->device_feature_select = val;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->driver_feature_select = val;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_set_driver_features(dev, vp->driver_feature_select, val);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		vp->config_vector = vector(vp, val);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status(dev, (uint8_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->queue_select = (uint16_t)val;
		break;
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		break;
	default:
		q = virtio_queue(dev, vp->queue_select);
		if (!q)
			break;
		pthread_mutex_lock(&dev->lock);
		queue_write(vp, q, off, val);
		pthread_mutex_unlock(&dev->lock);
		break;
	}
}

/* ---- the BAR ------------------------------------------------------------------------------------------------------ */

/* A whole 64-bit field at once: two accesses to its halves. */
static bool is_quad(uint64_t off, unsigned size)
{
	return size == 8 && off % 8 == 0 && off >= VIRTIO_PCI_COMMON_Q_DESCLO && off <= VIRTIO_PCI_COMMON_Q_USEDLO;
}

static uint64_t bar_read(void *arg, uint64_t off, unsigned size)
{
	struct virtio_pci *vp = arg;
	uint64_t reg = off % 0x1000, val = 0;

	if (reg + size > 0x1000)
		return ALL_ONES;
	switch (off - reg) {
	case VIRTIO_PCI_COMMON_OFF:
		if (is_quad(reg, size))
			return common_read(vp, (unsigned)reg) | common_read(vp, (unsigned)reg + 4) << 32;
		return is_legal_width(reg, size) ? common_read(vp, (unsigned)reg) : ALL_ONES;
	case VIRTIO_PCI_ISR_OFF:
		return reg == 0 && size == 1 ? atomic_exchange(&vp->isr, 0) : ALL_ONES;
	case VIRTIO_PCI_DEVICE_OFF:
		virtio_config_read(vp->dev, reg, &val, size);
		return le64toh(val);
	case VIRTIO_PCI_MSIX_OFF:
		return pci_msix_table_read(&vp->msix, reg, size);
	case VIRTIO_PCI_PBA_OFF:
		return pci_msix_pba_read(&vp->msix, reg, size);
	default:
		return ALL_ONES;
	}
}

static void bell_rung(struct evbell *b)
{
	struct virtio_pci *vp = b->arg;

	virtio_notify(vp->dev, (uint32_t)(b - vp->bell));
}

static void visit(void *arg)
{
	bell_rung(arg);
}

/* The place says which queue; the value, by specification its number too, is not needed (4.1.5.2). */
static void notify(struct virtio_pci *vp, uint64_t reg)
{
	uint64_t q = reg / VIRTIO_PCI_NOTIFY_MUL;

	if (reg % VIRTIO_PCI_NOTIFY_MUL || q >= vp->dev->n_queues)
		return;
	if (vp->dev->cls->sync_notify)
		virtio_notify(vp->dev, (uint32_t)q);
	else if (!vp->dev->cls->visit_notify || !evloop_visit(vp->dev->loop, visit, &vp->bell[q]))
		evbell_ring(&vp->bell[q]);
}

static void bar_write(void *arg, uint64_t off, unsigned size, uint64_t val)
{
	struct virtio_pci *vp = arg;
	uint64_t reg = off % 0x1000;

	if (reg + size > 0x1000)
		return;
	switch (off - reg) {
	case VIRTIO_PCI_COMMON_OFF:
		if (is_quad(reg, size)) {
			common_write(vp, (unsigned)reg, (uint32_t)val);
			common_write(vp, (unsigned)reg + 4, (uint32_t)(val >> 32));
		} else if (is_legal_width(reg, size)) {
			common_write(vp, (unsigned)reg, (uint32_t)val);
		}
		break;
	case VIRTIO_PCI_DEVICE_OFF:
		val = htole64(val);
		virtio_config_write(vp->dev, reg, &val, size);
		break;
	case VIRTIO_PCI_NOTIFY_OFF:
		notify(vp, reg);
		break;
	case VIRTIO_PCI_MSIX_OFF:
		pci_msix_table_write(&vp->msix, reg, size, val);
		break;
	default:
		break;
	}
}

const struct bus_ops virtio_pci_ops = { .read = bar_read, .write = bar_write };

/* ---- building ----------------------------------------------------------------------------------------------------- */

/* What follows a capability's id and next (4.1.4); the last field is there for notification only. */
struct cap_body {
	uint8_t cap_len, cfg_type, bar, id, pad[2];
	uint32_t offset, length, notify_mul;
} __attribute__((packed));

_Static_assert(sizeof(struct cap_body) + 2 == sizeof(struct virtio_pci_notify_cap), "virtio 1.2, 4.1.4.4");

static void add_cap(struct virtio_pci *vp, uint8_t type, uint32_t offset, uint32_t length)
{
	bool is_notify = type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	unsigned len = is_notify ? sizeof(struct virtio_pci_notify_cap) : sizeof(struct virtio_pci_cap);
	struct cap_body body = { .cap_len = (uint8_t)len, .cfg_type = type, .bar = BAR, .offset = htole32(offset),
				 .length = htole32(length), .notify_mul = htole32(VIRTIO_PCI_NOTIFY_MUL) };

	pci_cap_add(&vp->func, PCI_CAP_ID_VNDR, &body, len - 2);
}

static void cfg_written(struct pci_func *f, unsigned off, unsigned size)
{
	struct virtio_pci *vp = container_of(f, struct virtio_pci, func);

	pci_msix_cfg_written(&vp->msix, off, size);
}

static void init_func(struct virtio_pci *vp, struct pci *pci, unsigned slot, uint64_t bar_addr, struct msi_sink *sink)
{
	struct virtio_dev *dev = vp->dev;
	const struct virtio_class *cls = dev->cls;

	pci_func_init(pci, &vp->func, slot, dev->name, VENDOR, (uint16_t)(DEVICE + cls->device_id), cls->pci_class,
		      REVISION, VENDOR, (uint16_t)(SUBSYS + cls->device_id));
	pci_bar_set(&vp->func, BAR, bar_addr, VIRTIO_PCI_BAR_SIZE, true);
	add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_COMMON_OFF, COMMON_LEN);
	add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_NOTIFY_OFF, dev->n_queues * VIRTIO_PCI_NOTIFY_MUL);
	add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_ISR_OFF, 1);
	if (dev->config_len)
		add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_DEVICE_OFF, dev->config_len);
	/* One vector for each queue and one for the configuration. */
	pci_msix_init(&vp->msix, &vp->func, sink, dev->n_queues + 1, BAR, VIRTIO_PCI_MSIX_OFF, VIRTIO_PCI_PBA_OFF);
	vp->func.cfg_written = cfg_written;
}

static void again(struct virtio_dev *dev, unsigned q)
{
	struct virtio_pci *vp = container_of(dev->transport, struct virtio_pci, transport);

	if (q < vp->n_bells)
		evbell_ring(&vp->bell[q]);
}

static int bell_fd(struct virtio_dev *dev, unsigned q)
{
	const struct virtio_pci *vp = container_of(dev->transport, struct virtio_pci, transport);

	return q < vp->n_bells ? vp->bell[q].src.fd : -1;
}

static int bell_watch(struct virtio_dev *dev, unsigned q, bool watch)
{
	struct virtio_pci *vp = container_of(dev->transport, struct virtio_pci, transport);

	if (q >= vp->n_bells)
		return -EINVAL;
	return evbell_watch(&vp->bell[q], dev->loop, watch);
}

static int init_bells(struct virtio_pci *vp, struct tvmm_error *err)
{
	int ret = 0;

	if (vp->dev->cls->sync_notify)
		return 0;
	while (vp->n_bells < vp->dev->n_queues) {
		struct evbell *b = &vp->bell[vp->n_bells];

		ret = evbell_init(b, vp->dev->loop, bell_rung, err);
		if (ret)
			break;
		b->arg = vp;
		vp->n_bells++;
		evbell_watch(b, vp->dev->loop, true);
	}
	return ret;
}

int virtio_pci_init(struct virtio_pci *vp, struct virtio_dev *dev, struct pci *pci, unsigned slot, uint64_t bar_addr,
		    struct msi_sink *sink, struct tvmm_error *err)
{
	int ret;

	*vp = (struct virtio_pci){ .n_bells = 0 };
	if (slot >= PCI_MAX_FUNCS || pci->func[slot])
		return err_set(err, TVMM_E_CONFIG, EBUSY, dev->name, "there is no free PCI slot %u", slot);
	vp->dev = dev;
	vp->transport = (struct virtio_transport){ .queue_irq = queue_irq, .config_irq = config_irq,
						   .again = again, .bell_fd = bell_fd, .bell_watch = bell_watch,
						   .queue_call = queue_call, .reset = clear_registers };
	dev->transport = &vp->transport;
	init_func(vp, pci, slot, bar_addr, sink);
	clear_registers(dev);
	ret = init_bells(vp, err);
	if (ret)
		virtio_pci_fini(vp);
	return ret;
}

void virtio_pci_fini(struct virtio_pci *vp)
{
	if (!vp->dev)
		return;
	virtio_set_status(vp->dev, 0); /* nothing signals through us from here on */
	for (unsigned q = 0; q < vp->n_bells; q++)
		evbell_fini(&vp->bell[q], vp->dev->loop);
	vp->n_bells = 0;
	pci_msix_fini(&vp->msix);
	vp->func.pci->func[vp->func.devfn >> 3] = NULL;
	vp->dev->transport = NULL;
	vp->dev = NULL;
}
