// SPDX-License-Identifier: BSD-2-Clause
/*
 * The static command's way to the libraries that the other one loads at run time: their functions
 * are inside, and are found here by their names. libkmod is not, so modules must have been loaded.
 */

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "../cli/smartcols.h"
#include "../host/libraries.h"

/* clang-format off */
#define FUNCTION(name) {#name, (void *)(name)},
/* clang-format on */

static const struct {
	const char *name;
	void *function;
} functions[] = {LIBRARY_MOUNT(FUNCTION) LIBRARY_UDEV(FUNCTION) LIBRARY_SMARTCOLS(FUNCTION)};

void *dlopen(const char *file, int mode)
{
	(void)mode;
	return strstr(file, "libkmod") ? NULL : (void *)functions;
}

void *dlsym(void *restrict library, const char *restrict name)
{
	(void)library;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(name, functions[i].name))
			return functions[i].function;
	return NULL;
}
