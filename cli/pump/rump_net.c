// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci-rump-net: the driver that "usrpci net --rump" runs. NetBSD's driver works in a rump kernel
 * in this process; rump_frames.c moves frames between it and the TAP device.
 *
 *	usrpci-rump-net DRIVER DEVICE BEAT TAP...
 *	usrpci-rump-net --look DRIVER
 *
 * The second form only looks whether there is a rump kernel with the driver.
 *
 * BEAT and TAP are numbers of descriptors, as in struct pump_options (pump.h). Numbers and
 * structures of NetBSD are its ABI: sys/net/{if,if_media}.h, sys/sys/{ioccom,sockio,socket}.h.
 */

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <usrpci/rump.h>

#include "pump/pump.h"
#include "pump/rump_frames.h"
#include "pump/tap.h"

#define EXIT_IN_VAIN 3 /* as in net_driver.c */

/* NetBSD's. */
#define NETBSD_AF_ROUTE 34
#define NETBSD_SOCK_RAW 3
#define NETBSD_IFF_UP   0x1
#define NETBSD_LINK_UP  0x3 /* IFM_AVALID | IFM_ACTIVE */
#define IOC(direction, group, number, size) \
	((unsigned long)(direction) << 29 | (unsigned long)(size) << 16 | (group) << 8 | (number))
enum { IOC_READ = 2, IOC_WRITE = 4 };

struct netbsd_ifreq {
	char name[16];
	union {
		short flags;
		int number;
		char bytes[128];
	};
};

struct netbsd_ifmediareq {
	char name[16];
	int current, mask, status, active, count;
	int *list;
};

struct netbsd_ifcapreq {
	char name[16];
	uint64_t able, enabled;
};

#define NETBSD_CAP_TSO4 0x80
#define NETBSD_CAP_TSO6 0x40000

#define SIOCSIFFLAGS_N IOC(IOC_WRITE, 'i', 16, sizeof(struct netbsd_ifreq))
#define SIOCGIFFLAGS_N IOC(IOC_READ | IOC_WRITE, 'i', 17, sizeof(struct netbsd_ifreq))
#define SIOCGIFMEDIA_N IOC(IOC_READ | IOC_WRITE, 'i', 54, sizeof(struct netbsd_ifmediareq))
#define SIOCSIFCAP_N   IOC(IOC_WRITE, 'i', 117, sizeof(struct netbsd_ifcapreq))
#define SIOCGIFCAP_N   IOC(IOC_READ | IOC_WRITE, 'i', 118, sizeof(struct netbsd_ifcapreq))
#define SIOCSIFMTU_N   IOC(IOC_WRITE, 'i', 127, sizeof(struct netbsd_ifreq))

/* System calls of the rump kernel; -1 is a failure, with NetBSD's number in errno. */
static struct {
	int (*socket)(int domain, int type, int protocol);
	int (*control)(int fd, unsigned long request, void *data);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	int (*newlwp)(pid_t pid);
} sys;

static struct {
	char name[16]; /* "wm0" */
	int tap;
	int report;   /* where a first frame is reported; -1: nowhere, or it was */
	bool goes_on; /* as struct pump_options has it */
	int control;  /* a socket of the rump kernel's, for ioctl */
} card;

static int find_symbols(void)
{
	const struct rump_symbol list[] = {
		{"rump___sysimpl_socket30", (void **)&sys.socket},
		{"rump___sysimpl_ioctl", (void **)&sys.control},
		{"rump___sysimpl_read", (void **)&sys.read},
		{"rump_pub_lwproc_newlwp", (void **)&sys.newlwp},
	};

	return rump_find(list, sizeof(list) / sizeof(*list));
}

static int fail(const char *what)
{
	fprintf(stderr, "usrpci: %s: %s: NetBSD's error %d\n", card.name, what, errno);
	return -EIO;
}

static void fill_name(char name[16])
{
	memcpy(name, card.name, sizeof(card.name));
}

/* Frames can be as long as the TAP's. */
static int set_mtu(void)
{
	struct netbsd_ifreq request = {.number = (int)tap_mtu(card.tap)};

	fill_name(request.name);
	if (request.number <= ETH_DATA_LEN || !sys.control(card.control, SIOCSIFMTU_N, &request))
		return 0;
	fprintf(stderr, "usrpci: %s: NetBSD's driver does not take the interface's MTU of %u%s\n",
		card.name, tap_mtu(card.tap), card.goes_on ? ", so longer frames are lost" : "");
	return card.goes_on ? 0 : -EMSGSIZE;
}

/* A driver that refuses has its segments cut here. */
static struct frames_offloads enable_offloads(void)
{
	struct netbsd_ifcapreq request = {0};

	fill_name(request.name);
	if (sys.control(card.control, SIOCGIFCAP_N, &request))
		return (struct frames_offloads){0};
	request.enabled |= request.able & (NETBSD_CAP_TSO4 | NETBSD_CAP_TSO6);
	if (sys.control(card.control, SIOCSIFCAP_N, &request))
		return (struct frames_offloads){0};
	return (struct frames_offloads){
		.tso4 = request.enabled & NETBSD_CAP_TSO4,
		.tso6 = request.enabled & NETBSD_CAP_TSO6,
	};
}

static int bring_up(void)
{
	struct netbsd_ifreq request = {0};

	fill_name(request.name);
	if (sys.control(card.control, SIOCGIFFLAGS_N, &request))
		return fail("there is no such interface: the driver has not found its card");
	request.flags |= NETBSD_IFF_UP;
	if (sys.control(card.control, SIOCSIFFLAGS_N, &request))
		return fail("it cannot be brought up");
	return 0;
}

/*
 * Also proves that the rump kernel answers. The carrier is set although it was set before: whoever
 * watches this process drops it when the process is slow.
 */
static int follow_link(void)
{
	struct netbsd_ifmediareq request = {0};
	int up;

	fill_name(request.name);
	if (sys.control(card.control, SIOCGIFMEDIA_N, &request))
		up = 1; /* a card without media is one without a cable */
	else
		up = (request.status & NETBSD_LINK_UP) == NETBSD_LINK_UP;
	tap_set_carrier(card.tap, up);
	return 0;
}

static void end_in_vain(void)
{
	fprintf(stderr, "usrpci: %s: its TAP device was deleted\n", card.name);
	exit(EXIT_IN_VAIN);
}

static void report_frame(void)
{
	const char frame = PUMP_FRAME;

	if (card.report >= 0)
		(void)!write(card.report, &frame, 1);
	card.report = -1;
}

/* Whoever watches this process sees whether the card is there. */
static void end_without_card(void)
{
	_exit(EXIT_FAILURE);
}

/*
 * Each thread that calls the kernel often is one of its threads. A frame of the TAP is reported,
 * and one of the card is not: on a wire that is used there are both.
 */
static void *transmit(void *arg)
{
	struct pollfd polled = {.fd = card.tap, .events = POLLIN};

	(void)arg;
	sys.newlwp(1);
	for (;;) {
		if (frames_send())
			report_frame();
		else if (poll(&polled, 1, -1) > 0 && polled.revents & POLLERR)
			end_in_vain();
	}
	return NULL;
}

/* The kernel reports each change of a link to routing sockets. */
static void *watch_link(void *arg)
{
	int changes = sys.socket(NETBSD_AF_ROUTE, NETBSD_SOCK_RAW, 0);
	char message[2048];

	(void)arg;
	sys.newlwp(1);
	while (changes >= 0 && sys.read(changes, message, sizeof(message)) > 0)
		follow_link();
	return NULL;
}

static int start_thread(void *(*run)(void *))
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, run, NULL);
}

/* The TAP's other queues get no frames. */
static void prepare_taps(char **taps, int count)
{
	tap_set_offloads(card.tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
	for (int i = 0; i < count; i++)
		tap_attach(atoi(taps[i]), i == 0);
}

static int answer(int beat)
{
	char byte;

	return follow_link()
		       ?: read(beat, &byte, 1) == 1 && write(beat, &byte, 1) == 1 ? 0
										  : -EPIPE;
}

/* Until it is told to end, or whoever asks is gone. */
static int serve(int signals, int beat)
{
	struct pollfd polls[] = {
		{.fd = signals, .events = POLLIN},
		{.fd = beat, .events = POLLIN},
	};
	int error = beat >= 0 && write(beat, "", 1) != 1 ? -EPIPE : 0;

	while (!error) {
		if (poll(polls, 2, -1) < 0)
			error = errno == EINTR ? 0 : -errno;
		else if (polls[0].revents)
			break;
		else if (polls[1].revents)
			error = answer(beat);
	}
	tap_set_carrier(card.tap, 0);
	return error;
}

/* Threads of the rump kernel inherit that signals are blocked. */
static int block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

static int start(const char *driver, const char *device)
{
	int error;

	usrpci_rump_when_gone(end_without_card);
	error = usrpci_rump_start(driver, device) ?: find_symbols();
	if (error)
		return error;
	card.control = sys.socket(NETBSD_AF_ROUTE, NETBSD_SOCK_RAW, 0);
	if (card.control < 0)
		return fail("the rump kernel has no socket for it");
	error = set_mtu() ?: frames_open(card.name, card.tap, enable_offloads());
	return error ?: bring_up() ?: follow_link();
}

int main(int argc, char **argv)
{
	int signals, error;

	if (argc == 3 && !strcmp(argv[1], "--look"))
		return usrpci_rump_start(argv[2], NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
	signals = block_signals();
	if (argc < 6) {
		fprintf(stderr, "usrpci-rump-net is called by usrpci net --rump\n");
		return 2;
	}
	prctl(PR_SET_NAME, "usrpci-driver");
	snprintf(card.name, sizeof(card.name), "%.14s0", argv[1]);
	card.report = atoi(argv[3]);
	card.goes_on = atoi(argv[4]);
	card.tap = atoi(argv[5]);
	error = start(argv[1], argv[2]);
	if (error)
		return error == -ENOENT || error == -EMSGSIZE ? EXIT_IN_VAIN : EXIT_FAILURE;
	prepare_taps(argv + 5, argc - 5);
	error = start_thread(transmit) ?: start_thread(watch_link) ?: serve(signals, atoi(argv[3]));
	_exit(error ? EXIT_FAILURE : EXIT_SUCCESS);
}
