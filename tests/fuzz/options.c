// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the address sanitizer does otherwise in a fuzzer: memory that was freed is used again
 * sooner, stacks are kept short, and new memory is not filled but at its begin. All of these cost
 * more than the code that is tested.
 */

const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=2:thread_local_quarantine_size_kb=128:malloc_context_size=2:"
	       "max_malloc_fill_size=64";
}
