// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loads libkmod and libmount at run time, see libraries.h.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

#include "libraries.h"

#define LAZY_RESOLVE(name)                                       \
	functions->name = (typeof(name) *)dlsym(library, #name); \
	complete = complete && functions->name

struct lazy_kmod *lazy_load_kmod(void)
{
	struct lazy_kmod *functions = calloc(1, sizeof(*functions));
	void *library = dlopen("libkmod.so.2", RTLD_LAZY);
	bool complete = library && functions;

	if (complete) {
		LAZY_KMOD(LAZY_RESOLVE);
	}
	if (complete)
		return functions;
	free(functions);
	return NULL;
}

struct lazy_mount *lazy_load_mount(void)
{
	struct lazy_mount *functions = calloc(1, sizeof(*functions));
	void *library = dlopen("libmount.so.1", RTLD_LAZY);
	bool complete = library && functions;

	if (complete) {
		LAZY_MOUNT(LAZY_RESOLVE);
	}
	if (complete)
		return functions;
	free(functions);
	return NULL;
}
