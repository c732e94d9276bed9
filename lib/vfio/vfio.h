/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the parts of the vfio backend share.
 *
 *	backend.c    opens a device; configuration space, features
 *	bar.c        registers
 *	irq.c        interrupts
 *	reset.c      function and bus reset
 *	info.c       the kernel's descriptions with capabilities
 *	group.c      a device's file by way of its group and a container: type1, no-IOMMU
 *	iommufd.c    a device's file by way of its own node and iommufd
 *	token.c      what the kernel wants to hear before it opens a virtual function
 *	domain.c     devices join the context's DMA domain; its memory
 */

#include <linux/vfio.h>

#include "backend.h"
#include "dma/domain.h"
#include "vfio/iova.h"

/* More ranges than this are cut: the lowest are kept. */
#define VFIO_RANGES 64

struct vfio_iommu;
struct vfio_device;

/* For -EPERM of an IOMMU that does not remap interrupts: a device could then forge them. */
#define VFIO_UNSAFE_HINT(module)                                                                   \
	"switch on interrupt remapping, or accept forged interrupts: echo Y > /sys/module/" module \
	"/parameters/allow_unsafe_interrupts"

/* What a mapping limit that the kernel does not have reads as. */
#define VFIO_NO_LIMIT SIZE_MAX

/* A way to the IOMMU. Ops log their own failures unless they say otherwise. */
struct vfio_iommu_ops {
	const char *name;

	/* Opens what all devices share; with nothing in it yet. close() undoes it. */
	int (*open)(struct vfio_iommu *iommu);
	void (*close)(struct vfio_iommu *iommu);

	/*
	 * Opens dev's file, vfio->fd, which the IOMMU confines from then on. Sets iommu->renewed
	 * when the kernel has no mapping of ours now, because no device was attached before.
	 */
	int (*attach)(struct vfio_iommu *iommu, struct usrpci_dev *dev, struct vfio_device *vfio);
	void (*detach)(struct vfio_iommu *iommu, struct vfio_device *vfio);

	/* Usable addresses, ascending, and how many mappings there may be. Returns the count. */
	int (*limits)(struct vfio_iommu *iommu, struct iova_range ranges[VFIO_RANGES],
		      size_t *mappings);

	/* One ioctl each; not logged, since the caller knows what it was for. */
	int (*map)(struct vfio_iommu *iommu, void *va, size_t size, uint64_t iova);
	int (*unmap)(struct vfio_iommu *iommu, uint64_t iova, size_t size);
};

extern const struct vfio_iommu_ops vfio_type1;
extern const struct vfio_iommu_ops vfio_noiommu; /* no limits, map and unmap */
extern const struct vfio_iommu_ops vfio_iommufd;

/* Whether the kernel offers iommufd for the device and this process may use it. */
bool vfio_iommufd_usable(struct usrpci_dev *dev);

/* Whether kernel drivers hold endpoints of the device's group; logs which. */
bool vfio_group_has_strangers(struct usrpci_dev *dev);

/* token.c: the token of the context, else of the environment; NULL: there is none. */
const char *vfio_token(const struct usrpci_ctx *ctx);

/* The same in bytes. Returns 1, 0 where there is none, or -EINVAL, logged. */
int vfio_token_bytes(struct usrpci_ctx *ctx, uint8_t uuid[16]);

/* Opens a device of an open group, with the token where there is one. Logs failures. */
int vfio_open_of_group(struct usrpci_dev *dev, int group);

/* Logs that the kernel wants a token to open this device. Returns -EACCES. */
int vfio_report_token(struct usrpci_dev *dev);

/* A group that is open. The kernel lets a group be opened once. */
struct vfio_group {
	struct vfio_group *next;
	unsigned int users; /* devices open in it */
	int number;
	int fd;
};

struct vfio_iommu {
	const struct vfio_iommu_ops *ops;
	struct usrpci_ctx *ctx;
	int fd;                    /* /dev/vfio/vfio or /dev/iommu */
	uint32_t ioas;             /* iommufd: the address space */
	struct vfio_group *groups; /* container: those attached */
	bool renewed;
};

/* A region of the device's file. */
struct vfio_region {
	uint64_t offset;
	uint64_t size;
	uint32_t flags; /* VFIO_REGION_INFO_FLAG_* */
};

struct vfio_vectors {
	unsigned int available;
	uint32_t flags; /* VFIO_IRQ_INFO_* */
	unsigned int enabled;
	int *fds; /* an eventfd for each enabled vector */
};

struct vfio_device {
	int fd;
	uint32_t flags;           /* VFIO_DEVICE_FLAGS_* */
	struct vfio_iommu *iommu; /* of the context's domain; no-IOMMU: the device's own */
	struct vfio_group *group; /* NULL under iommufd */
	struct vfio_region config;
	struct vfio_region bars[USRPCI_BARS];
	struct vfio_vectors irqs[VFIO_PCI_NUM_IRQS];
};

static inline struct vfio_device *vfio_device(const struct usrpci_dev *dev)
{
	return dev->backend;
}

/*
 * domain.c: attaches a device to the context's IOMMU, which the first one opens: by iommufd where
 * that can be, else by group. The caller holds ctx->lock, and the context has no other domain.
 */
int vfio_domain_attach(struct usrpci_dev *dev, struct vfio_device *vfio);

/* Takes a device out of it again. The domain stays until the context is closed. */
void vfio_domain_detach(struct usrpci_dev *dev);

/* info.c: reads a description with capabilities, to be freed. NULL: none that makes sense. */
struct vfio_iommu_type1_info *vfio_read_iommu_info(const struct vfio_iommu *iommu);
struct vfio_region_info *vfio_read_region_info(struct usrpci_dev *dev, unsigned int index);

/*
 * Copies the first size bytes of a capability out of a description of info_size bytes, whose chain
 * begins at first; copied, because kernels before 6.6 put them at any address. Returns where it
 * lies in the description, 0 when there is none.
 */
uint32_t vfio_find_cap(const void *info, uint32_t info_size, uint32_t first, uint16_t id, void *cap,
		       uint32_t size);

/* irq.c */
int vfio_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type);
int vfio_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count);
int vfio_irq_disable(struct usrpci_dev *dev, enum usrpci_irq_type type);
int vfio_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);
int vfio_irq_take(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector);
int vfio_irq_set_mask(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector,
		      bool masked);

/* bar.c */
int vfio_bar_map(struct usrpci_dev *dev, struct usrpci_bar *bar);
void vfio_bar_unmap(struct usrpci_dev *dev, struct usrpci_bar *bar);
int vfio_bar_read(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t *value);
int vfio_bar_write(struct usrpci_bar *bar, size_t offset, unsigned int width, uint64_t value);

/* reset.c */
bool vfio_reset_bus_possible(struct usrpci_dev *dev);
int vfio_reset(struct usrpci_dev *dev, enum usrpci_reset kind);
