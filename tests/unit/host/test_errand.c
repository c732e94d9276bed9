// SPDX-License-Identifier: BSD-2-Clause
/*
 * A process of its own reads or writes, and is left to itself when it is late.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wait/errand.h"
#include "fixture.h"

static void what_is_written_arrives_and_can_be_read(void **state)
{
	struct errand_runner runner = {0};
	char answer[ERRAND_SIZE];
	struct errand errand = {.held = -1, .text = "hello", .length = 5, .deadline_ms = 5000};
	pid_t pid = -1, first;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	errand.fd = ends[1];
	assert_int_equal(errand_run(&runner, &errand, NULL, &pid), 5);
	assert_int_equal(pid, 0);
	first = runner.pid;
	errand.fd = ends[0];
	errand.text = NULL;
	assert_int_equal(errand_run(&runner, &errand, answer, NULL), 5);
	assert_string_equal(answer, "hello");
	assert_int_equal(runner.pid, first);
	errand_end(&runner);
	assert_int_equal(kill(first, 0), -1);
	close(ends[0]);
	close(ends[1]);
}

/* An errand that fails with ENOSPC. The caller closes its file. */
static struct errand write_to_full(void)
{
	return (struct errand){open("/dev/full", O_WRONLY | O_CLOEXEC), -1, "x", 1, 5000};
}

static void an_error_is_the_kernels(void **state)
{
	struct errand_runner runner = {0};
	struct errand errand = write_to_full();

	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -ENOSPC);
	errand.text = NULL;
	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -EBADF);
	close(errand.fd);
	errand_end(&runner);
}

static void one_that_was_killed_is_replaced(void **state)
{
	struct errand_runner runner = {0};
	struct errand errand = write_to_full();
	pid_t first;

	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -ENOSPC);
	first = runner.pid;
	kill(first, SIGKILL);
	waitid(P_PID, (id_t)first, NULL, WEXITED | WNOWAIT);
	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -ENOSPC);
	assert_int_not_equal(runner.pid, first);
	close(errand.fd);
	errand_end(&runner);
}

/* As the process that waits for a confirmation: it has closed all files. */
static int run_in_a_child(struct errand_runner *runner, const struct errand *errand)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		close(runner->socket);
		status = (int)errand_run(runner, errand, NULL, NULL);
		errand_end(runner);
		_exit(-status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void a_child_has_one_of_its_own(void **state)
{
	struct errand_runner runner = {0};
	struct errand errand = write_to_full();
	pid_t first;

	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -ENOSPC);
	first = runner.pid;
	assert_int_equal(run_in_a_child(&runner, &errand), -ENOSPC);
	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -ENOSPC);
	assert_int_equal(runner.pid, first);
	close(errand.fd);
	errand_end(&runner);
}

static void one_ends_although_a_child_has_its_socket(void **state)
{
	struct errand_runner runner = {0};
	struct errand errand = write_to_full();
	pid_t child;

	assert_int_equal(errand_run(&runner, &errand, NULL, NULL), -ENOSPC);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	errand_end(&runner);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(errand.fd);
}

static int count_files(pid_t pid)
{
	char command[64], text[16] = "";
	FILE *list;

	snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", pid);
	list = popen(command, "r");
	assert_non_null(list);
	assert_non_null(fgets(text, sizeof(text), list));
	pclose(list);
	return atoi(text);
}

static void one_that_is_late_goes_on_with_nothing_else_open(void **state)
{
	struct errand_runner runner = {0};
	struct errand errand = {.held = -1, .deadline_ms = 100};
	char answer[ERRAND_SIZE];
	int ends[2], other[2];
	pid_t pid = 0;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(other), 0);
	errand.fd = ends[0];
	errand.held = other[1];
	assert_int_equal(errand_run(&runner, &errand, answer, &pid), -ETIMEDOUT);
	assert_true(pid > 0);
	assert_int_equal(runner.pid, 0);
	assert_int_equal(count_files(pid), 3);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 2; i++) {
		close(ends[i]);
		close(other[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_arrives_and_can_be_read),
		cmocka_unit_test(an_error_is_the_kernels),
		cmocka_unit_test(one_that_was_killed_is_replaced),
		cmocka_unit_test(a_child_has_one_of_its_own),
		cmocka_unit_test(one_ends_although_a_child_has_its_socket),
		cmocka_unit_test(one_that_is_late_goes_on_with_nothing_else_open),
	};

	return cmocka_run_group_tests_name("errand", tests, NULL, NULL);
}
