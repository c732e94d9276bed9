// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loaded before a command: its Nth allocation of memory fails (FAULT_ALLOCATION=N), or all from
 * there on (FAULT_FROM=N). How many there were goes to the file that FAULT_COUNT names.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t align, size_t size);

static unsigned long at, from, count;

static unsigned long number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
	at = number("FAULT_ALLOCATION");
	from = number("FAULT_FROM");
	count = 0;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("FAULT_COUNT");
	unsigned long counted = count;
	FILE *file;

	at = from = 0;
	file = path ? fopen(path, "we") : NULL;
	if (!file)
		return;
	fprintf(file, "%lu\n", counted);
	fclose(file);
}

static bool fails(void)
{
	unsigned long now = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);

	if (now != at && (!from || now < from))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t elements, size_t size)
{
	return fails() ? NULL : __libc_calloc(elements, size);
}

void *realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t elements, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(elements, size, &bytes) || fails()) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : __libc_memalign(align, size);
}
