// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs one read or write in a process of its own, see errand.h. The process tells the result
 * through a pipe, so that it does not matter who waits for children. It is not killed when it is
 * late: the kernel is in the middle of something.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wait/errand.h"
#include "host.h"

struct answer {
	ssize_t result;
	char text[ERRAND_SIZE];
};

static int compare_numbers(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/* The program's other files, a lock or a device perhaps, must not stay open for as long. */
static void close_others(const struct errand *errand, int out)
{
	int kept[] = {errand->fd, errand->held, out};
	int next = 0;

	qsort(kept, 3, sizeof(kept[0]), compare_numbers);
	for (int i = 0; i < 3; i++) {
		if (kept[i] > next)
			close_range((unsigned int)next, (unsigned int)kept[i] - 1, 0);
		next = kept[i] + 1;
	}
	close_range((unsigned int)next, ~0U, 0);
}

static _Noreturn void do_errand(const struct errand *errand, int out)
{
	struct answer answer = {0};

	close_others(errand, out);
	if (errand->text)
		answer.result = write(errand->fd, errand->text, errand->length);
	else
		answer.result = read(errand->fd, answer.text, sizeof(answer.text) - 1);
	if (answer.result < 0)
		answer.result = -errno;
	(void)!write(out, &answer, sizeof(answer));
	_exit(0);
}

/* Waits for the answer: 0, or a negative errno. A process that was killed has none. */
static int wait_for(int in, unsigned int deadline_ms, struct answer *answer)
{
	uint64_t now = clock_ms(), end = now + deadline_ms;
	struct pollfd poller = {.fd = in, .events = POLLIN};
	int ready;

	do {
		ready = poll(&poller, 1, (int)(end - now));
		now = clock_ms();
	} while (ready < 0 && errno == EINTR && now < end);
	if (ready <= 0)
		return ready && errno != EINTR ? -errno : -ETIMEDOUT;
	return read(in, answer, sizeof(*answer)) == sizeof(*answer) ? 0 : -EINTR;
}

ssize_t errand_run(const struct errand *errand, char *text, pid_t *process)
{
	struct answer answer;
	int ends[2], error;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid == 0)
		do_errand(errand, ends[1]);
	error = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (!error)
		error = wait_for(ends[0], errand->deadline_ms, &answer);
	close(ends[0]);
	if (process)
		*process = error == -ETIMEDOUT ? pid : 0;
	if (error != -ETIMEDOUT && pid > 0)
		waitpid(pid, NULL, 0);
	if (error)
		return error;
	if (text)
		memcpy(text, answer.text, sizeof(answer.text));
	return answer.result;
}
