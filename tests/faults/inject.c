// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs a command of which one system call fails, or which is killed there. Of its calls only those
 * stop that are asked for (seccomp), so that this costs little. What the command starts runs on
 * undisturbed, and has ended when this ends.
 *
 * usage: inject [OPTION]... COMMAND [ARG]...
 *
 *	-c FILE           writes the name of each call that the command itself makes, a line each; a
 *	                  "!" behind openat, when it makes a file or empties one
 *	-f NAME:N:ERRNO   its Nth call of this name is not made and fails with this number
 *	-f NAME:N:kill    it is killed before that call
 *	-f NAME:N:term    it gets SIGTERM before that call
 *	-e NAME=VALUE     a variable in the command's environment
 *	-k ADDR=DRIVER    plays the kernel's part for writes below /sys (played.c); the driver takes
 *	                  this device when no other is asked for
 *
 * The exit status is the command's; 128 and more: its signal; 124: processes outlive it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "played.h"

#define OUTLIVE_SECONDS 10
#define VARIABLES_MAX   4
#define TRACED_MAX      (PLAYED_CALLS + 1)
#define STATUS_OUTLIVED 124
#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

static const char *const call_names[] = {
#include "call_names.h"
};

#define CALLS (sizeof(call_names) / sizeof(call_names[0]))

static struct {
	long number; /* of the system call; -1: none */
	unsigned long at, seen;
	int error; /* 0: it gets the signal */
	int signal;
} fault = {.number = -1};

static FILE *counted;
static pid_t command;
static bool plays;
static char *variables[VARIABLES_MAX];
static int variable_count;

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(125);
}

static const char *name_of(unsigned long long number)
{
	return number < CALLS && call_names[number] ? call_names[number] : "unknown";
}

static void parse_fault(const char *text)
{
	char name[32], what[16];

	if (sscanf(text, "%31[^:]:%lu:%15s", name, &fault.at, what) != 3)
		die(text);
	for (size_t i = 0; i < CALLS; i++)
		if (!strcmp(name_of(i), name))
			fault.number = (long)i;
	if (fault.number < 0)
		die(name);
	fault.error = atoi(what);
	fault.signal = strcmp(what, "term") ? SIGKILL : SIGTERM;
}

/* Appends a test for one call: if it is this one, it stops. */
static void add_test(struct sock_filter *filter, unsigned short *length, long number)
{
	filter[(*length)++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)number,
							   0, 1);
	filter[(*length)++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
}

static void install_filter(void)
{
	struct sock_filter filter[2 + 2 * TRACED_MAX];
	struct sock_fprog program = {0, filter};

	filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							     offsetof(struct seccomp_data, nr));
	for (int i = 0; plays && i < PLAYED_CALLS; i++)
		add_test(filter, &program.len, played_calls[i]);
	if (fault.number >= 0)
		add_test(filter, &program.len, fault.number);
	filter[program.len++] = (struct sock_filter)BPF_STMT(
		BPF_RET | BPF_K, counted ? SECCOMP_RET_TRACE : SECCOMP_RET_ALLOW);
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("no new privileges");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die("seccomp");
}

static void start(char **words)
{
	int go[2];
	char byte;

	if (pipe(go) || (command = fork()) < 0)
		die("fork");
	if (command == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) != 0)
			_exit(125);
		close(go[0]);
		for (int i = 0; i < variable_count; i++)
			putenv(variables[i]);
		install_filter();
		execvp(words[0], words);
		die(words[0]);
	}
	if (ptrace(PTRACE_SEIZE, command, NULL, OPTIONS))
		die("ptrace");
	close(go[0]);
	close(go[1]);
}

/* The call is not made, and returns the result. */
static void answer(pid_t pid, struct user_regs_struct *regs, long result)
{
	regs->orig_rax = (unsigned long long)-1;
	regs->rax = (unsigned long long)result;
	if (ptrace(PTRACE_SETREGS, pid, NULL, regs))
		die("registers");
}

/* Returns whether the call is made all the same. */
static bool fail(pid_t pid, struct user_regs_struct *regs)
{
	if (fault.error == 0)
		kill(pid, fault.signal);
	else /* brk(2) refuses by naming an end that is below the one that it is asked for. */
		answer(pid, regs, fault.number == SYS_brk ? 0 : -fault.error);
	return fault.error == 0 && fault.signal != SIGKILL;
}

static bool makes_file(const struct user_regs_struct *regs)
{
	return regs->orig_rax == SYS_openat && regs->rdx & (O_CREAT | O_TRUNC);
}

static void stopped_at_call(pid_t pid)
{
	struct user_regs_struct regs;
	long result;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		return; /* it is dead */
	if (pid == command && counted)
		fprintf(counted, "%s%s\n", name_of(regs.orig_rax), makes_file(&regs) ? "!" : "");
	if (pid == command && (long)regs.orig_rax == fault.number && ++fault.seen == fault.at &&
	    !fail(pid, &regs))
		return;
	if (plays && played(&(struct played){pid, (long)regs.orig_rax, regs.rdi, regs.rsi, regs.rdx,
					     &result}))
		answer(pid, &regs, result);
}

static void stopped(pid_t pid, int status)
{
	int event = status >> 16, signal = WSTOPSIG(status);

	if (event == PTRACE_EVENT_SECCOMP)
		stopped_at_call(pid);
	ptrace(PTRACE_CONT, pid, NULL, event ? 0 : signal);
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void interrupt(int signal)
{
}

/* Says which processes there still are, and what they wait for. */
static int outlived(void)
{
	fprintf(stderr, "inject: these processes outlive the command:\n");
	fflush(stderr);
	(void)!system("ps -e -o pid,ppid,stat,wchan:20,args >&2");
	return STATUS_OUTLIVED;
}

static int follow(void)
{
	int status, result = 125;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status)) {
			stopped(pid, status);
		} else if (pid == command) {
			result = status_of(status);
			sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);
			alarm(OUTLIVE_SECONDS);
		}
	}
	return errno == EINTR ? outlived() : result;
}

int main(int argc, char **argv)
{
	int key;

	while ((key = getopt(argc, argv, "+c:e:f:k:")) != -1) {
		if (key == 'c' && !(counted = fopen(optarg, "we")))
			die(optarg);
		if (key == 'e')
			variables[variable_count++] = optarg;
		if (key == 'f')
			parse_fault(optarg);
		if (key == 'k') {
			played_match(optarg);
			plays = true;
		}
	}
	if (optind == argc)
		return 2;
	if (plays)
		played_begin();
	start(argv + optind);
	return follow();
}
