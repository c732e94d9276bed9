// SPDX-License-Identifier: BSD-2-Clause
/*
 * Measures what it costs to map 2 MiB of the program's memory for a device, and what the kernel's
 * two calls alone cost. Both take turns, so that they meet the same machine.
 *
 * usage: bench_vfio_map DEVICE GROUP
 *
 * DEVICE is on vfio-pci; GROUP is the number of another device's IOMMU group, which is opened here
 * without the library.
 */

#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <usrpci/usrpci.h>

#include "measure.h"

#define SIZE   (2ul << 20)
#define ROUNDS 301
#define IOVA   (1ul << 32)

struct bench {
	struct usrpci_ctx *ctx;
	int container;
	void *memory;
};

static int open_container(const char *group_number)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int container = open("/dev/vfio/vfio", O_RDWR), group;
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s", group_number);
	group = open(path, O_RDWR);
	require(container >= 0 && group >= 0, path);
	require(!ioctl(group, VFIO_GROUP_GET_STATUS, &status), "VFIO_GROUP_GET_STATUS");
	require(!ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "VFIO_GROUP_SET_CONTAINER");
	require(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "VFIO_SET_IOMMU");
	return container;
}

/* The kernel pins huge pages fastest, so with them the library's share is largest. */
static void *get_memory(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);

	require(memory != MAP_FAILED, "mmap of a huge page");
	memset(memory, 1, SIZE);
	return memory;
}

static double time_library(const struct bench *bench)
{
	double start = nanoseconds();
	usrpci_dma_t addr;

	require(!usrpci_dma_map(bench->ctx, bench->memory, SIZE, &addr), "usrpci_dma_map");
	require(!usrpci_dma_unmap(bench->ctx, bench->memory, SIZE), "usrpci_dma_unmap");
	return nanoseconds() - start;
}

static double time_calls(const struct bench *bench)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)bench->memory,
		.iova = IOVA,
		.size = SIZE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = IOVA, .size = SIZE};
	double start = nanoseconds();

	require(!ioctl(bench->container, VFIO_IOMMU_MAP_DMA, &map), "VFIO_IOMMU_MAP_DMA");
	require(!ioctl(bench->container, VFIO_IOMMU_UNMAP_DMA, &unmap), "VFIO_IOMMU_UNMAP_DMA");
	return nanoseconds() - start;
}

/* Returns the shorter of two times, of which 0 is none yet. */
static double shorter(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

int main(int argc, char **argv)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	double library = 0, calls = 0;
	struct bench bench;
	struct usrpci_dev *dev;

	require(argc == 3, "usage: bench_vfio_map DEVICE GROUP:");
	require(!usrpci_ctx_open(&options, &bench.ctx), "usrpci_ctx_open");
	require(!usrpci_dev_open(bench.ctx, argv[1], &dev), "usrpci_dev_open");
	bench.container = open_container(argv[2]);
	bench.memory = get_memory();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		library = shorter(library, time_library(&bench));
		calls = shorter(calls, time_calls(&bench));
	}
	printf("usrpci vfio_map %.4f\n", library);
	printf("plain vfio_map %.4f\n", calls);
	printf("usrpci vfio_map_ratio %.4f\n", library / calls);
	usrpci_dev_close(dev);
	usrpci_ctx_close(bench.ctx);
	return 0;
}
