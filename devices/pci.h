/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pci.h - one PCI Express segment, bus 0, reached by ECAM; functions with MSI-X and nothing older.
 *
 * Each function has a page of configuration space, kept true at all times, so that the machine can let the guest read
 * it through a read-only memory slot with no exit; writes come here.  BARs are assigned by the machine before the guest
 * runs and kept: sizing (write all ones, read the mask) works as the specification says, any other write reads back as
 * the assigned address, which the firmware tells the guest to preserve (_DSM function 5).
 *
 * Threads: any vCPU, under pci->lock.
 */
#ifndef TVMM_DEVICES_PCI_H
#define TVMM_DEVICES_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "bus.h"
#include "irq.h"

#define PCI_MAX_FUNCS  32
#define PCI_CFG_SIZE   4096
#define PCI_MSIX_MAX   20
#define PCI_MSIX_CALLS 16

struct pci_func;

struct pci_bar {
	uint64_t addr, size; /* size 0: not there; a power of two */
	bool is64;           /* takes this and the next index */
};

struct pci_func {
	struct pci *pci;
	unsigned devfn;            /* device << 3; function is always 0 */
	uint8_t *cfg;              /* PCI_CFG_SIZE bytes, page-aligned, what the guest reads */
	uint8_t wmask[256];        /* writable bits of the first 256 bytes; the rest is read-only */
	struct pci_bar bar[6];
	unsigned cap_next;         /* where the next capability goes */
	unsigned cap_last;         /* offset of the last capability's next pointer; 0: none */
	/* After a write to the first 256 bytes was merged into cfg, under pci->lock.  May be NULL. */
	void (*cfg_written)(struct pci_func *f, unsigned off, unsigned size);
	const char *name;
};

struct pci {
	pthread_mutex_t lock;      /* guards configuration space; taken before any device's lock */
	struct pci_func *func[PCI_MAX_FUNCS]; /* by device number */
	uint8_t *ecam;             /* PCI_MAX_FUNCS pages, one per device's function 0; the machine's memory */
};

/*
 * ECAM_PAGES: PCI_MAX_FUNCS * PCI_CFG_SIZE bytes, page-aligned, the caller's, alive until pci_fini().  Device D's page is
 * at D * PCI_CFG_SIZE here and at D << 15 in the window; the page of a device that is not there is all ones, as absent
 * functions read, so it may be shown to the guest as well.
 */
void pci_init(struct pci *pci, uint8_t *ecam_pages);
void pci_fini(struct pci *pci);
extern const struct bus_ops pci_ecam_ops; /* DEV is the struct pci; a window of 1 MiB (bus 0) */

/* Fills the header of function 0 of device DEV, which is free (type 0; the host bridge is one too). */
void pci_func_init(struct pci *pci, struct pci_func *f, unsigned dev, const char *name, uint16_t vendor,
		   uint16_t device, uint32_t class_code, uint8_t revision, uint16_t sub_vendor, uint16_t sub_device);
/* Assigns a memory BAR.  Before the guest runs. */
void pci_bar_set(struct pci_func *f, unsigned bar, uint64_t addr, uint64_t size, bool is64);
/* Adds a capability of LEN bytes (id and next included); BODY is what follows these two.  Returns its offset. */
unsigned pci_cap_add(struct pci_func *f, uint8_t id, const void *body, unsigned body_len);

/* ---- MSI-X (PCI 3.0, 6.8.2) --------------------------------------------------------------------------------------- */

struct pci_msix {
	struct pci_func *func;
	struct msi_sink *sink;
	unsigned n, cap;           /* vectors; the capability's offset */
	pthread_mutex_t lock;      /* guards the table, pending bits and masks; leaf */
	bool enabled, masked;      /* message control, bits 15 and 14 */
	struct {
		uint64_t addr;
		uint32_t data, ctrl;
	} entry[PCI_MSIX_MAX];
	uint64_t pending;
	struct pci_msix_call {
		int fd;          /* -1: none */
		unsigned vector; /* N or more: none */
		bool routed;     /* the host sends it */
	} call[PCI_MSIX_CALLS];
};

/* Adds the capability: N vectors, table at TABLE_OFF and pending bits at PBA_OFF in BAR. */
void pci_msix_init(struct pci_msix *m, struct pci_func *f, struct msi_sink *sink, unsigned n, unsigned bar,
		   uint32_t table_off, uint32_t pba_off);
void pci_msix_fini(struct pci_msix *m);
/* The function's cfg_written calls this; it looks whether message control changed. */
void pci_msix_cfg_written(struct pci_msix *m, unsigned off, unsigned size);
uint64_t pci_msix_table_read(struct pci_msix *m, uint64_t off, unsigned size);
void pci_msix_table_write(struct pci_msix *m, uint64_t off, unsigned size, uint64_t val);
uint64_t pci_msix_pba_read(struct pci_msix *m, uint64_t off, unsigned size);
/* Sends vector V, or marks it pending while masked; nothing if MSI-X is off or V is out of range. */
void pci_msix_signal(struct pci_msix *m, unsigned v);
/*
 * For workers outside this process, which signal eventfds.  Each of PCI_MSIX_CALLS such calls has a vector, at first none,
 * and a descriptor.  While the vector is enabled and not masked, the host sends its message at each signal, and nobody
 * reads the descriptor; at other times, and when the host cannot, it stays readable, and who reads it calls
 * pci_msix_signal().  FD -1: no more; when this returns the host sends nothing for it.  -ENOTSUP: the host never does.
 */
void pci_msix_call_vector(struct pci_msix *m, unsigned call, unsigned v);
int pci_msix_call_fd(struct pci_msix *m, unsigned call, int fd);

#endif
