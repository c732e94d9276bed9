// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the program and the broker may no longer ask of the kernel (seccomp_filter.rst of its
 * documentation).
 *
 * Who shares root's terminal could type on it: TIOCSTI puts input where the shell that called
 * usrpci reads its next command, and TIOCLINUX pastes on a virtual console. The program keeps the
 * terminal, for its user's ^C and ^Z, and is refused these two, on each of the architecture's ways
 * to call ioctl(2).
 *
 * The broker gives devices back after it has listened to the program, so it goes on needing files,
 * mounts and modules. It is refused what would turn a mistake of its into another program, or into
 * somebody else's memory.
 */

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "array.h"
#include "lend/lend.h"

#define LOAD(field)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (field))
#define EQUAL(value, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (t), (f))
#define LESS(value, t, f)  BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), (f), (t))
#define RETURN(what)       BPF_STMT(BPF_RET | BPF_K, (what))
#define NUMBER             offsetof(struct seccomp_data, nr)
/* The kernel reads 32 bits of the request alone. */
#define REQUEST_HALF (__BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 4)
#define REQUEST      (offsetof(struct seccomp_data, args[1]) + REQUEST_HALF)
/*
 * ioctl(2) of x86's other two tables; x32 marks its numbers with a bit. Where a number is another
 * call's, its second argument is neither of the two requests: the level of setsockopt(2).
 */
#define IOCTL_I386 54
#define IOCTL_X32  514
#define X32_BIT    0x40000000

static const int refused[] = {
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_connect,
	SYS_listen,
	SYS_accept,
	SYS_accept4,
	SYS_setuid,
	SYS_setgid,
	SYS_setresuid,
	SYS_setresgid,
	SYS_setgroups,
	SYS_capset,
	SYS_chroot,
	SYS_pivot_root,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_kexec_load,
	SYS_reboot,
	SYS_swapon,
	SYS_open_by_handle_at,
	SYS_memfd_create,
	SYS_unshare,
	SYS_delete_module,
#ifdef SYS_io_uring_setup
	SYS_io_uring_setup,
#endif
#ifdef SYS_pidfd_getfd
	SYS_pidfd_getfd,
#endif
};

#define REFUSED ARRAY_SIZE(refused)

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
		EQUAL(IOCTL_X32, 0, 4),
		LOAD(REQUEST),
		EQUAL(TIOCSTI, 1, 0),
		EQUAL(TIOCLINUX, 0, 1),
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

int lend_filter_broker(void)
{
#ifdef NATIVE
	struct sock_filter filter[7 + 2 * REFUSED] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		EQUAL(NATIVE, 1, 0),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
		LOAD(NUMBER),
		LESS(X32_BIT, 1, 0),
		RETURN(SECCOMP_RET_ERRNO | EPERM),
	};
	size_t length = 6;

	for (size_t i = 0; i < REFUSED; i++) {
		filter[length++] = (struct sock_filter)EQUAL((unsigned int)refused[i], 0, 1);
		filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | EPERM);
	}
	filter[length++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	return install(filter, length);
#else
	return 0;
#endif
}
