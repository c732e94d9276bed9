// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pings a host through libusrpci-net: the network card's registers, rings and interrupts are this
 * process's own, no kernel's network stack takes part. Whose card it is makes no difference.
 *   ping [OPTIONS] DEVICE
 * Exit status: 0 when every request was answered, 1 when one was lost or something failed, 2 usage.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <usrpci/nic.h>
#include <usrpci/usrpci.h>

#include "net.h"

#define BURST      32
#define WINDOW     64 /* requests on their way at once: their replies fit in the ring */
#define ARP_GAP_US 200000
#define LINK_MS    5000
#define DATA_MAX   1472

struct ping {
	struct usrpci_nic *nic;
	struct net_host own, peer;
	bool have_peer, flood, quiet;
	enum usrpci_nic_irq irq;
	unsigned int count, data_size;
	uint64_t interval_us, timeout_us;

	uint64_t sent_at[1 << 16]; /* by sequence number; 0: answered, given up or not sent */
	unsigned int sent, received, lost, interrupts;
	unsigned int oldest; /* none before it is waited for */
	uint64_t last_send;
	uint64_t rtt_min, rtt_max, rtt_sum;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static const char *ip_text(uint32_t ip)
{
	return inet_ntoa((struct in_addr){.s_addr = ip});
}

/* Frames that can't be sent are lost, as on any wire. */
static void send_frame(struct ping *ping, void *data, size_t size)
{
	struct usrpci_nic_frame frame = {.data = data, .size = (uint16_t)size};

	if (usrpci_nic_transmit(ping->nic, 0, &frame, 1) == 0)
		usrpci_nic_put(ping->nic, data);
}

static void send_arp_request(struct ping *ping)
{
	void *data = usrpci_nic_get(ping->nic);

	ping->last_send = now_us();
	if (data)
		send_frame(ping, data, net_arp_request(data, &ping->own, ping->peer.ip));
}

/*
 * Fills frames with the next requests, as many as there is room for, and sends them in one batch.
 */
static void send_requests(struct ping *ping, unsigned int n)
{
	struct usrpci_nic_frame frames[BURST];
	uint16_t sequence;
	unsigned int i, taken;

	for (i = 0; i < n && i < BURST; i++) {
		frames[i] = (struct usrpci_nic_frame){.data = usrpci_nic_get(ping->nic)};
		if (!frames[i].data)
			break;
		sequence = (uint16_t)(ping->sent + i);
		frames[i].size = (uint16_t)net_echo_request(frames[i].data, &ping->own, &ping->peer,
							    (uint16_t)getpid(), sequence,
							    ping->data_size);
		ping->sent_at[sequence] = now_us();
	}
	taken = usrpci_nic_transmit(ping->nic, 0, frames, i);
	while (i-- > taken)
		usrpci_nic_put(ping->nic, frames[i].data);
	ping->sent += taken;
	if (taken)
		ping->last_send = now_us();
}

static void take_reply(struct ping *ping, uint16_t sequence)
{
	uint64_t rtt = now_us() - ping->sent_at[sequence];

	if (!ping->sent_at[sequence])
		return; /* twice, too late, or never asked for */
	ping->sent_at[sequence] = 0;
	ping->received++;
	ping->rtt_sum += rtt;
	ping->rtt_min = rtt < ping->rtt_min ? rtt : ping->rtt_min;
	ping->rtt_max = rtt > ping->rtt_max ? rtt : ping->rtt_max;
	if (!ping->quiet)
		printf("%u bytes from %s: icmp_seq=%u time=%.3f ms\n", ping->data_size + 8,
		       ip_text(ping->peer.ip), sequence + 1u, (double)rtt / 1000);
}

/* Puts the frame's buffer to use for the answer where there is one, else back in the pool. */
static void take_frame(struct ping *ping, const struct usrpci_nic_frame *frame)
{
	struct net_host peer;
	uint16_t id, sequence;

	switch (net_parse(frame->data, frame->size, &ping->own, &peer, &id, &sequence)) {
	case NET_ARP_REQUEST:
		send_frame(ping, frame->data, net_arp_reply(frame->data, &ping->own, &peer));
		return;
	case NET_ARP_REPLY:
		if (peer.ip == ping->peer.ip) {
			ping->peer = peer;
			ping->have_peer = true;
		}
		break;
	case NET_ECHO_REPLY:
		if (peer.ip == ping->peer.ip && id == (uint16_t)getpid())
			take_reply(ping, sequence);
		break;
	case NET_OTHER:
		break;
	}
	usrpci_nic_put(ping->nic, frame->data);
}

static unsigned int take_frames(struct ping *ping)
{
	struct usrpci_nic_frame frames[BURST];
	unsigned int n = usrpci_nic_receive(ping->nic, 0, frames, BURST);

	for (unsigned int i = 0; i < n; i++)
		take_frame(ping, &frames[i]);
	return n;
}

/* Takes what comes until a time is reached: of one interrupt, or of one look at the ring. */
static int wait_until(struct ping *ping, uint64_t then)
{
	struct timespec pause = {.tv_nsec = 20000};
	uint64_t now = now_us();
	int events;

	if (ping->irq == USRPCI_NIC_IRQ_NONE) {
		if (take_frames(ping) == 0)
			nanosleep(&pause, NULL);
		return 0;
	}
	events = usrpci_nic_wait(ping->nic, 0, now < then ? (int)((then - now + 999) / 1000) : 0);
	if (events < 0)
		return events == -ETIMEDOUT || events == -EINTR ? 0 : events;
	ping->interrupts++;
	while (take_frames(ping) > 0)
		;
	return 0;
}

static int await_link(struct ping *ping)
{
	int error = usrpci_nic_link_wait(ping->nic, LINK_MS);

	if (error == -ETIMEDOUT)
		fprintf(stderr, "ping: no link after %d seconds\n", LINK_MS / 1000);
	return error;
}

static int resolve(struct ping *ping)
{
	uint64_t deadline = now_us() + ping->timeout_us;
	int error = 0;

	while (!ping->have_peer && !error && !interrupted && now_us() < deadline) {
		if (now_us() >= ping->last_send + ARP_GAP_US)
			send_arp_request(ping);
		error = wait_until(ping, ping->last_send + ARP_GAP_US);
	}
	if (!error && !ping->have_peer) {
		fprintf(stderr, "ping: nobody on the card's network answers ARP requests for %s\n",
			ip_text(ping->peer.ip));
		error = -EHOSTUNREACH;
	}
	return error;
}

/* Gives up requests whose time is over. Silence may mean that the card is gone: -ENODEV. */
static int expire(struct ping *ping)
{
	uint64_t now = now_us();
	unsigned int lost = ping->lost;
	struct usrpci_nic_link link;

	for (; ping->oldest != ping->sent; ping->oldest++) {
		uint64_t *sent_at = &ping->sent_at[(uint16_t)ping->oldest];

		if (*sent_at && now < *sent_at + ping->timeout_us)
			break;
		ping->lost += *sent_at != 0;
		*sent_at = 0;
	}
	return ping->lost == lost ? 0 : usrpci_nic_link(ping->nic, &link);
}

/* How many requests are due now. */
static unsigned int count_due(const struct ping *ping)
{
	unsigned int left = ping->count - ping->sent, room = WINDOW - (ping->sent - ping->oldest);

	if (!ping->flood && ping->sent && now_us() < ping->last_send + ping->interval_us)
		return 0;
	if (!ping->flood && room > 1)
		room = 1;
	return left < room ? left : room;
}

static int exchange(struct ping *ping)
{
	uint64_t until;
	int error = 0;

	while (ping->received + ping->lost < ping->count && !interrupted && !error) {
		if (count_due(ping))
			send_requests(ping, count_due(ping));
		until = ping->sent_at[(uint16_t)ping->oldest] + ping->timeout_us;
		if (!ping->flood && ping->sent < ping->count &&
		    ping->last_send + ping->interval_us < until)
			until = ping->last_send + ping->interval_us;
		error = wait_until(ping, until);
		if (!error)
			error = expire(ping);
	}
	return error;
}

static void summarize(const struct ping *ping)
{
	printf("--- %s ping statistics ---\n", ip_text(ping->peer.ip));
	printf("%u requests sent, %u replies, lost: %u, interrupts: %u\n", ping->sent,
	       ping->received, ping->sent - ping->received, ping->interrupts);
	if (ping->received)
		printf("rtt min/avg/max = %.3f/%.3f/%.3f ms\n", (double)ping->rtt_min / 1000,
		       (double)ping->rtt_sum / 1000 / ping->received, (double)ping->rtt_max / 1000);
}

static int run(struct ping *ping, struct usrpci_dev *dev)
{
	const char *why = NULL;
	struct usrpci_nic_options options = {.irq = ping->irq, .why = &why};
	struct usrpci_dma_stats stats;
	int error = usrpci_nic_open(dev, &options, &ping->nic);

	if (error == -ENOTSUP)
		fprintf(stderr, "ping: %s\n", why);
	if (error)
		return error;
	memcpy(ping->own.mac, usrpci_nic_info(ping->nic)->mac, 6);
	error = usrpci_nic_start(ping->nic);
	if (!error)
		error = await_link(ping);
	if (!error)
		error = resolve(ping);
	if (!error) {
		usrpci_dma_stats(usrpci_dev_ctx(dev), &stats);
		printf("PING %s: %s on %s, %s, memory: %zu x %zu KiB\n", ip_text(ping->peer.ip),
		       usrpci_nic_info(ping->nic)->name, usrpci_dev_name(dev),
		       ping->irq == USRPCI_NIC_IRQ_NONE ? "polling" : "interrupts", stats.pages,
		       stats.bytes_held / stats.pages / 1024);
		error = exchange(ping);
		summarize(ping);
	}
	usrpci_nic_close(ping->nic);
	return error;
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [OPTIONS] DEVICE\n"
		"  -o, --own IP         address of this end (10.0.2.15)\n"
		"  -p, --peer IP        address to ping (10.0.2.2)\n"
		"  -c, --count N        requests (4)\n"
		"  -i, --interval S     seconds between two requests (1)\n"
		"  -s, --size BYTES     data of a request (56)\n"
		"  -W, --timeout S      seconds to wait for a reply (3)\n"
		"  -f, --flood          up to 64 requests on their way at once\n"
		"      --poll           poll the ring\n"
		"      --irq TYPE       wait for interrupts: auto, intx, msi, msix (auto)\n",
		name);
	return 2;
}

static bool parse_irq(const char *text, enum usrpci_nic_irq *irq)
{
	static const char *const names[] = {"auto", "none", "intx", "msi", "msix"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i])) {
			*irq = (enum usrpci_nic_irq)i;
			return true;
		}
	return false;
}

static bool parse_number(const char *text, double scale, uint64_t max, uint64_t *value)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end || !(number >= 0) || number * scale > (double)max)
		return false;
	*value = (uint64_t)(number * scale);
	return true;
}

static bool parse_option(struct ping *ping, int option)
{
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'o':
		return inet_pton(AF_INET, optarg, &ping->own.ip) == 1;
	case 'p':
		return inet_pton(AF_INET, optarg, &ping->peer.ip) == 1;
	case 'c':
		good = parse_number(optarg, 1, INT32_MAX, &number) && number > 0;
		ping->count = (unsigned int)number;
		return good;
	case 's':
		good = parse_number(optarg, 1, DATA_MAX, &number);
		ping->data_size = (unsigned int)number;
		return good;
	case 'i':
		return parse_number(optarg, 1e6, 3600000000, &ping->interval_us);
	case 'W':
		return parse_number(optarg, 1e6, 3600000000, &ping->timeout_us);
	case 'f':
		ping->flood = ping->quiet = true;
		return true;
	case 'P':
		ping->irq = USRPCI_NIC_IRQ_NONE;
		return true;
	case 'I':
		return parse_irq(optarg, &ping->irq);
	}
	return false;
}

static bool parse_options(struct ping *ping, int argc, char **argv)
{
	static const struct option options[] = {
		{"own", required_argument, NULL, 'o'},   {"peer", required_argument, NULL, 'p'},
		{"count", required_argument, NULL, 'c'}, {"interval", required_argument, NULL, 'i'},
		{"size", required_argument, NULL, 's'},  {"timeout", required_argument, NULL, 'W'},
		{"flood", no_argument, NULL, 'f'},       {"poll", no_argument, NULL, 'P'},
		{"irq", required_argument, NULL, 'I'},   {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "o:p:c:i:s:W:f", options, NULL)) != -1)
		if (!parse_option(ping, option))
			return false;
	return optind == argc - 1;
}

int main(int argc, char **argv)
{
	struct usrpci_ctx_options log = {.log = usrpci_log_stderr};
	struct sigaction action = {.sa_handler = interrupt};
	static struct ping ping = {
		.count = 4,
		.data_size = 56,
		.interval_us = 1000000,
		.timeout_us = 3000000,
		.rtt_min = UINT64_MAX,
	};
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	inet_pton(AF_INET, "10.0.2.15", &ping.own.ip);
	inet_pton(AF_INET, "10.0.2.2", &ping.peer.ip);
	if (!parse_options(&ping, argc, argv))
		return usage(argv[0]);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	error = usrpci_ctx_open(&log, &ctx);
	if (error)
		return EXIT_FAILURE;
	error = usrpci_dev_open(ctx, argv[optind], &dev);
	if (!error) {
		error = run(&ping, dev);
		usrpci_dev_close(dev);
	}
	usrpci_ctx_close(ctx);
	if (error)
		fprintf(stderr, "ping: %s: %s\n", argv[optind], strerror(-error));
	return !error && ping.received == ping.count ? EXIT_SUCCESS : EXIT_FAILURE;
}
