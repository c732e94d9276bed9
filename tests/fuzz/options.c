// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the address sanitizer does otherwise in a fuzzer: memory that was freed is used again
 * sooner, and stacks are kept short. Both cost more than the code that is tested.
 */

const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=2:thread_local_quarantine_size_kb=128:malloc_context_size=2";
}
