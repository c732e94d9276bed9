// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci-rump-net: the driver that "usrpci net --rump" runs. NetBSD's driver works in a rump kernel
 * in this process, and bpf(4) there hands on what the card receives, in batches, and sends what the
 * TAP device has. NetBSD's own protocols have no addresses.
 *
 *	usrpci-rump-net DRIVER DEVICE BEAT TAP...
 *
 * BEAT and TAP are numbers of descriptors, as in struct pump_options (pump.h). Numbers and
 * structures of NetBSD are its ABI: sys/net/{bpf,if,if_media}.h, sys/sys/{ioccom,sockio,socket}.h.
 */

#include <dlfcn.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <usrpci/rump.h>

#include "pump/merge.h"
#include "pump/tap.h"

#define HEADER     sizeof(struct virtio_net_hdr_v1)
#define BATCH_SIZE (256u << 10) /* bytes that bpf(4) collects at most */
#define FRAME_MAX  (64u << 10)
#define FULL_TRIES 50
#define FULL_US    200 /* how long it waits when the card's queue is full */

#define EXIT_IN_VAIN 3 /* as in net_driver.c */

/* NetBSD's. */
#define NETBSD_AF_ROUTE   34
#define NETBSD_SOCK_RAW   3
#define NETBSD_READ_WRITE 2
#define NETBSD_IFF_UP     0x1
#define NETBSD_LINK_UP    0x3 /* IFM_AVALID | IFM_ACTIVE */
#define NETBSD_ENOBUFS    55
#define IOC(direction, group, number, size) \
	((unsigned long)(direction) << 29 | (unsigned long)(size) << 16 | (group) << 8 | (number))
enum { IOC_NONE = 1, IOC_READ = 2, IOC_WRITE = 4 };

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

/* What comes before each frame that bpf(4) gives. */
struct netbsd_bpf_hdr {
	long seconds, microseconds;
	uint32_t captured, size;
	uint16_t header;
};

#define SIOCSIFFLAGS_N  IOC(IOC_WRITE, 'i', 16, sizeof(struct netbsd_ifreq))
#define SIOCGIFFLAGS_N  IOC(IOC_READ | IOC_WRITE, 'i', 17, sizeof(struct netbsd_ifreq))
#define SIOCGIFMEDIA_N  IOC(IOC_READ | IOC_WRITE, 'i', 54, sizeof(struct netbsd_ifmediareq))
#define SIOCSIFMTU_N    IOC(IOC_WRITE, 'i', 127, sizeof(struct netbsd_ifreq))
#define BIOCSBLEN_N     IOC(IOC_READ | IOC_WRITE, 'B', 102, sizeof(int))
#define BIOCPROMISC_N   IOC(IOC_NONE, 'B', 105, 0)
#define BIOCSETIF_N     IOC(IOC_WRITE, 'B', 108, sizeof(struct netbsd_ifreq))
#define BIOCIMMEDIATE_N IOC(IOC_WRITE, 'B', 112, sizeof(int))
#define BIOCSHDRCMPLT_N IOC(IOC_WRITE, 'B', 117, sizeof(int))
#define BIOCSSEESENT_N  IOC(IOC_WRITE, 'B', 121, sizeof(int))

/* System calls of the rump kernel; -1 is a failure, with NetBSD's number in errno. */
static struct {
	int (*open)(const char *path, int flags, int mode);
	int (*socket)(int domain, int type, int protocol);
	int (*control)(int fd, unsigned long request, void *data);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	ssize_t (*write)(int fd, const void *buffer, size_t size);
	int (*newlwp)(pid_t pid);
} sys;

static struct {
	char name[16]; /* "wm0" */
	int tap;
	int control; /* a socket of the rump kernel's, for ioctl */
	int bpf;
	unsigned int batch; /* bytes */
} card;

static int find_symbols(void)
{
	const struct {
		const char *name;
		void **symbol;
	} list[] = {
		{"rump___sysimpl_open", (void **)&sys.open},
		{"rump___sysimpl_socket30", (void **)&sys.socket},
		{"rump___sysimpl_ioctl", (void **)&sys.control},
		{"rump___sysimpl_read", (void **)&sys.read},
		{"rump___sysimpl_write", (void **)&sys.write},
		{"rump_pub_lwproc_newlwp", (void **)&sys.newlwp},
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		*list[i].symbol = dlsym(RTLD_DEFAULT, list[i].name);
		if (!*list[i].symbol) {
			fprintf(stderr, "usrpci: this rump kernel has no %s\n", list[i].name);
			return -ENOENT;
		}
	}
	return 0;
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

static int set_number(unsigned long request, int value)
{
	return sys.control(card.bpf, request, &value);
}

static int open_bpf(void)
{
	struct netbsd_ifreq request = {0};

	card.bpf = sys.open("/dev/bpf", NETBSD_READ_WRITE, 0);
	if (card.bpf < 0)
		return fail("its /dev/bpf cannot be opened");
	card.batch = BATCH_SIZE;
	fill_name(request.name);
	if (sys.control(card.bpf, BIOCSBLEN_N, &card.batch))
		return fail("bpf(4) takes no size of its buffer");
	if (sys.control(card.bpf, BIOCSETIF_N, &request))
		return fail("the driver has not found its card");
	if (sys.control(card.bpf, BIOCPROMISC_N, NULL) || set_number(BIOCIMMEDIATE_N, 1) ||
	    set_number(BIOCSHDRCMPLT_N, 1) || set_number(BIOCSSEESENT_N, 0))
		return fail("bpf(4) does not take its settings");
	return 0;
}

/* Frames can be as long as the TAP's. */
static int set_mtu(void)
{
	struct netbsd_ifreq request = {.number = (int)tap_mtu(card.tap)};

	fill_name(request.name);
	if (request.number <= ETH_DATA_LEN || !sys.control(card.control, SIOCSIFMTU_N, &request))
		return 0;
	fprintf(stderr, "usrpci: %s: NetBSD's driver does not take the interface's MTU of %u\n",
		card.name, tap_mtu(card.tap));
	return -EMSGSIZE;
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

static void give(struct merge *merge)
{
	struct iovec parts[USRPCI_NIC_PIECES_MAX + 1] = {{&merge->header, HEADER}};

	if (merge->count == 0)
		return;
	merge_end(merge);
	for (unsigned int i = 0; i < merge->count; i++)
		parts[i + 1] = (struct iovec){merge->pieces[i].data, merge->pieces[i].size};
	/* A frame is lost, as on any wire, when the TAP is down or full. */
	(void)!writev(card.tap, parts, (int)merge->count + 1);
	merge->count = 0;
}

static void give_batch(uint8_t *batch, size_t size)
{
	struct merge merge = {.count = 0};
	struct netbsd_bpf_hdr header;
	size_t next;

	for (size_t at = 0; at + sizeof(header) <= size; at = next) {
		struct usrpci_nic_frame frame;

		memcpy(&header, batch + at, sizeof(header));
		if (header.header < offsetof(struct netbsd_bpf_hdr, header) + 2 ||
		    header.captured > size - at || header.header > size - at - header.captured)
			break;
		next = at +
		       ((header.header + header.captured + sizeof(long) - 1) & ~(sizeof(long) - 1));
		if (header.captured > FRAME_MAX - 1 || header.captured < ETH_HLEN)
			continue;
		frame = (struct usrpci_nic_frame){batch + at + header.header,
						  (uint16_t)header.captured, false};
		if (merge.count > 0 && merge_add(&merge, &frame))
			continue;
		give(&merge);
		merge_begin(&merge, &frame);
	}
	give(&merge);
}

/* Each thread that calls the kernel often is one of its threads. */
static void *receive(void *arg)
{
	uint8_t *batch = malloc(card.batch);
	ssize_t size = 0;

	(void)arg;
	sys.newlwp(1);
	while (batch && (size >= 0 || errno == EINTR)) {
		size = sys.read(card.bpf, batch, card.batch);
		if (size > 0)
			give_batch(batch, (size_t)size);
	}
	fail("frames can be received no more");
	exit(EXIT_FAILURE);
}

/*
 * A full queue is the card's: the frame is worth some waiting, as in pump.c. A card without a link
 * keeps its queue full.
 */
static void send_frame(const uint8_t *frame, size_t size)
{
	for (unsigned int i = 0; i < FULL_TRIES; i++) {
		if (sys.write(card.bpf, frame, size) >= 0 || errno != NETBSD_ENOBUFS)
			return;
		usleep(FULL_US);
	}
}

static void end_in_vain(void)
{
	fprintf(stderr, "usrpci: %s: its TAP device was deleted\n", card.name);
	exit(EXIT_IN_VAIN);
}

static void *transmit(void *arg)
{
	static uint8_t frame[HEADER + FRAME_MAX];
	struct pollfd polled = {.fd = card.tap, .events = POLLIN};

	(void)arg;
	sys.newlwp(1);
	for (;;) {
		ssize_t size = read(card.tap, frame, sizeof(frame));

		if (size > (ssize_t)HEADER)
			send_frame(frame + HEADER, (size_t)size - HEADER);
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

/* The TAP's other queues get no frames, and the kernel cuts its segments itself. */
static void prepare_taps(char **taps, int count)
{
	tap_set_offloads(card.tap, 0);
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
	int error = usrpci_rump_start(driver, device) ?: find_symbols();

	if (error)
		return error;
	card.control = sys.socket(NETBSD_AF_ROUTE, NETBSD_SOCK_RAW, 0);
	if (card.control < 0)
		return fail("the rump kernel has no socket for it");
	return set_mtu() ?: open_bpf() ?: bring_up() ?: follow_link();
}

int main(int argc, char **argv)
{
	int signals = block_signals(), error;

	if (argc < 5) {
		fprintf(stderr, "usrpci-rump-net is called by usrpci net --rump\n");
		return 2;
	}
	prctl(PR_SET_NAME, "usrpci-driver");
	snprintf(card.name, sizeof(card.name), "%.14s0", argv[1]);
	card.tap = atoi(argv[4]);
	error = start(argv[1], argv[2]);
	if (error)
		return error == -ENOENT || error == -EMSGSIZE ? EXIT_IN_VAIN : EXIT_FAILURE;
	prepare_taps(argv + 4, argc - 4);
	error = start_thread(receive) ?:
		start_thread(transmit) ?:
		start_thread(watch_link) ?:
		serve(signals, atoi(argv[3]));
	_exit(error ? EXIT_FAILURE : EXIT_SUCCESS);
}
