// SPDX-License-Identifier: BSD-2-Clause
/*
 * What processes have mapped, read by another thread. One that keeps the kernel from looking takes
 * a file system of its own, so that a suite of the virtual machine has it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "wait/maps.h"

static int setup(void **state)
{
	struct usrpci_host *host;
	struct usrpci_ctx *ctx;

	if (usrpci_ctx_open(NULL, &ctx) || usrpci_host_open(ctx, NULL, &host))
		return -1;
	*state = host;
	return 0;
}

static int teardown(void **state)
{
	struct usrpci_host *host = *state;
	struct usrpci_ctx *ctx = host->ctx;

	usrpci_host_close(host);
	usrpci_ctx_close(ctx);
	return 0;
}

static bool shows_stack(struct usrpci_host *host, const char *task)
{
	char *text;
	int error = maps_read(host, task, &text);
	bool found = !error && strstr(text, "[stack]\n") && text[strlen(text) - 1] == '\n';

	free(text);
	return found;
}

static void a_process_and_a_thread_are_read_to_their_end(void **state)
{
	char task[48];

	assert_true(shows_stack(*state, "self"));
	snprintf(task, sizeof(task), "%d/task/%d", getpid(), getpid());
	assert_true(shows_stack(*state, task));
}

static void one_that_has_ended_is_not_there(void **state)
{
	pid_t ended = fork();
	char task[16], *text;

	if (ended == 0)
		_exit(0);
	waitpid(ended, NULL, 0);
	snprintf(task, sizeof(task), "%d", ended);
	assert_int_equal(maps_read(*state, task, &text), -ENOENT);
	assert_null(text);
}

/*
 * The thread that reads is not in a process that was started since. QEMU's emulation of a program
 * aborts when such a process of a program with threads starts one.
 */
static void a_process_that_was_started_reads_too(void **state)
{
	int status;
	pid_t started;

	if (getenv("USRPCI_EMULATED"))
		skip();
	assert_true(shows_stack(*state, "self"));
	started = fork();
	if (started == 0)
		_exit(!shows_stack(*state, "self"));
	assert_int_equal(waitpid(started, &status, 0), started);
	assert_int_equal(status, 0);
	assert_true(shows_stack(*state, "self"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_and_a_thread_are_read_to_their_end),
		TEST(one_that_has_ended_is_not_there),
		TEST(a_process_that_was_started_reads_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
