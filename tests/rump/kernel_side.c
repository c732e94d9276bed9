// SPDX-License-Identifier: BSD-2-Clause
/*
 * Plays the kernel side of a rump kernel's PCI component against the real hypercalls and a real
 * device: what NetBSD's pci(4), bus_space(9), bus_dma(9) and a driver do, in the order in which
 * they do it. The device is edu (QEMU docs/specs/edu.txt) where registers, DMA and interrupts are
 * wanted.
 *
 * Run by rump.sh in the test machine: kernel_side CASE. Exits with 0, or prints what was wrong.
 */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <usrpci/rump.h>

#include "hypercall.h"

#define CHECK(condition)                                                                          \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                                  \
		}                                                                                 \
	} while (0)

/*
 * What librump provides: here it counts, and keeps the promise of one thread at a time in the
 * kernel.
 */
static pthread_mutex_t processor = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool is_kernel_thread;
static _Thread_local bool scheduled, locked;

void rumpuser_component_kthread(void)
{
	is_kernel_thread = true;
}

void rumpuser_component_schedule(void *cookie)
{
	(void)cookie;
	CHECK(is_kernel_thread);
	pthread_mutex_lock(&processor);
	scheduled = true;
}

void rumpns__kernel_lock(int count)
{
	CHECK(scheduled && !locked && count == 1);
	locked = true;
}

void rumpns__kernel_unlock(int count, int *counted)
{
	CHECK(locked && count == 1 && !counted);
	locked = false;
}

void *rumpuser_component_unschedule(void)
{
	scheduled = false;
	pthread_mutex_unlock(&processor);
	return NULL;
}

/* NetBSD's numbers differ from Linux's above 34; the tests look at zero and not zero. */
int rumpuser_component_errtrans(int host_errno)
{
	return host_errno;
}

struct place {
	unsigned int device, function, id;
};

static unsigned int read_config(unsigned int device, unsigned int function, int reg)
{
	unsigned int value = 0x5a5a5a5a;

	rumpcomp_pci_confread(0, device, function, reg, &value);
	return value;
}

/*
 * As pci_probe_device() does for each of 32 devices, with function 1..7 only behind the
 * multi-function bit.
 */
static unsigned int enumerate(struct place *places, unsigned int max)
{
	unsigned int found = 0;

	for (unsigned int device = 0; device < 32; device++) {
		unsigned int header = read_config(device, 0, 0x0c);
		unsigned int functions = header != ~0u && header & 0x00800000 ? 8 : 1;

		for (unsigned int function = 0; function < functions; function++) {
			unsigned int id = read_config(device, function, 0);

			if ((id & 0xffff) == 0xffff || !(id & 0xffff))
				continue;
			CHECK(found < max);
			places[found++] = (struct place){device, function, id};
		}
	}
	return found;
}

static struct place find(unsigned int id)
{
	struct place places[256];
	unsigned int count = enumerate(places, 256);

	for (unsigned int i = 0; i < count; i++) {
		if (places[i].id == id)
			return places[i];
	}
	fprintf(stderr, "no device %08x on the rump kernel's bus\n", id);
	exit(1);
}

/* Sizes a memory BAR as pci_mapreg_info() does. */
static void size_bar(struct place at, int reg, unsigned long *address, unsigned long *size)
{
	unsigned int before = read_config(at.device, at.function, reg), mask;

	CHECK(!rumpcomp_pci_confwrite(0, at.device, at.function, reg, ~0u));
	mask = read_config(at.device, at.function, reg);
	CHECK(!rumpcomp_pci_confwrite(0, at.device, at.function, reg, before));
	CHECK(read_config(at.device, at.function, reg) == before);
	*address = before & ~0xful;
	*size = -(mask & ~0xfu) & 0xffffffffu;
}

#define EDU           0x11e81234u
#define E1000         0x100e8086u
#define LEGACY_VIRTIO 0x10001af4u

static volatile uint32_t *map_edu(struct place at)
{
	unsigned long address, size;
	volatile uint32_t *registers;

	size_bar(at, 0x10, &address, &size);
	CHECK(size == 1 << 20);
	registers = rumpcomp_pci_map(address, size);
	CHECK(registers);
	CHECK((registers[0] & 0xff) == 0xed);
	return registers;
}

static void case_enumerates(void)
{
	struct place places[256];
	unsigned int count = enumerate(places, 256), value = 0;

	for (unsigned int i = 0; i < count; i++)
		printf("%u.%u %08x\n", places[i].device, places[i].function, places[i].id);
	for (unsigned int device = 0; device < 32; device++) {
		for (unsigned int function = 0; function < 8; function++) {
			bool present = false;

			for (unsigned int i = 0; i < count; i++)
				present |= places[i].device == device &&
					   places[i].function == function;
			CHECK(!rumpcomp_pci_confread(0, device, function, 0, &value) == present);
			CHECK(present || value == ~0u);
			CHECK(rumpcomp_pci_confread(1, device, function, 0, &value) != 0);
			CHECK(value == ~0u);
		}
	}
	CHECK(rumpcomp_pci_confread(0, 32, 0, 0, &value) && value == ~0u);
	CHECK(rumpcomp_pci_confread(0, 0, 8, 0, &value) && value == ~0u);
	CHECK(rumpcomp_pci_confread(0, 0, 0, -4, &value) && value == ~0u);
	CHECK(rumpcomp_pci_confread(0, 0, 0, 1 << 20, &value) && value == ~0u);
}

static void case_maps(void)
{
	struct place at = find(EDU);
	volatile uint32_t *registers = map_edu(at), *part;
	unsigned long address, size;

	size_bar(at, 0x10, &address, &size);
	part = rumpcomp_pci_map(address + 0x80, 0x20);
	CHECK(part == registers + 0x20);
	CHECK(!rumpcomp_pci_map(address + size - 8, 16));
	CHECK(!rumpcomp_pci_map(address - 4, 8));
	CHECK(!rumpcomp_pci_map(0, 4096));
	CHECK(!rumpcomp_pci_map(address, ~0ul));
	registers[1] = 0x12345678;
	CHECK(registers[1] == ~0x12345678u);
}

static void case_keeps_status_bits(void)
{
	struct place at = find(EDU);
	unsigned int command = read_config(at.device, at.function, 4);

	/* Writing the whole register back would clear whatever status bits are set. */
	CHECK(!rumpcomp_pci_confwrite(0, at.device, at.function, 4, command | 6 | 0xffff0000));
	CHECK((read_config(at.device, at.function, 4) & 6) == 6);
	CHECK((read_config(at.device, at.function, 4) & 0xffff0000) == (command & 0xffff0000));
}

static void case_allocates(void)
{
	static const size_t sizes[] = {4096, 8192, 65536, 1 << 20, 3 << 20};
	static const size_t aligns[] = {0, 1, 16, 128, 4096, 16384, 65536};

	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		for (unsigned int a = 0; a < sizeof(aligns) / sizeof(*aligns); a++) {
			unsigned long pa = 0, va = 0;

			CHECK(!rumpcomp_pci_dmalloc(sizes[s], aligns[a], &pa, &va));
			CHECK(pa && va && (!aligns[a] || pa % aligns[a] == 0));
			CHECK(rumpcomp_pci_virt_to_mach((void *)va) == pa);
			CHECK(rumpcomp_pci_virt_to_mach((char *)va + sizes[s] - 1) ==
			      pa + sizes[s] - 1);
			memset((void *)va, 0xa5, sizes[s]);
			rumpcomp_pci_dmafree(va, sizes[s]);
		}
	}
}

static unsigned int free_pages(void)
{
	unsigned int count = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");

	CHECK(file && fscanf(file, "%u", &count) == 1);
	fclose(file);
	return count;
}

/* What wm(4) does when its interface goes down and up: rings, and buffers of the kernel's. */
static void take_rings_and_buffers(void)
{
	unsigned long pa[8], va[8];
	void *buffers[32];

	for (unsigned int i = 0; i < 8; i++)
		CHECK(!rumpcomp_pci_dmalloc(65536, 4096, &pa[i], &va[i]));
	for (unsigned int i = 0; i < 32; i++)
		CHECK(!rumpuser_malloc(65536, 4096, &buffers[i]));
	for (unsigned int i = 0; i < 32; i++)
		rumpuser_free(buffers[i], 65536);
	for (unsigned int i = 0; i < 8; i++)
		rumpcomp_pci_dmafree(va[i], 65536);
}

static void case_goes_down_and_up(void)
{
	unsigned int after_the_first;

	take_rings_and_buffers();
	after_the_first = free_pages();
	for (unsigned int i = 0; i < 1000; i++)
		take_rings_and_buffers();
	CHECK(free_pages() == after_the_first);
}

static void case_maps_several_segments(void)
{
	struct rumpcomp_pci_dmaseg segments[3];
	unsigned long pa, va;
	void *mapped = NULL;

	CHECK(!rumpcomp_pci_dmalloc(12288, 4096, &pa, &va));
	for (unsigned int i = 0; i < 3; i++)
		segments[i] = (struct rumpcomp_pci_dmaseg){pa + i * 4096, 4096, va + i * 4096};
	CHECK(!rumpcomp_pci_dmamem_map(segments, 3, 12000, &mapped));
	CHECK(mapped == (void *)va);
	segments[1].ds_vacookie += 4096;
	CHECK(rumpcomp_pci_dmamem_map(segments, 3, 12000, &mapped) != 0);
	CHECK(rumpcomp_pci_dmamem_map(segments, 0, 0, &mapped) != 0);
	rumpcomp_pci_dmafree(va, 12288);
}

/* Kernel memory is one linear piece for the device wherever it is one for the processor. */
static void case_translates_kernel_memory(void)
{
	void *blocks[512];

	for (unsigned int i = 0; i < 512; i++) {
		size_t size = (i % 7 + 1) * 1500;
		unsigned long pa;

		CHECK(!rumpuser_malloc(size, i % 3 ? 0 : 8192, &blocks[i]));
		pa = rumpcomp_pci_virt_to_mach(blocks[i]);
		CHECK(pa && (i % 3 || pa % 8192 == 0));
		for (size_t at = 0; at < size; at += 512)
			CHECK(rumpcomp_pci_virt_to_mach((char *)blocks[i] + at) == pa + at);
	}
	for (unsigned int i = 0; i < 512; i++)
		rumpuser_free(blocks[i], 0);
}

static void case_survives_exhaustion(void)
{
	void *blocks[4096], *again;
	unsigned int count = 0;

	while (count < 4096 && !rumpuser_malloc(1 << 20, 4096, &blocks[count]))
		count++;
	CHECK(count > 0 && count < 4096);
	CHECK(!blocks[count]);
	for (unsigned int i = 0; i < 10; i++)
		CHECK(rumpuser_malloc(1 << 20, 4096, &again));
	rumpuser_free(blocks[0], 1 << 20);
	CHECK(!rumpuser_malloc(1 << 20, 4096, &again));
	printf("%u MiB\n", count);
}

/* Exported, for the message to have its name. */
void driver_that_loads_its_stack(void);
void driver_that_loads_its_stack(void)
{
	char on_stack[64];

	rumpcomp_pci_virt_to_mach(on_stack);
}

static sem_t interrupted;
static volatile uint32_t *interrupting;
static unsigned int interrupt_count;

static int edu_interrupt(void *arg)
{
	CHECK(scheduled && locked && arg == &interrupted);
	interrupting[0x64 / 4] = interrupting[0x24 / 4];
	interrupt_count++;
	sem_post(&interrupted);
	return 1;
}

static void wait_for_interrupt(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 10;
	CHECK(!sem_timedwait(&interrupted, &deadline));
}

static void establish_edu(struct place at, int (*handler)(void *))
{
	sem_init(&interrupted, 0, 0);
	interrupting = map_edu(at);
	CHECK(!rumpcomp_pci_confwrite(0, at.device, at.function, 4,
				      (read_config(at.device, at.function, 4) & 0xffff) | 6));
	CHECK(!rumpcomp_pci_irq_map(0, at.device, at.function,
				    read_config(at.device, at.function, 0x3c) & 0xff, 7));
	CHECK(rumpcomp_pci_irq_establish(7, handler, &interrupted));
}

static void case_delivers_interrupts(void)
{
	struct place at = find(EDU);

	CHECK(rumpcomp_pci_irq_map(0, 31, 7, 11, 6) != 0);
	CHECK(!rumpcomp_pci_irq_establish(6, edu_interrupt, NULL));
	establish_edu(at, edu_interrupt);
	CHECK(!rumpcomp_pci_irq_establish(7, edu_interrupt, NULL));
	for (unsigned int i = 0; i < 100; i++) {
		interrupting[0x60 / 4] = 1;
		wait_for_interrupt();
	}
	CHECK(interrupt_count == 100);
}

static unsigned int end_count;

/* It is called in the rump kernel, when the handlers have returned. */
static void note_end(void)
{
	CHECK(scheduled && !locked && interrupt_count == 1);
	end_count++;
	sem_post(&interrupted);
}

static void interrupt_once(void)
{
	interrupting[0x60 / 4] = 1;
	wait_for_interrupt();
}

static void case_tells_when_handlers_are_done(void)
{
	usrpci_rump_after_interrupt(note_end);
	establish_edu(find(EDU), edu_interrupt);
	interrupt_once();
	wait_for_interrupt();
	CHECK(end_count == 1);
	usrpci_rump_after_interrupt(NULL);
	interrupt_once();
	interrupt_once();
	CHECK(interrupt_count == 3 && end_count == 1);
}

/* What a driver reads in its handler has the bit that masks the interrupt; it may write it back. */
static void case_keeps_interrupts_enabled(void)
{
	struct place at = find(EDU);
	unsigned int command;

	establish_edu(at, edu_interrupt);
	for (unsigned int i = 0; i < 10; i++) {
		interrupting[0x60 / 4] = 1;
		wait_for_interrupt();
		command = read_config(at.device, at.function, 4) & 0xffff;
		usleep(10000);
		CHECK(!rumpcomp_pci_confwrite(0, at.device, at.function, 4, command | 0x400));
	}
}

static void end_well(void)
{
	puts("told");
	fflush(stdout);
	_exit(0);
}

static void case_holds_a_device(void)
{
	establish_edu(find(EDU), edu_interrupt);
	puts("holding");
	fflush(stdout);
	pause();
}

static void case_holds_a_device_until_it_is_told(void)
{
	usrpci_rump_when_gone(end_well);
	case_holds_a_device();
}

/* NetBSD's drivers find their devices without memory of ours, and then want some for DMA. */
static void case_starts_with_other_memory(void)
{
	unsigned long pa, va;

	CHECK(rumpcomp_pci_map(0, 4096) == NULL);
	CHECK(rumpcomp_pci_dmalloc(4096, 4096, &pa, &va) != 0);
	CHECK(rumpcomp_pci_dmalloc(4096, 4096, &pa, &va) != 0);
}

static void case_has_no_driver(void)
{
	find(E1000);
}

static void case_has_no_driver_with_ports(void)
{
	rumpcomp_pci_iospace_init();
	find(E1000);
}

/* Registers of which 0x100 receives and 0x400 sends by their bit 1. */
static volatile uint32_t *map_e1000(void)
{
	struct place at = find(E1000);
	unsigned long address, size;
	volatile uint32_t *registers;

	size_bar(at, 0x10, &address, &size);
	registers = rumpcomp_pci_map(address, size);
	CHECK(registers);
	return registers;
}

#if defined(__x86_64__)
static uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ __volatile__("inl %1, %0" : "=a"(value) : "d"(port));
	return value;
}

static void out32(uint16_t port, uint32_t value)
{
	__asm__ __volatile__("outl %0, %1" : : "a"(value), "d"(port));
}

/* Virtio 1.2, 4.1.4.10: what the driver wants of the features, the queue, and the status. */
static void case_uses_ports(void)
{
	struct place at = find(LEGACY_VIRTIO);
	uint16_t port = (uint16_t)(read_config(at.device, at.function, 0x10) & ~3u);
	uint64_t wide = ~UINT64_C(0);
	uint16_t half = 3;
	uint8_t byte = 1;

	CHECK(!rumpcomp_pci_iospace_init());
	CHECK(in32(port) != 0 && in32(port) != UINT32_MAX);
	out32((uint16_t)(port + 4), 0x20);
	__asm__ __volatile__("inl %w1, %k0" : "+a"(wide) : "d"((uint16_t)(port + 4)));
	CHECK(wide == 0x20);
	__asm__ __volatile__("outw %0, %1" : : "a"(half), "d"((uint16_t)(port + 14)));
	__asm__ __volatile__("inw %1, %0" : "=a"(half) : "d"((uint16_t)(port + 14)));
	CHECK(half == 3);
	__asm__ __volatile__("outb %0, %1" : : "a"(byte), "d"((uint16_t)(port + 18)));
	__asm__ __volatile__("inb %1, %0" : "=a"(byte) : "d"((uint16_t)(port + 18)));
	CHECK(byte == 1);
	/* Ports of nobody. */
	CHECK(in32(0x80) == UINT32_MAX && in32((uint16_t)(port - 2)) == UINT32_MAX);
	out32(0x80, 1);
}
#endif

static void case_faults(void)
{
	find(E1000);
	*(volatile int *)(uintptr_t)free_pages() = 0; /* no address at all */
}

static void case_outlives_a_child(void)
{
	struct place at = find(EDU);
	pid_t child;
	int status;

	establish_edu(at, edu_interrupt);
	child = fork();
	if (!child)
		exit(0);
	CHECK(waitpid(child, &status, 0) == child && !status);
	CHECK(read_config(at.device, at.function, 4) & 4);
}

/* edu's DMA engine: memory to its buffer at 0x40000 and back, finished by an interrupt. */
static void edu_dma(uint64_t from, uint64_t to, uint64_t bytes, uint32_t command)
{
	volatile uint64_t *dma = (volatile uint64_t *)(interrupting + 0x80 / 4);

	dma[0] = from;
	dma[1] = to;
	dma[2] = bytes;
	__sync_synchronize();
	interrupting[0x98 / 4] = command | 1 | 4;
	wait_for_interrupt();
}

/* QEMU's edu takes no transfer that ends where its buffer does. */
#define EDU_BYTES 4000

static void case_moves_data(void)
{
	struct place at = find(EDU);
	unsigned long pa, va;
	void *memory;

	establish_edu(at, edu_interrupt);
	CHECK(!rumpuser_malloc(8192, 4096, &memory));
	CHECK(!rumpcomp_pci_dmalloc(4096, 4096, &pa, &va));
	for (unsigned int i = 0; i < 1024; i++)
		((uint32_t *)memory)[i] = i * 2654435761u;
	memset((void *)va, 0, 4096);
	edu_dma(rumpcomp_pci_virt_to_mach(memory), 0x40000, EDU_BYTES, 0);
	edu_dma(0x40000, pa, EDU_BYTES, 2);
	CHECK(!memcmp(memory, (void *)va, EDU_BYTES));
}

static void case_is_killed_while_a_nic_works(void)
{
	volatile uint32_t *registers = map_e1000();

	registers[0x100 / 4] |= 2;
	registers[0x400 / 4] |= 2;
	CHECK(registers[0x100 / 4] & 2 && registers[0x400 / 4] & 2);
	kill(getpid(), SIGKILL);
}

static void case_finds_a_nic_at_rest(void)
{
	volatile uint32_t *registers = map_e1000();

	CHECK(!(registers[0x100 / 4] & 2) && !(registers[0x400 / 4] & 2));
}

static void case_panics(void)
{
	printf("panic: a reason\n");
	rumpuser_exit(RUMPUSER_PANIC);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"enumerates", case_enumerates},
	{"maps", case_maps},
	{"keeps-status-bits", case_keeps_status_bits},
	{"allocates", case_allocates},
	{"goes-down-and-up", case_goes_down_and_up},
	{"maps-several-segments", case_maps_several_segments},
	{"translates-kernel-memory", case_translates_kernel_memory},
	{"survives-exhaustion", case_survives_exhaustion},
	{"refuses-other-memory", driver_that_loads_its_stack},
	{"delivers-interrupts", case_delivers_interrupts},
	{"tells-when-handlers-are-done", case_tells_when_handlers_are_done},
	{"keeps-interrupts-enabled", case_keeps_interrupts_enabled},
	{"holds-a-device", case_holds_a_device},
	{"holds-a-device-until-it-is-told", case_holds_a_device_until_it_is_told},
	{"has-no-driver", case_has_no_driver},
	{"has-no-driver-with-ports", case_has_no_driver_with_ports},
#if defined(__x86_64__)
	{"uses-ports", case_uses_ports},
#endif
	{"faults", case_faults},
	{"outlives-a-child", case_outlives_a_child},
	{"is-killed-while-a-nic-works", case_is_killed_while_a_nic_works},
	{"finds-a-nic-at-rest", case_finds_a_nic_at_rest},
	{"moves-data", case_moves_data},
	{"panics", case_panics},
};

int main(int argc, char **argv)
{
	void *first;

	if (argc == 2 && !strcmp(argv[1], "starts-with-other-memory")) {
		case_starts_with_other_memory();
		return 0;
	}
	/* librump's first allocation comes before anything else. */
	CHECK(!rumpuser_malloc(4096, 0, &first));
	for (unsigned int i = 0; argc == 2 && i < sizeof(cases) / sizeof(*cases); i++) {
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: %s CASE\n", argv[0]);
	return 2;
}
