// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the program, and the process that serves it, may no longer ask of the kernel
 * (seccomp_filter.rst of its documentation).
 *
 * Who shares root's terminal could type on it: TIOCSTI puts input where the shell that called
 * usrpci reads its next command, and TIOCLINUX pastes on a virtual console. With TIOCSETD nobody
 * could read or write there any more, with TIOCEXCL nobody open it, and TIOCSBRK holds a serial
 * line down. A virtual console has requests of its own: they switch its keyboard and its picture
 * off, and change to another one. The program keeps the terminal, for its user's ^C and ^Z, and is
 * refused these, on each of the architecture's ways to call ioctl(2).
 *
 * Who answers the program gets what it needs for that: messages, the files of devices, DMA memory,
 * and a device's registers. No process, no signal, no mount, no socket to elsewhere, no code that
 * was not there when it began. confine.c says which files it may open.
 */

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kd.h>
#include <linux/seccomp.h>
#include <linux/vt.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "array.h"
#include "lend/lend.h"

#define LOAD(field)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (field))
#define EQUAL(value, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (t), (f))
#define RETURN(what)       BPF_STMT(BPF_RET | BPF_K, (what))
#define NUMBER             offsetof(struct seccomp_data, nr)
/* The kernel reads 32 bits of the request alone. */
#define REQUEST_HALF (__BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 4)
#define REQUEST      (offsetof(struct seccomp_data, args[1]) + REQUEST_HALF)
#define PROTECTION   (offsetof(struct seccomp_data, args[2]) + REQUEST_HALF)
/*
 * ioctl(2) of x86's other two tables; x32 marks its numbers with a bit. Where a number is another
 * call's, its second argument is none of the requests: the level of setsockopt(2).
 */
#define FAMILY     ~0xffU /* a console's requests differ in their lowest byte */
#define IOCTL_I386 54
#define IOCTL_X32  514
#define X32_BIT    0x40000000

/* Some of these calls exist only on older architectures. */
static const int allowed[] = {
	/* messages, and the wait for them */
	SYS_ppoll,
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_socketpair,
	/* files of devices, in sysfs and in /dev; the log */
	SYS_openat,
	SYS_close,
	SYS_read,
	SYS_write,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_lseek,
	SYS_fcntl,
	SYS_getdents64,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_newfstatat,
	SYS_fstat,
	SYS_statx,
	SYS_statfs,
	SYS_fstatfs,
	/* DMA memory */
	SYS_fallocate,
	SYS_vmsplice,
	SYS_madvise,
	SYS_get_mempolicy,
	SYS_set_mempolicy,
	/* what the C library needs for itself */
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_futex,
	SYS_getpid,
	SYS_getrandom,
	SYS_sched_yield,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_restart_syscall,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_faccessat2
	SYS_faccessat2,
#endif
#ifdef SYS_poll
	SYS_poll,
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_readlink,
#endif
};

/* Calls that are allowed unless they ask for memory that can be executed. */
static const int mapping[] = {SYS_mmap, SYS_mprotect};

#define ALLOWED ARRAY_SIZE(allowed)
#define MAPPING ARRAY_SIZE(mapping)

/* A kernel without filters is the administrator's choice. */
static int install(const struct sock_filter *filter, size_t length)
{
	const struct sock_fprog program = {(unsigned short)length, (struct sock_filter *)filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) && errno != EINVAL ? -errno : 0;
}

int lend_filter_program(void)
{
	const struct sock_filter filter[] = {
		LOAD(NUMBER),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT),
		EQUAL(SYS_ioctl, 2, 0),
		EQUAL(IOCTL_I386, 1, 0),
		EQUAL(IOCTL_X32, 0, 10),
		LOAD(REQUEST),
		EQUAL(TIOCSTI, 7, 0),
		EQUAL(TIOCEXCL, 6, 0),
		EQUAL(TIOCSBRK, 5, 0),
		EQUAL(TIOCSETD, 4, 0),
		EQUAL(TIOCLINUX, 3, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FAMILY),
		EQUAL(KDSETMODE & FAMILY, 1, 0),
		EQUAL(VT_SETMODE & FAMILY, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		RETURN(SECCOMP_RET_ALLOW),
	};

	return install(filter, ARRAY_SIZE(filter));
}

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE AUDIT_ARCH_RISCV64
#endif

int lend_filter_server(void)
{
#ifdef NATIVE
	struct sock_filter filter[9 + 2 * ALLOWED + MAPPING] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		EQUAL(NATIVE, 1, 0),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		LOAD(NUMBER),
	};
	size_t length = 4;

	/* Who is no administrator gets a filter only with this. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	for (size_t i = 0; i < ALLOWED; i++) {
		filter[length++] = (struct sock_filter)EQUAL((unsigned int)allowed[i], 0, 1);
		filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < MAPPING; i++) {
		const unsigned char left = (unsigned char)(MAPPING - 1 - i);

		filter[length++] = (struct sock_filter)EQUAL((unsigned int)mapping[i],
							     (uint8_t)(left + 1), 0);
	}
	filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | EPERM);
	filter[length++] = (struct sock_filter)LOAD(PROTECTION);
	filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0,
							1);
	filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | EPERM);
	filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	return install(filter, length);
#else
	return 0;
#endif
}
