// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages of the broker's protocol from a peer that keeps to nothing.
 */

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker.h"

static int open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void check_refused(size_t size, int error)
{
	struct broker_request request = {.magic = BROKER_MAGIC};
	int pair[2], before, fd = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_files();
	broker_send(pair[1], &request, size, STDERR_FILENO);
	assert_int_equal(broker_receive(pair[0], &request, sizeof(request), &fd), error);
	assert_int_equal(fd, -1);
	assert_int_equal(open_files(), before);
	close(pair[0]);
	close(pair[1]);
}

static void a_file_that_comes_with_an_empty_message_is_closed(void **state)
{
	check_refused(0, -EPIPE);
}

static void a_file_that_comes_with_half_a_message_is_closed(void **state)
{
	check_refused(sizeof(struct broker_request) / 2, -EPROTO);
}

static void files_are_closed_that_are_more_than_one(void **state)
{
	struct broker_request request = {.magic = BROKER_MAGIC};
	struct iovec data = {&request, sizeof(request)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} files = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	int pair[2], before, fd;

	if (getenv("USRPCI_EMULATED")) {
		print_message("# an emulator of programs takes more files than fit\n");
		skip();
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_files();
	for (unsigned int count = 2; count <= 3; count++) {
		struct msghdr message = {.msg_iov = &data,
					 .msg_iovlen = 1,
					 .msg_control = &files,
					 .msg_controllen = CMSG_SPACE(count * sizeof(int))};

		files.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memset(CMSG_DATA(&files.header), 0, count * sizeof(int)); /* standard input */
		assert_true(sendmsg(pair[1], &message, 0) > 0);
		assert_int_equal(broker_receive(pair[0], &request, sizeof(request), &fd), -EPROTO);
		assert_int_equal(fd, -1);
		assert_int_equal(open_files(), before);
	}
	close(pair[0]);
	close(pair[1]);
}

static void a_message_comes_with_its_file(void **state)
{
	struct broker_request request = {.magic = BROKER_MAGIC}, got;
	int pair[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(broker_send(pair[1], &request, sizeof(request), STDERR_FILENO), 0);
	assert_int_equal(broker_receive(pair[0], &got, sizeof(got), &fd), 0);
	assert_memory_equal(&request, &got, sizeof(got));
	assert_true(fd > STDERR_FILENO);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void a_file_that_nobody_asked_for_is_never_opened(void **state)
{
	struct broker_request request = {.magic = BROKER_MAGIC};
	int pair[2], before;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_files();
	assert_int_equal(broker_send(pair[1], &request, sizeof(request), STDERR_FILENO), 0);
	assert_int_equal(broker_receive(pair[0], &request, sizeof(request), NULL), -EPROTO);
	assert_int_equal(open_files(), before);
	assert_int_equal(broker_send(pair[1], &request, sizeof(request), -1), 0);
	assert_int_equal(broker_receive(pair[0], &request, sizeof(request), NULL), 0);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_comes_with_an_empty_message_is_closed),
		cmocka_unit_test(a_file_that_comes_with_half_a_message_is_closed),
		cmocka_unit_test(files_are_closed_that_are_more_than_one),
		cmocka_unit_test(a_file_that_nobody_asked_for_is_never_opened),
		cmocka_unit_test(a_message_comes_with_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
