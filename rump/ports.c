// SPDX-License-Identifier: BSD-2-Clause
/*
 * Port instructions of the kernel side, executed without the permission for them.
 *
 * NetBSD's bus_space(9) has the instructions "in" and "out" of a register's width, with the port in
 * dx (Intel SDM, volume 2). The processor refuses them to this process by SIGSEGV; the handler does
 * what they would have done, on the I/O BAR of a device of this rump kernel. No other port can be
 * reached so, and no privilege is needed.
 */

#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

#include "layout.h"

#if defined(__x86_64__)

static struct sigaction before;

/* Finds the BAR that has a port, and where in it. */
static struct usrpci_bar *find_bar(uint16_t port, unsigned int width, size_t *offset)
{
	struct rump_bus *bus = rump_bus();

	for (unsigned int i = 0; bus && i < RUMP_SLOTS * RUMP_FUNCTIONS; i++) {
		struct rump_function *function =
			&bus->slots[i / RUMP_FUNCTIONS][i % RUMP_FUNCTIONS];

		for (unsigned int b = 0; function->dev && b < USRPCI_BARS; b++) {
			const struct usrpci_bar_info *info = &function->bar_info[b];

			if (!(info->flags & USRPCI_BAR_IO) || port < info->address ||
			    port - info->address + width > info->size)
				continue;
			*offset = port - info->address;
			return rump_bar(function, b);
		}
	}
	return NULL;
}

/* What a port without a device reads as, and what is written there goes nowhere. */
static void access_port(uint16_t port, unsigned int width, bool out, greg_t *rax)
{
	const uint64_t mask = width == 4 ? UINT32_MAX : (UINT64_C(1) << 8 * width) - 1;
	uint64_t value = mask;
	size_t offset;
	struct usrpci_bar *bar = find_bar(port, width, &offset);

	if (bar && out)
		usrpci_bar_write(bar, offset, width, (uint64_t)*rax & mask);
	else if (bar)
		usrpci_bar_read(bar, offset, width, &value);
	if (!out)
		*rax = (greg_t)(width == 4 ? value & mask
					   : ((uint64_t)*rax & ~mask) | (value & mask));
}

/* Returns the length of the instruction, or 0: it is no port instruction. */
static unsigned int do_instruction(const uint8_t *code, greg_t *registers)
{
	bool prefix = code[0] == 0x66;
	uint8_t opcode = code[prefix];
	unsigned int width = opcode & 1 ? (prefix ? 2 : 4) : 1;

	if ((opcode & 0xfc) != 0xec)
		return 0;
	access_port((uint16_t)registers[REG_RDX], width, opcode & 2, &registers[REG_RAX]);
	return prefix + 1u;
}

/* A fault of another kind happens again, as if this handler had not been there. */
static void handle_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;
	greg_t *registers = interrupted->uc_mcontext.gregs;
	unsigned int length = 0;

	if (info->si_code == SI_KERNEL)
		length = do_instruction((const uint8_t *)registers[REG_RIP], registers);
	registers[REG_RIP] += length;
	if (!length)
		sigaction(signal, &before, NULL);
}

bool rump_ports_emulate(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};

	action.sa_sigaction = handle_fault;
	return !sigaction(SIGSEGV, &action, &before);
}

#else

bool rump_ports_emulate(void)
{
	return false;
}

#endif
