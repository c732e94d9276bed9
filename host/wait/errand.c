// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs reads and writes in a process of its own, see errand.h. It gets the files over a socket, and
 * ends when that is closed. It is not killed when it is late: the kernel is in the middle of
 * something. The answer comes through the socket, so that it does not matter who waits for
 * children.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wait/errand.h"
#include "host.h"

/* The file itself, and the one that is held. */
#define FILES_MAX 2

struct request {
	size_t length; /* 0: a read */
	char text[ERRAND_SIZE];
};

struct answer {
	ssize_t result;
	char text[ERRAND_SIZE];
};

union control {
	char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
	struct cmsghdr header; /* for its alignment */
};

/* The program's other files, a lock or a device perhaps, must not stay open for as long. */
static void close_others(int kept)
{
	if (kept > 0)
		close_range(0, (unsigned int)kept - 1, 0);
	close_range((unsigned int)kept + 1, ~0U, 0);
}

static void do_errand(int fd, const struct request *request, struct answer *answer)
{
	if (request->length)
		answer->result = write(fd, request->text, request->length);
	else
		answer->result = read(fd, answer->text, sizeof(answer->text) - 1);
	if (answer->result < 0)
		answer->result = -errno;
}

/* Returns how many files came with the request; 0 at the end. */
static size_t receive(int socket, struct request *request, int files[FILES_MAX])
{
	union control control = {0};
	struct iovec part = {request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	const struct cmsghdr *header;
	size_t size;

	if (recvmsg(socket, &message, 0) != sizeof(*request))
		return 0;
	header = CMSG_FIRSTHDR(&message);
	size = header ? header->cmsg_len - CMSG_LEN(0) : 0;
	memcpy(files, CMSG_DATA(header), size);
	return size / sizeof(int);
}

static _Noreturn void serve(int socket)
{
	struct request request;
	int files[FILES_MAX];
	size_t count;

	close_others(socket);
	while ((count = receive(socket, &request, files))) {
		struct answer answer = {0};

		do_errand(files[0], &request, &answer);
		while (count > 0)
			close(files[--count]);
		if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* What a child inherited stays its parent's; by then its number may be that of another file. */
static bool is_own(const struct errand_runner *runner)
{
	return runner->pid && runner->owner == getpid();
}

/* The process ends when it has nothing more to do, although a child may have the socket open. */
static void leave(struct errand_runner *runner)
{
	shutdown(runner->socket, SHUT_RDWR);
	close(runner->socket);
	*runner = (struct errand_runner){0};
}

static int start(struct errand_runner *runner)
{
	int ends[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	runner->pid = fork();
	if (runner->pid == 0)
		serve(ends[1]);
	if (runner->pid < 0)
		error = -errno;
	close(ends[1]);
	runner->socket = ends[0];
	runner->owner = getpid();
	if (error)
		leave(runner);
	return error;
}

static int send_request(const struct errand_runner *runner, const struct errand *errand)
{
	const int files[FILES_MAX] = {errand->fd, errand->held};
	size_t size = (errand->held < 0 ? 1 : FILES_MAX) * sizeof(int);
	struct request request = {.length = errand->text ? errand->length : 0};
	union control control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {&request, sizeof(request)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = CMSG_SPACE(size)};

	if (request.length > sizeof(request.text))
		return -E2BIG;
	if (errand->text)
		memcpy(request.text, errand->text, request.length);
	control.header.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&control.header), files, size);
	return sendmsg(runner->socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One that somebody has killed meanwhile is replaced. */
static int hand_over(struct errand_runner *runner, const struct errand *errand)
{
	int error = is_own(runner) ? send_request(runner, errand) : -EPIPE;

	if (error != -EPIPE && error != -ECONNRESET)
		return error;
	errand_end(runner);
	return start(runner) ?: send_request(runner, errand);
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

ssize_t errand_run(struct errand_runner *runner, const struct errand *errand, char *text,
		   pid_t *process)
{
	struct answer answer;
	int error = hand_over(runner, errand);

	if (process)
		*process = 0;
	if (error)
		return error;
	error = wait_for(runner->socket, errand->deadline_ms, &answer);
	if (error == -ETIMEDOUT) {
		if (process)
			*process = runner->pid;
		leave(runner);
	} else if (error) {
		errand_end(runner);
	}
	if (error)
		return error;
	if (text)
		memcpy(text, answer.text, sizeof(answer.text));
	return answer.result;
}

void errand_end(struct errand_runner *runner)
{
	pid_t pid = runner->pid;

	if (is_own(runner)) {
		leave(runner);
		waitpid(pid, NULL, 0);
	}
	*runner = (struct errand_runner){0};
}
