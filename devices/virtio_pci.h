/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_pci.h - the PCI transport (virtio 1.2, 4.1), modern only.
 *
 * BAR 0, 32 KiB, memory, 64-bit: common configuration, ISR, device configuration, notification, MSI-X table and pending
 * bits, each on a page of its own.  Notification addresses are 4 bytes apart, so that each queue has its own ioeventfd.
 * vCPU threads call the bus functions; the machine maps the BAR and the notification bells.
 */
#ifndef TVMM_DEVICES_VIRTIO_PCI_H
#define TVMM_DEVICES_VIRTIO_PCI_H

#include "pci.h"
#include "virtio.h"

#define VIRTIO_PCI_BAR_SIZE   0x8000
#define VIRTIO_PCI_COMMON_OFF 0x0000
#define VIRTIO_PCI_ISR_OFF    0x1000
#define VIRTIO_PCI_DEVICE_OFF 0x2000
#define VIRTIO_PCI_NOTIFY_OFF 0x3000
#define VIRTIO_PCI_NOTIFY_MUL 4
#define VIRTIO_PCI_MSIX_OFF   0x4000
#define VIRTIO_PCI_PBA_OFF    0x5000

struct virtio_pci {
	struct pci_func func;
	struct pci_msix msix;
	struct virtio_dev *dev;                /* NULL: not initialised, or finished */
	struct virtio_transport transport;     /* what DEV points to; by it we find ourselves */
	/* One per queue, unless the class has sync_notify: rung by the guest through KVM, or by the bus handler. */
	struct evbell bell[VIRTIO_MAX_QUEUES];
	unsigned n_bells;

	/* The transport's own registers: words that vCPUs and interrupting threads load and store whole, relaxed. */
	_Atomic uint32_t device_feature_select, driver_feature_select;
	_Atomic uint16_t queue_select;
	_Atomic uint16_t config_vector, queue_vector[VIRTIO_MAX_QUEUES];
	_Atomic uint8_t isr;
};

/*
 * Puts DEV behind PCI device number SLOT, with its BAR at BAR_ADDR.  Adds the notification bells to the device's loop.
 * DEV's class and queues are set up already.
 */
int virtio_pci_init(struct virtio_pci *vp, struct virtio_dev *dev, struct pci *pci, unsigned slot, uint64_t bar_addr,
		    struct msi_sink *sink, struct tvmm_error *err);

/*
 * Resets the device and lets go of it; before the class' own fini, after the last vCPU.  Harmless on a zeroed or finished
 * structure.
 */
void virtio_pci_fini(struct virtio_pci *vp);

extern const struct bus_ops virtio_pci_ops; /* DEV is the struct virtio_pci; a window of VIRTIO_PCI_BAR_SIZE */

#endif
