// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver on vfio sees, case by case, for the suites vfio and kernel_*: QEMU's edu device
 * does DMA and raises interrupts on demand (drivers/edu/edu_reg.h), e1000e has MSI-X and a register
 * that fires it (82574 data sheet, 10.2.4).
 *
 *	vfio_cases CASE DEVICE...
 *
 * Exits 0 when the case holds; says on standard error what does not.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <usrpci/usrpci.h>

#include "edu/edu_reg.h"

#define EDU_SIZE 2048 /* QEMU 7.2 refuses all of the device's 4096 bytes */
#define PAGE     4096

#define check(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __func__, __LINE__, #condition); \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

#define succeeds(call)                                                                \
	do {                                                                          \
		int result = (call);                                                  \
		if (result < 0) {                                                     \
			fprintf(stderr, "%s:%d: %s: %s\n", __func__, __LINE__, #call, \
				strerror(-result));                                   \
			exit(1);                                                      \
		}                                                                     \
	} while (0)

static struct usrpci_ctx *open_ctx(void)
{
	const struct usrpci_ctx_options options = {.log = usrpci_log_stderr,
						   .log_level = USRPCI_LOG_DEBUG};
	struct usrpci_ctx *ctx;

	succeeds(usrpci_ctx_open(&options, &ctx));
	return ctx;
}

static struct usrpci_dev *open_dev(struct usrpci_ctx *ctx, const char *name, unsigned int index,
				   struct usrpci_bar *bar)
{
	struct usrpci_dev *dev;

	succeeds(usrpci_dev_open(ctx, name, &dev));
	succeeds(usrpci_bar_map(dev, index, bar));
	return dev;
}

/* All that most cases need: a context, an edu and a block that it can reach. */
struct edu {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	struct usrpci_bar bar;
	uint8_t *block;
};

static uint8_t *alloc_block(struct usrpci_ctx *ctx, size_t size, usrpci_dma_t limit)
{
	const struct usrpci_dma_request request = {.size = size, .limit = limit, .align = 4096};
	void *block;

	succeeds(usrpci_dma_alloc(ctx, &request, &block));
	return block;
}

static void finish_dma(struct edu *edu)
{
	unsigned int tries = 500;

	while (tries-- && usrpci_read64(&edu->bar, EDU_DMA_COMMAND) & EDU_DMA_START)
		usleep(10000);
	check(!(usrpci_read64(&edu->bar, EDU_DMA_COMMAND) & EDU_DMA_START));
}

/* An edu cannot be reset: what a killed program began ends before it may master the bus again. */
static struct edu open_edu_in(struct usrpci_ctx *ctx, const char *name)
{
	struct edu edu = {.ctx = ctx};

	edu.dev = open_dev(ctx, name, 0, &edu.bar);
	check(usrpci_read32(&edu.bar, EDU_ID) == 0x010000ed);
	finish_dma(&edu);
	succeeds(usrpci_dev_set_bus_master(edu.dev, true));
	edu.block = alloc_block(ctx, EDU_SIZE, EDU_DMA_LIMIT);
	return edu;
}

static struct edu open_edu(const char *name)
{
	return open_edu_in(open_ctx(), name);
}

static void close_edu(struct edu *edu)
{
	usrpci_dev_close(edu->dev);
	usrpci_ctx_close(edu->ctx);
}

static void start_dma(struct edu *edu, uint64_t from, uint64_t to, size_t size, uint32_t command)
{
	usrpci_write64(&edu->bar, EDU_DMA_SOURCE, from);
	usrpci_write64(&edu->bar, EDU_DMA_DESTINATION, to);
	usrpci_write64(&edu->bar, EDU_DMA_COUNT, size);
	usrpci_write64(&edu->bar, EDU_DMA_COMMAND, command | EDU_DMA_START);
}

static void edu_take(struct edu *edu, uint64_t from, size_t size)
{
	start_dma(edu, from, EDU_BUFFER, size, 0);
	finish_dma(edu);
}

static void edu_put(struct edu *edu, uint64_t to, size_t size)
{
	start_dma(edu, EDU_BUFFER, to, size, EDU_DMA_TO_MEMORY);
	finish_dma(edu);
}

static void fill(uint8_t *block, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		block[i] = (uint8_t)(seed >> 16);
	}
}

static void dma_both_ways(char **names)
{
	struct edu edu = open_edu(names[0]);
	uint8_t *copy = alloc_block(edu.ctx, EDU_SIZE, EDU_DMA_LIMIT);

	fill(edu.block, EDU_SIZE, 1);
	memset(copy, 0, EDU_SIZE);
	check(usrpci_dma_addr(edu.ctx, copy) + EDU_SIZE - 1 <= EDU_DMA_LIMIT);
	edu_take(&edu, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
	edu_put(&edu, usrpci_dma_addr(edu.ctx, copy), EDU_SIZE);
	check(!memcmp(edu.block, copy, EDU_SIZE));
	close_edu(&edu);
}

static void dma_of_own_memory(char **names)
{
	struct edu edu = open_edu(names[0]);
	uint8_t *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	usrpci_dma_t addr;

	check(own != MAP_FAILED);
	fill(own, EDU_SIZE, 2);
	memset(edu.block, 0, EDU_SIZE);
	succeeds(usrpci_dma_map(edu.ctx, own, PAGE, &addr));
	check(addr <= UINT32_MAX - (PAGE - 1));
	edu_take(&edu, addr, EDU_SIZE);
	edu_put(&edu, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
	check(!memcmp(own, edu.block, EDU_SIZE));
	succeeds(usrpci_dma_unmap(edu.ctx, own, PAGE));
	check(!munmap(own, PAGE));
	check(usrpci_dma_map(edu.ctx, own, PAGE, &addr) == -EFAULT);
	close_edu(&edu);
}

/*
 * The block is unmapped while the device writes to its address: its content must stay. With the
 * address of a page of this process as the processor sees it, likewise: no IOMMU, and it is lost.
 */
static void dma_to_unmapped(char **names)
{
	struct edu edu = open_edu(names[0]);
	uint8_t *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t before[EDU_SIZE];
	usrpci_dma_t addr;

	check(own != MAP_FAILED);
	fill(own, EDU_SIZE, 3);
	memcpy(before, own, EDU_SIZE);
	fill(edu.block, EDU_SIZE, 4);
	edu_take(&edu, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
	succeeds(usrpci_dma_map(edu.ctx, own, PAGE, &addr));
	succeeds(usrpci_dma_unmap(edu.ctx, own, PAGE));
	edu_put(&edu, addr, EDU_SIZE);
	check(!memcmp(own, before, EDU_SIZE));
	close_edu(&edu);
}

static uint64_t physical_address(void *va)
{
	FILE *pagemap = fopen("/proc/self/pagemap", "r");
	uint64_t entry = 0;

	check(pagemap);
	check(!fseeko(pagemap, (off_t)((uintptr_t)va / 4096 * 8), SEEK_SET));
	check(fread(&entry, sizeof(entry), 1, pagemap) == 1);
	fclose(pagemap);
	check(entry & ((UINT64_C(1) << 55) - 1));
	return (entry & ((UINT64_C(1) << 55) - 1)) * 4096;
}

static void dma_to_physical(char **names)
{
	struct edu edu = open_edu(names[0]);
	uint8_t *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	uint8_t before[EDU_SIZE];

	check(own != MAP_FAILED);
	fill(own, EDU_SIZE, 5);
	memcpy(before, own, EDU_SIZE);
	fill(edu.block, EDU_SIZE, 6);
	edu_take(&edu, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
	edu_put(&edu, physical_address(own), EDU_SIZE);
	check(!memcmp(own, before, EDU_SIZE));
	close_edu(&edu);
}

static void addresses_are_physical(char **names)
{
	struct edu edu = open_edu(names[0]);

	check(usrpci_dma_addr(edu.ctx, edu.block) == physical_address(edu.block));
	close_edu(&edu);
}

static void own_memory_refused(char **names)
{
	struct edu edu = open_edu(names[0]);
	uint8_t *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	usrpci_dma_t addr;

	check(own != MAP_FAILED);
	check(usrpci_dma_map(edu.ctx, own, PAGE, &addr) == -EOPNOTSUPP);
	close_edu(&edu);
}

static void below_4g(char **names)
{
	struct edu edu = open_edu(names[0]);

	for (int i = 0; i < 16; i++) {
		uint8_t *block = alloc_block(edu.ctx, 3 << 20, UINT32_MAX);

		check(usrpci_dma_addr(edu.ctx, block) + (3 << 20) - 1 <= UINT32_MAX);
	}
	close_edu(&edu);
}

static void raise_irq(struct edu *edu)
{
	usrpci_write32(&edu->bar, EDU_IRQ_RAISE, 1);
}

static void silence_irq(struct edu *edu)
{
	usrpci_write32(&edu->bar, EDU_IRQ_ACK, usrpci_read32(&edu->bar, EDU_IRQ_STATUS));
}

static void irq_intx(char **names)
{
	struct edu edu = open_edu(names[0]);

	succeeds(usrpci_irq_enable(edu.dev, USRPCI_IRQ_INTX, 1));
	check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_INTX, 0, 100) == -ETIMEDOUT);
	for (int i = 0; i < 3; i++) {
		raise_irq(&edu);
		check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_INTX, 0, 5000) == 1);
		check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_INTX, 0, 0) == -ETIMEDOUT);
		silence_irq(&edu);
		succeeds(usrpci_irq_unmask(edu.dev, USRPCI_IRQ_INTX, 0));
	}
	succeeds(usrpci_irq_mask(edu.dev, USRPCI_IRQ_INTX, 0));
	raise_irq(&edu);
	check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_INTX, 0, 100) == -ETIMEDOUT);
	succeeds(usrpci_irq_unmask(edu.dev, USRPCI_IRQ_INTX, 0));
	check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_INTX, 0, 5000) == 1);
	silence_irq(&edu);
	close_edu(&edu);
}

static void irq_msi(char **names)
{
	struct edu edu = open_edu(names[0]);
	struct pollfd poller = {.events = POLLIN};

	check(usrpci_irq_count(edu.dev, USRPCI_IRQ_MSI) == 1);
	succeeds(usrpci_irq_enable(edu.dev, USRPCI_IRQ_MSI, 1));
	poller.fd = usrpci_irq_fd(edu.dev, USRPCI_IRQ_MSI, 0);
	check(poll(&poller, 1, 0) == 0);
	for (int i = 0; i < 3; i++) {
		raise_irq(&edu);
		check(poll(&poller, 1, 5000) == 1);
		check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_MSI, 0, -1) == 1);
		silence_irq(&edu);
	}
	check(usrpci_irq_mask(edu.dev, USRPCI_IRQ_MSI, 0) == -EOPNOTSUPP);
	check(usrpci_irq_enable(edu.dev, USRPCI_IRQ_INTX, 1) == -EBUSY);
	succeeds(usrpci_irq_disable(edu.dev, USRPCI_IRQ_MSI));
	succeeds(usrpci_irq_enable(edu.dev, USRPCI_IRQ_INTX, 1));
	close_edu(&edu);
}

/* names[1] interrupts, waited for one by one: strace counts what that costs. */
static void irq_loop(char **names)
{
	struct edu edu = open_edu(names[0]);

	succeeds(usrpci_irq_enable(edu.dev, USRPCI_IRQ_MSI, 1));
	for (int left = atoi(names[1]); left > 0; left--) {
		raise_irq(&edu);
		check(usrpci_irq_wait(edu.dev, USRPCI_IRQ_MSI, 0, -1) == 1);
		silence_irq(&edu);
	}
	close_edu(&edu);
}

static void irq_pending_at_close(char **names)
{
	for (int type = USRPCI_IRQ_INTX; type <= USRPCI_IRQ_MSI; type++) {
		struct edu edu = open_edu(names[0]);

		succeeds(usrpci_irq_enable(edu.dev, type, 1));
		raise_irq(&edu);
		close_edu(&edu);
		edu = open_edu(names[0]);
		silence_irq(&edu);
		succeeds(usrpci_irq_enable(edu.dev, type, 1));
		check(usrpci_irq_wait(edu.dev, type, 0, 100) == -ETIMEDOUT);
		raise_irq(&edu);
		check(usrpci_irq_wait(edu.dev, type, 0, 5000) == 1);
		silence_irq(&edu);
		close_edu(&edu);
	}
}

/* The causes of e1000e that have a vector each, and the register that routes them. */
#define E1000E_ICR     0x000c0
#define E1000E_ICS     0x000c8
#define E1000E_IMS     0x000d0
#define E1000E_IMC     0x000d8
#define E1000E_IVAR    0x000e4
#define E1000E_CAUSE   20 /* receive 0, receive 1, transmit 0, transmit 1 */
#define E1000E_CAUSES  4
#define E1000E_ALL     (0xfu << E1000E_CAUSE)
#define E1000E_VECTORS 5 /* the fifth tells of the link */

/*
 * Opens e1000e with all its vectors enabled. Causes are let through only while MSI-X is enabled,
 * and it stays so until QEMU's timer that spaces interrupts has run out: QEMU 7.2 stops otherwise.
 */
static struct usrpci_dev *open_e1000e(const char *name, struct usrpci_bar *bar)
{
	struct usrpci_dev *dev = open_dev(open_ctx(), name, 0, bar);
	uint32_t route = 0;

	for (unsigned int i = 0; i < E1000E_CAUSES; i++)
		route |= (8 | i) << (4 * i);
	check(usrpci_irq_count(dev, USRPCI_IRQ_MSIX) == E1000E_VECTORS);
	succeeds(usrpci_dev_set_bus_master(dev, true));
	succeeds(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, E1000E_VECTORS));
	usrpci_write32(bar, E1000E_IVAR, route);
	usrpci_write32(bar, E1000E_IMS, E1000E_ALL);
	return dev;
}

static void quiet_e1000e(struct usrpci_bar *bar)
{
	usrpci_write32(bar, E1000E_IMC, E1000E_ALL);
	usleep(100000);
}

static void close_e1000e(struct usrpci_dev *dev, struct usrpci_bar *bar)
{
	struct usrpci_ctx *ctx = usrpci_dev_ctx(dev);

	quiet_e1000e(bar);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void fire(struct usrpci_bar *bar, unsigned int vector)
{
	usrpci_write32(bar, E1000E_ICS, 1u << (E1000E_CAUSE + vector));
}

static void irq_msix(char **names)
{
	struct usrpci_bar bar;
	struct usrpci_dev *dev = open_e1000e(names[0], &bar);

	for (unsigned int i = 0; i < E1000E_CAUSES; i++) {
		fire(&bar, i);
		check(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, i, 5000) >= 1);
		usrpci_write32(&bar, E1000E_ICR, 1u << (E1000E_CAUSE + i));
		/* QEMU 10 fires a vector once more after its cause was cleared: later ones tell. */
		for (unsigned int other = i + 1; other < E1000E_VECTORS; other++)
			check(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, other, 0) == -ETIMEDOUT);
	}
	quiet_e1000e(&bar);
	succeeds(usrpci_irq_disable(dev, USRPCI_IRQ_MSIX));
	check(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, E1000E_VECTORS + 1) == -EINVAL);
	close_e1000e(dev, &bar);
}

static void irq_msix_mask(char **names)
{
	struct usrpci_bar bar;
	struct usrpci_dev *dev = open_e1000e(names[0], &bar);

	succeeds(usrpci_irq_mask(dev, USRPCI_IRQ_MSIX, 2));
	fire(&bar, 2);
	fire(&bar, 3);
	check(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, 3, 5000) >= 1);
	check(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, 2, 200) == -ETIMEDOUT);
	succeeds(usrpci_irq_unmask(dev, USRPCI_IRQ_MSIX, 2));
	check(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, 2, 5000) >= 1);
	close_e1000e(dev, &bar);
}

/*
 * The BAR with the table, which is not mapped, and the pending bits in a page that is. A write to
 * the table changes nothing: the interrupt still comes.
 */
static void bar_msix_table(char **names)
{
	struct usrpci_bar bar, table;
	struct usrpci_dev *dev = open_e1000e(names[0], &bar);
	uint64_t value = 0;

	check(bar.direct_size == bar.size);
	succeeds(usrpci_bar_map(dev, 3, &table));
	check(table.direct_size == 0);
	usrpci_write64(&table, 0, 0);
	fire(&bar, 0);
	check(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, 0, 5000) >= 1);
	succeeds(usrpci_bar_read(&table, 0x2000, 8, &value));
	check(value == 0);
	check(usrpci_bar_read(&table, table.size, 4, &value) == -ERANGE);
	close_e1000e(dev, &bar);
}

/* The registers of e1000e twice: in memory, and by an address and a data port. */
static void bar_io(char **names)
{
	struct usrpci_ctx *ctx = open_ctx();
	struct usrpci_bar memory, io;
	struct usrpci_dev *dev = open_dev(ctx, names[0], 0, &memory);

	succeeds(usrpci_bar_map(dev, 2, &io));
	check(io.flags & USRPCI_BAR_IO && io.direct_size == 0);
	usrpci_write32(&io, 0, 0x00008); /* status */
	check(usrpci_read32(&io, 0) == 0x00008);
	check(usrpci_read32(&io, 4) == usrpci_read32(&memory, 0x00008));
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

/* Each device writes a block of the other's: one address, one memory. */
static void two_devices_share(char **names)
{
	struct usrpci_ctx *ctx = open_ctx();
	struct edu first = open_edu_in(ctx, names[0]), second = open_edu_in(ctx, names[1]);
	uint8_t *copy = alloc_block(ctx, EDU_SIZE, EDU_DMA_LIMIT);

	fill(first.block, EDU_SIZE, 7);
	memset(second.block, 0, EDU_SIZE);
	memset(copy, 0, EDU_SIZE);
	edu_take(&first, usrpci_dma_addr(ctx, first.block), EDU_SIZE);
	edu_put(&first, usrpci_dma_addr(ctx, second.block), EDU_SIZE);
	edu_take(&second, usrpci_dma_addr(ctx, second.block), EDU_SIZE);
	edu_put(&second, usrpci_dma_addr(ctx, copy), EDU_SIZE);
	check(!memcmp(first.block, copy, EDU_SIZE));
	usrpci_dev_close(first.dev);
	usrpci_dev_close(second.dev);
	usrpci_ctx_close(ctx);
}

/* The same device address is other memory in another context. */
static void two_contexts(char **names)
{
	struct edu first = open_edu(names[0]), second = open_edu(names[1]);

	check(usrpci_dma_addr(first.ctx, first.block) == usrpci_dma_addr(second.ctx, second.block));
	fill(first.block, EDU_SIZE, 8);
	fill(second.block, EDU_SIZE, 9);
	edu_take(&first, usrpci_dma_addr(first.ctx, first.block), EDU_SIZE);
	edu_take(&second, usrpci_dma_addr(second.ctx, second.block), EDU_SIZE);
	memset(first.block, 0, EDU_SIZE);
	memset(second.block, 0, EDU_SIZE);
	edu_put(&first, usrpci_dma_addr(first.ctx, first.block), EDU_SIZE);
	for (size_t i = 0; i < EDU_SIZE; i++)
		check(second.block[i] == 0);
	edu_put(&second, usrpci_dma_addr(second.ctx, second.block), EDU_SIZE);
	check(memcmp(first.block, second.block, EDU_SIZE));
	close_edu(&first);
	close_edu(&second);
}

/* Memory outlives its last device, and a device opened later is told of it. */
static void memory_outlives_devices(char **names)
{
	struct edu edu = open_edu(names[0]);
	uint8_t *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	usrpci_dma_t addr;
	struct edu again;

	check(own != MAP_FAILED);
	succeeds(usrpci_dma_map(edu.ctx, own, PAGE, &addr));
	fill(edu.block, EDU_SIZE, 10);
	usrpci_dev_close(edu.dev);
	again = open_edu_in(edu.ctx, names[0]);
	edu_take(&again, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
	edu_put(&again, addr, EDU_SIZE);
	check(!memcmp(own, edu.block, EDU_SIZE));
	succeeds(usrpci_dma_unmap(edu.ctx, own, PAGE));
	close_edu(&again);
}

static void limit_of_mappings(char **names)
{
	struct edu edu = open_edu(names[0]);
	const size_t pages = 70000;
	uint8_t *own = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t count = 0;
	usrpci_dma_t addr;
	int error = 0;

	check(own != MAP_FAILED);
	while (!error && count < pages)
		error = usrpci_dma_map(edu.ctx, own + count++ * PAGE, PAGE, &addr);
	count--; /* the one that failed */
	printf("%zu mappings of own memory\n", count);
	check(error == -ENOSPC);
	succeeds(usrpci_dma_unmap(edu.ctx, own, PAGE));
	succeeds(usrpci_dma_map(edu.ctx, own + count * PAGE, PAGE, &addr));
	close_edu(&edu);
}

static void limit_of_locked_memory(char **names)
{
	struct edu edu = open_edu(names[0]);
	const struct usrpci_dma_request request = {.size = 64 << 20};
	void *block;

	check(usrpci_dma_alloc(edu.ctx, &request, &block) == -ENOMEM);
	edu_take(&edu, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
	close_edu(&edu);
}

static void run_dma_forever(char **names)
{
	struct edu edu = open_edu(names[0]);

	puts("running");
	fflush(stdout);
	for (;;)
		edu_put(&edu, usrpci_dma_addr(edu.ctx, edu.block), EDU_SIZE);
}

static void reset(const char *name, enum usrpci_reset kind, uint32_t feature)
{
	struct usrpci_bar bar;
	struct usrpci_dev *dev = open_e1000e(name, &bar);

	check(usrpci_dev_features(dev) & feature);
	check(usrpci_read32(&bar, E1000E_IVAR) != 0);
	quiet_e1000e(&bar);
	succeeds(usrpci_dev_reset(dev, kind));
	check(usrpci_read32(&bar, E1000E_IVAR) == 0);
	close_e1000e(dev, &bar);
}

static void reset_function(char **names)
{
	reset(names[0], USRPCI_RESET_FUNCTION, USRPCI_FEATURE_RESET);
}

static void reset_bus(char **names)
{
	reset(names[0], USRPCI_RESET_BUS, USRPCI_FEATURE_HOT_RESET);
}

static void no_bus_reset(char **names)
{
	struct edu edu = open_edu(names[0]);

	check(!(usrpci_dev_features(edu.dev) & USRPCI_FEATURE_HOT_RESET));
	check(usrpci_dev_reset(edu.dev, USRPCI_RESET_BUS) == -EOPNOTSUPP);
	close_edu(&edu);
}

static void wait_for_event(const char *name, enum usrpci_irq_type type)
{
	struct usrpci_ctx *ctx = open_ctx();
	struct usrpci_dev *dev;

	succeeds(usrpci_dev_open(ctx, name, &dev));
	check(usrpci_irq_count(dev, type) == 1);
	succeeds(usrpci_irq_enable(dev, type, 1));
	puts("waiting");
	fflush(stdout);
	check(usrpci_irq_wait(dev, type, 0, 30000) >= 1);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void event_error(char **names)
{
	wait_for_event(names[0], USRPCI_IRQ_ERROR);
}

static void event_request(char **names)
{
	wait_for_event(names[0], USRPCI_IRQ_REQUEST);
}

/* Opens and closes; the exit status is the error. With a second name, both in one context. */
static void just_open(char **names)
{
	struct usrpci_ctx *ctx = open_ctx();
	struct usrpci_dev *dev = NULL;
	int error = 0;

	for (; *names && !error; names++)
		error = usrpci_dev_open(ctx, *names, &dev);
	if (dev)
		puts(usrpci_dev_features(dev) & USRPCI_FEATURE_PROTECTED ? "protected"
									 : "unprotected");
	fflush(stdout);
	if (!error && getenv("HOLD"))
		pause();
	usrpci_ctx_close(ctx);
	exit(-error);
}

struct named_case {
	const char *name;
	void (*run)(char **names);
	int arguments;
};

static const struct named_case cases[] = {
	{"dma-both-ways", dma_both_ways, 1},
	{"dma-of-own-memory", dma_of_own_memory, 1},
	{"dma-to-unmapped", dma_to_unmapped, 1},
	{"dma-to-physical", dma_to_physical, 1},
	{"addresses-are-physical", addresses_are_physical, 1},
	{"own-memory-refused", own_memory_refused, 1},
	{"below-4g", below_4g, 1},
	{"irq-intx", irq_intx, 1},
	{"irq-msi", irq_msi, 1},
	{"irq-loop", irq_loop, 2},
	{"irq-pending-at-close", irq_pending_at_close, 1},
	{"irq-msix", irq_msix, 1},
	{"irq-msix-mask", irq_msix_mask, 1},
	{"bar-msix-table", bar_msix_table, 1},
	{"bar-io", bar_io, 1},
	{"two-devices-share", two_devices_share, 2},
	{"two-contexts", two_contexts, 2},
	{"memory-outlives-devices", memory_outlives_devices, 1},
	{"limit-of-mappings", limit_of_mappings, 1},
	{"limit-of-locked-memory", limit_of_locked_memory, 1},
	{"run-dma-forever", run_dma_forever, 1},
	{"reset-function", reset_function, 1},
	{"reset-bus", reset_bus, 1},
	{"no-bus-reset", no_bus_reset, 1},
	{"event-error", event_error, 1},
	{"event-request", event_request, 1},
	{"open", just_open, 1},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name) && argc - 2 >= cases[i].arguments) {
			cases[i].run(argv + 2);
			return 0;
		}
	fprintf(stderr, "usage: vfio_cases CASE DEVICE...\n");
	return 2;
}
