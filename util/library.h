/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Libraries that are loaded when they are first needed, which most commands never do. */

#include <stdbool.h>
#include <stddef.h>

#define LIBRARY_NAME(name)   #name,
#define LIBRARY_MEMBER(name) typeof(name) *name;

/*
 * Loads a library and finds functions in it. They are stored in an array of pointers to functions,
 * such as a structure whose members are LIBRARY_MEMBER of the same list as the LIBRARY_NAMEs.
 *
 * @path	where the library was when this was built
 * @file	its name alone, by which it is found elsewhere
 *
 * The library stays, as others do. Returns false when it, or a function, is not there; the array
 * may then be filled in part.
 */
bool library_load(const char *path, const char *file, const char *const *names, size_t count,
		  void *functions);
