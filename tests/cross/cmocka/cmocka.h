/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_CMOCKA_H
#define USRPCI_TESTS_CMOCKA_H

/*
 * What the unit tests use of cmocka, under the same names, for libcs and processors that Debian
 * has no cmocka for. Results are printed as TAP.
 */

#include <inttypes.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
	const char *name;
	void (*test_func)(void **state);
	CMFixtureFunction setup_func;
	CMFixtureFunction teardown_func;
	void *initial_state;
};

#define cmocka_unit_test(test)                \
	{                                     \
#test, test, NULL, NULL, NULL \
	}
#define cmocka_unit_test_setup_teardown(test, setup, teardown) \
	{                                                      \
#test, test, setup, teardown, NULL             \
	}

/* One for the program, whichever files include this. */
__attribute__((weak)) jmp_buf cmocka_end_of_test;
__attribute__((weak)) int cmocka_skipped;

__attribute__((noreturn)) static inline void cmocka_leave(const char *file, int line)
{
	fprintf(stderr, "# %s:%d\n", file, line);
	longjmp(cmocka_end_of_test, 1);
}

#define print_message(...) ((void)printf(__VA_ARGS__))

#define fail_msg(...)                              \
	do {                                       \
		fprintf(stderr, "# " __VA_ARGS__); \
		cmocka_leave(__FILE__, __LINE__);  \
	} while (0)

#define skip()                                  \
	do {                                    \
		cmocka_skipped = 1;             \
		longjmp(cmocka_end_of_test, 1); \
	} while (0)

#define CMOCKA_REQUIRE(condition, ...)         \
	do {                                   \
		if (!(condition))              \
			fail_msg(__VA_ARGS__); \
	} while (0)

#define assert_true(value)     CMOCKA_REQUIRE(value, "%s is false\n", #value)
#define assert_false(value)    CMOCKA_REQUIRE(!(value), "%s is true\n", #value)
#define assert_null(value)     CMOCKA_REQUIRE(!(value), "%s is not NULL\n", #value)
#define assert_non_null(value) CMOCKA_REQUIRE(value, "%s is NULL\n", #value)

static inline void cmocka_integers(uintmax_t left, uintmax_t right, int equal, const char *what,
				   const char *file, int line)
{
	if ((left == right) == equal)
		return;
	fprintf(stderr, "# %s: %#" PRIxMAX ", %#" PRIxMAX "\n", what, left, right);
	cmocka_leave(file, line);
}

#define assert_int_equal(left, right)                                                            \
	cmocka_integers((uintmax_t)(left), (uintmax_t)(right), 1, #left " == " #right, __FILE__, \
			__LINE__)
#define assert_int_not_equal(left, right)                                                        \
	cmocka_integers((uintmax_t)(left), (uintmax_t)(right), 0, #left " != " #right, __FILE__, \
			__LINE__)
#define assert_ptr_equal(left, right) assert_int_equal((uintptr_t)(left), (uintptr_t)(right))
#define assert_ptr_not_equal(left, right) \
	assert_int_not_equal((uintptr_t)(left), (uintptr_t)(right))

static inline void cmocka_strings(const char *left, const char *right, int equal, const char *file,
				  int line)
{
	if ((strcmp(left, right) == 0) == equal)
		return;
	fprintf(stderr, "# \"%s\", \"%s\"\n", left, right);
	cmocka_leave(file, line);
}

#define assert_string_equal(left, right)     cmocka_strings(left, right, 1, __FILE__, __LINE__)
#define assert_string_not_equal(left, right) cmocka_strings(left, right, 0, __FILE__, __LINE__)

#define assert_memory_equal(left, right, size) \
	CMOCKA_REQUIRE(!memcmp(left, right, size), "%s is not %s\n", #left, #right)

static inline void cmocka_range(uintmax_t value, uintmax_t least, uintmax_t most, const char *file,
				int line)
{
	if (value >= least && value <= most)
		return;
	fprintf(stderr, "# %#" PRIxMAX " is not within %#" PRIxMAX "..%#" PRIxMAX "\n", value,
		least, most);
	cmocka_leave(file, line);
}

#define assert_in_range(value, least, most) \
	cmocka_range((uintmax_t)(value), (uintmax_t)(least), (uintmax_t)(most), __FILE__, __LINE__)

/* Each part has an end of its own, so that a failed setup ends no test. */
static inline int cmocka_do(const struct CMUnitTest *test, CMFixtureFunction fixture, void **state)
{
	if (setjmp(cmocka_end_of_test))
		return -1;
	if (fixture)
		return fixture(state);
	test->test_func(state);
	return 0;
}

static inline int cmocka_run_test(const struct CMUnitTest *test)
{
	void *state = test->initial_state;
	int error = 0;

	cmocka_skipped = 0;
	if (test->setup_func)
		error = cmocka_do(test, test->setup_func, &state);
	if (!error)
		error = cmocka_do(test, NULL, &state);
	if (test->teardown_func && cmocka_do(test, test->teardown_func, &state))
		error = -1;
	return cmocka_skipped ? 0 : error;
}

static inline int cmocka_run_tests(const struct CMUnitTest *tests, size_t count)
{
	int failed = 0, error;

	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		error = cmocka_run_test(&tests[i]);
		failed += error ? 1 : 0;
		printf("%sok %zu - %s%s\n", error ? "not " : "", i + 1, tests[i].name,
		       cmocka_skipped ? " # SKIP" : "");
		fflush(stdout);
	}
	return failed;
}

/* The tests have neither a setup nor a teardown of a group. */
#define _cmocka_run_group_tests(name, tests, count, setup, teardown) cmocka_run_tests(tests, count)
#define cmocka_run_group_tests(tests, setup, teardown) \
	cmocka_run_tests(tests, sizeof(tests) / sizeof((tests)[0]))
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
	cmocka_run_group_tests(tests, setup, teardown)

#endif
