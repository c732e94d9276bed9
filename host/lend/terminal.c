// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who shares root's terminal could type on it: TIOCSTI puts input where the shell that called
 * usrpci reads its next command, and TIOCLINUX pastes on a virtual console. The program keeps the
 * terminal, for its user's ^C and ^Z, and a seccomp filter (seccomp_filter.rst of the kernel's
 * documentation) refuses it these two, on each of the architecture's ways to call ioctl(2).
 */

#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lend/lend.h"

#define LOAD(field)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (field))
#define EQUAL(value, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (t), (f))
#define RETURN(what)       BPF_STMT(BPF_RET | BPF_K, (what))
#define NUMBER             offsetof(struct seccomp_data, nr)
/* The kernel reads 32 bits of the request alone. */
#define REQUEST_HALF (__BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 4)
#define REQUEST      (offsetof(struct seccomp_data, args[1]) + REQUEST_HALF)
/* ioctl(2) of x86's other two tables; x32 marks its numbers with a bit. Where a number is another
 * call's, its second argument is neither of the two requests: the level of setsockopt(2). */
#define IOCTL_I386 54
#define IOCTL_X32  514
#define X32_BIT    0x40000000

int lend_terminal_guard(void)
{
	struct sock_filter filter[] = {
		LOAD(NUMBER),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT),
		EQUAL(SYS_ioctl, 2, 0),
		EQUAL(IOCTL_I386, 1, 0),
		EQUAL(IOCTL_X32, 0, 4),
		LOAD(REQUEST),
		EQUAL(TIOCSTI, 1, 0),
		EQUAL(TIOCLINUX, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	/* A kernel without filters is the administrator's choice. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) && errno != EINVAL)
		return -errno;
	return 0;
}
