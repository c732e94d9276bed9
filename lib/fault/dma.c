// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory that is late or torn. The device's pages are mapped elsewhere, and the driver has a
 * copy in their place. What the driver changes is copied to the device's pages before each access
 * to a register and with every tick of a thread; what the device changes is copied back one tick
 * after it was seen. Works with any domain whose memory is a shared mapping.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "dma/domain.h"
#include "fault/fault.h"

#define LOG_SUBJECT "fault"
#include "log.h"

#define PAGE  4096
#define WORDS (PAGE / sizeof(uint32_t))

/* A chunk of memory, by words, in four versions. */
struct shadow {
	struct shadow *next;
	struct dma_chunk chunk;
	uint32_t *driver;  /* what the driver sees, at the address it has always had */
	uint32_t *device;  /* what the device sees: the pages themselves */
	uint32_t *agreed;  /* what both had when they were last compared */
	uint32_t *seen;    /* what the device had at the last tick */
	uint32_t copies[]; /* room for agreed and seen */
};

struct fault_memory {
	struct dma_domain_ops ops; /* stand in for the domain's own */
	const struct dma_domain_ops *inner;
	struct dma_domain *domain;
	dma_add_fn *add;      /* during grow */
	pthread_mutex_t lock; /* guards the rest */
	struct shadow *shadows;
	pthread_t pump;
	pthread_cond_t stopping;
	bool stop;
	bool torn;
	unsigned int ms;
};

static struct fault_memory *memory_of(struct dma_domain *domain)
{
	return (struct fault_memory *)domain->ops;
}

/* Driver and device write while this reads, so it goes word by word, as on a bus. */
static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void push_page(struct shadow *shadow, size_t first)
{
	uint32_t word;

	for (size_t i = first; i < first + WORDS; i++) {
		word = load(&shadow->driver[i]);
		if (word == shadow->agreed[i])
			continue;
		store(&shadow->device[i], word);
		shadow->agreed[i] = word;
		shadow->seen[i] = word;
	}
}

static void push(struct shadow *shadow)
{
	size_t words = shadow->chunk.size / sizeof(uint32_t);

	for (size_t i = 0; i < words; i += WORDS)
		if (memcmp(&shadow->driver[i], &shadow->agreed[i], PAGE))
			push_page(shadow, i);
}

static void show(struct shadow *shadow, size_t i, uint32_t word)
{
	store(&shadow->driver[i], word);
	shadow->agreed[i] = word;
}

/* If torn, odd words are shown now and even ones a tick later; a status is mostly in an odd one. */
static void pull_page(struct shadow *shadow, size_t first, bool torn)
{
	uint32_t word;

	for (size_t i = first; i < first + WORDS; i++) {
		if (shadow->seen[i] != shadow->agreed[i])
			show(shadow, i, shadow->seen[i]);
		word = load(&shadow->device[i]);
		shadow->seen[i] = word;
		if (torn && i % 2 && word != shadow->agreed[i])
			show(shadow, i, word);
	}
}

static void pull(struct shadow *shadow, bool torn)
{
	size_t words = shadow->chunk.size / sizeof(uint32_t);

	for (size_t i = 0; i < words; i += WORDS)
		if (memcmp(&shadow->device[i], &shadow->seen[i], PAGE) ||
		    memcmp(&shadow->seen[i], &shadow->agreed[i], PAGE))
			pull_page(shadow, i, torn);
}

void fault_memory_push(struct fault_memory *memory)
{
	pthread_mutex_lock(&memory->lock);
	for (struct shadow *shadow = memory->shadows; shadow; shadow = shadow->next)
		push(shadow);
	pthread_mutex_unlock(&memory->lock);
}

static void tick(struct fault_memory *memory)
{
	for (struct shadow *shadow = memory->shadows; shadow; shadow = shadow->next) {
		push(shadow);
		pull(shadow, memory->torn);
	}
}

static void *pump(void *data)
{
	struct fault_memory *memory = data;
	struct timespec next;

	pthread_mutex_lock(&memory->lock);
	while (!memory->stop) {
		tick(memory);
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_nsec += memory->ms * 1000000L;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&memory->stopping, &memory->lock, &next);
	}
	pthread_mutex_unlock(&memory->lock);
	return NULL;
}

/* Maps the same pages a second time, for the device, and a copy where the first mapping was. */
static int split(struct shadow *shadow)
{
	size_t size = shadow->chunk.size;
	void *va = shadow->chunk.va;

	shadow->device = mremap(va, 0, size, MREMAP_MAYMOVE);
	if (shadow->device == MAP_FAILED)
		return -errno;
	if (mmap(va, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED) {
		munmap(shadow->device, size);
		return -ENOMEM;
	}
	shadow->driver = va;
	memcpy(shadow->driver, shadow->device, size);
	memcpy(shadow->agreed, shadow->device, size);
	memcpy(shadow->seen, shadow->device, size);
	return 0;
}

static int make_shadow(const struct dma_chunk *chunk, struct shadow **result)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow) + 2 * chunk->size);
	int error;

	if (!shadow)
		return -ENOMEM;
	shadow->chunk = *chunk;
	shadow->agreed = shadow->copies;
	shadow->seen = shadow->copies + chunk->size / sizeof(*shadow->copies);
	error = split(shadow);
	if (error)
		free(shadow);
	else
		*result = shadow;
	return error;
}

static int add_shadow(struct fault_memory *memory, const struct dma_chunk *chunk)
{
	struct shadow *shadow;
	int error = make_shadow(chunk, &shadow);

	if (error)
		return report(memory->domain->ctx, error, "DMA memory", NULL,
			      "cannot put a copy between the driver and %zu bytes", chunk->size);
	pthread_mutex_lock(&memory->lock);
	shadow->next = memory->shadows;
	memory->shadows = shadow;
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static struct shadow *remove_shadow(struct fault_memory *memory, const struct dma_chunk *chunk)
{
	struct shadow **link = &memory->shadows, *shadow;

	pthread_mutex_lock(&memory->lock);
	while (*link && (*link)->chunk.va != chunk->va)
		link = &(*link)->next;
	shadow = *link;
	if (shadow)
		*link = shadow->next;
	pthread_mutex_unlock(&memory->lock);
	return shadow;
}

/* Puts the pages back where they were. */
static void drop_shadow(struct fault_memory *memory, const struct dma_chunk *chunk)
{
	struct shadow *shadow = remove_shadow(memory, chunk);

	if (!shadow)
		return;
	mremap(shadow->device, chunk->size, chunk->size, MREMAP_MAYMOVE | MREMAP_FIXED, chunk->va);
	free(shadow);
}

static int add(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	struct fault_memory *memory = memory_of(domain);
	int error = add_shadow(memory, chunk), taken;

	if (error)
		return error;
	taken = memory->add(domain, chunk);
	if (taken < 0)
		drop_shadow(memory, chunk);
	return taken;
}

static int fault_grow(struct dma_domain *domain, const struct dma_chunk_request *request,
		      int (*add_inner)(struct dma_domain *domain, const struct dma_chunk *chunk))
{
	struct fault_memory *memory = memory_of(domain);

	memory->add = add_inner;
	return memory->inner->grow(domain, request, add);
}

static void fault_shrink(struct dma_domain *domain, const struct dma_chunk *chunk)
{
	struct fault_memory *memory = memory_of(domain);

	drop_shadow(memory, chunk);
	memory->inner->shrink(domain, chunk);
}

/* Clocks that are set make no difference to its waits. */
static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

int fault_memory_wrap(struct dma_domain *domain, unsigned int ms, bool torn,
		      struct fault_memory **result)
{
	struct fault_memory *memory = calloc(1, sizeof(*memory));
	int error = memory ? 0 : -ENOMEM;

	if (!error) {
		*memory = (struct fault_memory){
			.ops = *domain->ops, .inner = domain->ops, .torn = torn, .ms = ms};
		memory->ops.grow = fault_grow;
		memory->ops.shrink = fault_shrink;
		memory->domain = domain;
		pthread_mutex_init(&memory->lock, NULL);
		init_condition(&memory->stopping);
		error = -pthread_create(&memory->pump, NULL, pump, memory);
	}
	if (error) {
		free(memory);
		return report(domain->ctx, error, "DMA memory", NULL, "cannot make it late");
	}
	domain->ops = &memory->ops;
	*result = memory;
	return 0;
}

/* Called when the domain is gone, and with it the chunks. */
void fault_memory_free(struct fault_memory *memory)
{
	if (!memory)
		return;
	pthread_mutex_lock(&memory->lock);
	memory->stop = true;
	pthread_cond_signal(&memory->stopping);
	pthread_mutex_unlock(&memory->lock);
	pthread_join(memory->pump, NULL);
	pthread_cond_destroy(&memory->stopping);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}
