// SPDX-License-Identifier: BSD-2-Clause
/*
 * An interface's place moves to another interface and back: two TAP devices in a network namespace
 * of the test's own, asked by ip(8) before and after. Skipped where no such namespace can be had.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fixture.h"
#include "guard/netlink.h"
#include "net/net.h"

struct bench {
	struct usrpci_ctx *ctx;
	struct usrpci_host *host;
	char changes[16384]; /* what was shown, a line each */
	int first, second;
	char first_name[IF_NAMESIZE], second_name[IF_NAMESIZE];
};

static void show(void *data, const struct usrpci_host_change *change)
{
	struct bench *bench = data;
	size_t at = strlen(bench->changes);

	snprintf(bench->changes + at, sizeof(bench->changes) - at, "%s\n", change->command);
}

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static void ask(const char *command, char text[4096])
{
	FILE *pipe = popen(command, "r");
	size_t size;

	assert_non_null(pipe);
	size = fread(text, 1, 4095, pipe);
	text[size] = '\0';
	pclose(pipe);
}

/* What ip(8) says of an interface but for its index, which differs, and what time changes. */
static void look(const char *name, char text[4096])
{
	char command[1024];

	snprintf(
		command, sizeof(command),
		"cat /sys/class/net/%1$s/address /sys/class/net/%1$s/mtu 2>/dev/null;"
		"ip -o link show %1$s | grep -o 'mtu [0-9]*\\|ether [0-9a-f:]*\\|[<,]UP[,>]';"
		"ip -o address show dev %1$s scope global | sed 's/^[0-9]*: //' | sort;"
		"ip route show table all | grep -A2 '%1$s\\|^10.78' | grep -v 'proto kernel\\|table local' |"
		"sed 's/ [0-9]*sec//' | sort;"
		"ip -6 route show table all dev %1$s | grep -v 'proto kernel\\|table local\\|fe80' | sed 's/ [0-9]*sec//' | sort",
		name);
	ask(command, text);
}

static int setup(void **state)
{
	static struct bench bench;
	struct usrpci_host_options options = {.change = show, .change_data = &bench};

	memset(&bench, 0, sizeof(bench));
	*state = &bench;
	if (usrpci_ctx_open(NULL, &bench.ctx) || usrpci_host_open(bench.ctx, &options, &bench.host))
		return -1;
	strcpy(bench.first_name, "usrpci7001");
	strcpy(bench.second_name, "usrpci7002");
	return apply_tap(bench.host, "a test", bench.first_name, &bench.first, 1) ||
			       apply_tap(bench.host, "a test", bench.second_name, &bench.second, 1)
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	apply_tap_end(bench->host, "a test", bench->first_name, &bench->first, 1);
	apply_tap_end(bench->host, "a test", bench->second_name, &bench->second, 1);
	usrpci_host_close(bench->host);
	usrpci_ctx_close(bench->ctx);
	return 0;
}

static void furnish(const char *name)
{
	char command[1024];

	snprintf(
		command, sizeof(command),
		"set -e; ip link set lo up; ip link set %1$s name eth7 address 02:00:00:00:00:07 mtu 1400;"
		"ip link set eth7 up; ip address add 10.1.0.2/24 dev eth7 label eth7:x;"
		"ip address add 10.9.9.1/32 dev eth7; ip -6 address add fd00:77::1/64 dev eth7 nodad;"
		"ip route add default via 10.1.0.1 dev eth7 metric 50;"
		"ip route add 10.77.0.0/16 via 10.1.0.1 dev eth7 table 1000 src 10.9.9.1;"
		"ip route add 10.78.0.0/16 nexthop via 10.1.0.1 dev eth7 nexthop via 10.1.0.3 dev eth7 weight 2;"
		"ip route add 10.79.0.0/16 via inet6 fd00:77::4 dev eth7;"
		"ip route add 10.80.0.0/16 via 192.0.2.1 dev eth7 onlink;"
		"ip -6 route add fd00:88::/64 via fd00:77::2 dev eth7;"
		"ip -6 route add fd00:99::/64 via fd00:77::3 dev eth7 expires 1000",
		name);
	run(command);
}

static void a_place_moves_and_comes_back(void **state)
{
	struct bench *bench = *state;
	char before[4096], after[4096], aside[IF_NAMESIZE];
	struct net_place place;
	int no = 0;

	furnish(bench->first_name);
	look("eth7", before);
	assert_non_null(strstr(before, "fd00:88::/64"));
	assert_non_null(strstr(before, "10.78.0.0/16"));
	assert_non_null(strstr(before, "expires"));
	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	assert_int_equal(net_place_leave(bench->host, &place, aside), 0);
	look(aside, after);
	assert_null(strstr(after, "10.")); /* nothing of it is in use any more */
	assert_null(strstr(after, "fd00"));
	assert_int_equal(net_place_take(bench->host, &place, bench->second_name), 0);
	look("eth7", after);
	assert_string_equal(before, after);
	net_place_free(&place);

	/* Without a carrier the kernel marks its routes, and takes none that is marked. */
	assert_int_equal(ioctl(bench->second, TUNSETCARRIER, &no), 0);
	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	assert_int_equal(net_place_leave(bench->host, &place, bench->second_name), 0);
	assert_int_equal(net_place_take(bench->host, &place, aside), 0);
	look("eth7", after);
	assert_string_equal(before, after);
	net_place_free(&place);
}

/* Moves the place of eth7 from the first interface to the second one. */
static void move(struct bench *bench)
{
	char aside[IF_NAMESIZE];
	struct net_place place;

	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	assert_int_equal(net_place_leave(bench->host, &place, aside), 0);
	assert_int_equal(net_place_take(bench->host, &place, bench->second_name), 0);
	net_place_free(&place);
}

static void a_route_of_another_interface_keeps_its_source(void **state)
{
	struct bench *bench = *state;

	furnish(bench->first_name);
	run("ip route add 10.81.0.0/16 dev lo src 10.1.0.2");
	move(bench);
	run("ip route show 10.81.0.0/16 | grep -q 'dev lo .*src 10.1.0.2'");
	assert_non_null(
		strstr(bench->changes, "ip route replace 10.81.0.0/16 dev lo table 254 src"));
	run("ip route del 10.81.0.0/16");
}

static void ipv6_addresses_keep_their_order(void **state)
{
	static const char *const list = "ip -6 -o address show dev eth7 | grep -v fe80::ff: |"
					" sed 's/^[0-9]*: //'";
	struct bench *bench = *state;
	char before[4096], after[4096];

	furnish(bench->first_name);
	run("ip -6 address add fd00:77::9/64 dev eth7 nodad");
	run("ip -6 address add fe80::5/64 dev eth7 nodad");
	ask(list, before);
	assert_non_null(strstr(before, "fe80::5/64"));
	move(bench);
	ask(list, after);
	assert_string_equal(before, after);
}

static void a_route_by_a_nexthop_object_becomes_a_usual_one(void **state)
{
	struct bench *bench = *state;
	struct net_place place;

	furnish(bench->first_name);
	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	assert_int_equal(net_place_nexthop(&place), 0);
	run("ip nexthop add id 7 via 10.1.0.1 dev eth7 && ip route add 10.82.0.0/16 nhid 7");
	assert_int_equal(net_place_nexthop(&place), 7);
	net_place_free(&place);
	move(bench);
	run("ip route show 10.82.0.0/16 | grep -q 'via 10.1.0.1 dev eth7'");
}

static void a_route_of_several_hops_moves_while_the_interface_is_down(void **state)
{
	struct bench *bench = *state;

	furnish(bench->first_name);
	run("ip route add 10.83.0.0/16 nexthop via 10.1.0.1 dev eth7 nexthop dev lo; ip link set eth7 down");
	move(bench);
	run("ip route show 10.83.0.0/16 | grep -q 'via 10.1.0.1 dev eth7'");
	run("! ip link show eth7 | grep -q '[<,]UP[,>]'");
	run("ip route del 10.83.0.0/16");
}

/* Runs the commands that were shown and begin like this. */
static void run_shown(struct bench *bench, const char *like)
{
	char changes[sizeof(bench->changes)], *rest = NULL, *line;
	unsigned int count = 0;

	strcpy(changes, bench->changes);
	for (line = strtok_r(changes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, like, strlen(like)) != 0)
			continue;
		run(line);
		count++;
	}
	assert_true(count > 0);
}

static void what_moves_is_shown_as_commands(void **state)
{
	static const char *const shown[] = {
		"ip tuntap add mode tap usrpci7001\n",
		"ip link set eth7 down\n",
		"ip address del 10.1.0.2/24 dev eth7\n",
		"ip link set eth7 address 02:00:00:00:00:07 mtu 1400\n",
		"ip address replace fd00:77::1/64 dev eth7\n",
		"ip route replace default via 10.1.0.1 dev eth7 table 254 metric 50\n",
		"ip route replace 10.77.0.0/16 via 10.1.0.1 dev eth7 table 1000 src 10.9.9.1\n",
		("ip route replace 10.78.0.0/16 table 254 nexthop via 10.1.0.1 dev eth7 weight 1 "
		 "nexthop via 10.1.0.3 dev eth7 weight 2\n"),
		"ip route replace 10.79.0.0/16 via inet6 fd00:77::4 dev eth7 table 254\n",
		"ip route replace 10.80.0.0/16 via 192.0.2.1 dev eth7 onlink table 254\n",
		"ip -6 route replace fd00:88::/64 via fd00:77::2 dev eth7 table 254 metric 1024\n",
	};
	struct bench *bench = *state;
	char before[4096], after[4096];

	furnish(bench->first_name);
	move(bench);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		assert_non_null(strstr(bench->changes, shown[i]));
	look("eth7", before);
	run_shown(bench, "ip route ");
	run_shown(bench, "ip -6 route ");
	look("eth7", after);
	assert_string_equal(before, after);
}

/* What a router, or who wants no IPv6 on a wire, has set. */
static void settings_move_too(void **state)
{
	struct bench *bench = *state;
	char aside[IF_NAMESIZE], *text = NULL;
	struct net_place place, read = {0};
	size_t size = 0;
	FILE *out;

	run("ip link set usrpci7001 name eth7; ip link set eth7 up; cd /proc/sys/net; echo 2 >ipv4/conf/eth7/rp_filter; echo 1 >ipv4/conf/eth7/forwarding;"
	    "echo 0 >ipv6/conf/eth7/accept_ra; echo 1 >ipv6/conf/eth7/disable_ipv6");
	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	out = open_memstream(&text, &size);
	net_place_print(out, &place);
	fclose(out);
	assert_non_null(strstr(text, "\nsetting ipv6/disable_ipv6 1\n"));
	assert_int_equal(net_settings_add(&read, "ipv4/rp_filter 2"), 0);
	assert_non_null(strstr(place.settings, read.settings));
	assert_int_equal(net_place_leave(bench->host, &place, aside), 0);
	assert_int_equal(net_place_take(bench->host, &place, bench->second_name), 0);
	run("cd /proc/sys/net; grep -qx 2 ipv4/conf/eth7/rp_filter && grep -qx 1 ipv4/conf/eth7/forwarding &&"
	    "grep -qx 0 ipv6/conf/eth7/accept_ra && grep -qx 1 ipv6/conf/eth7/disable_ipv6");
	assert_non_null(strstr(bench->changes, "ipv6/conf/eth7/disable_ipv6"));
	run("! ip -6 address show dev eth7 | grep fe80");
	free(text);
	net_place_free(&read);
	net_place_free(&place);
}

static void what_the_link_itself_has_moves_too(void **state)
{
	static const char *const look_at =
		"ip -d link show dev eth7 | grep -o 'qlen [0-9]*\\|group [a-z0-9]*\\|alias .*\\|<[A-Z,_]*>'";
	struct bench *bench = *state;
	char before[4096], after[4096], aside[IF_NAMESIZE], *text = NULL, *line, *rest;
	struct net_place place, again = {0};
	size_t size = 0;
	FILE *out;

	run("ip link set usrpci7001 name eth7 txqueuelen 77 group 8 alias \"the kitchen's\" promisc on allmulticast on up");
	ask(look_at, before);
	assert_non_null(strstr(before, "the kitchen's"));
	assert_non_null(strstr(before, "PROMISC"));
	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	out = open_memstream(&text, &size);
	net_place_print(out, &place);
	fclose(out);
	assert_int_equal(net_place_leave(bench->host, &place, aside), 0);

	/* As after a kill: all that is known is in the record. */
	assert_true(net_place_parse(&again, strtok_r(text, "\n", &rest) + strlen("net ")));
	while ((line = strtok_r(NULL, "\n", &rest)))
		if (!strncmp(line, "message ", strlen("message ")))
			assert_true(net_place_parse_message(&again, line + strlen("message ")));
	assert_int_equal(net_place_take(bench->host, &again, bench->second_name), 0);
	ask(look_at, after);
	assert_string_equal(before, after);
	assert_non_null(strstr(bench->changes,
			       "ip link set eth7 txqueuelen 77 group 8 alias 'the kitchen'\\''s' "
			       "promisc on allmulticast on\n"));
	run_shown(bench, "ip link set eth7 txqueuelen ");
	free(text);
	net_place_free(&place);
	net_place_free(&again);
}

static void an_interface_that_is_down_stays_down(void **state)
{
	struct bench *bench = *state;
	char text[4096], aside[IF_NAMESIZE];
	struct net_place place;

	assert_int_equal(net_place_read(bench->host, bench->first_name, &place), 0);
	assert_int_equal(net_place_leave(bench->host, &place, aside), 0);
	assert_int_equal(net_place_take(bench->host, &place, bench->second_name), 0);
	look(place.name, text);
	assert_null(strstr(text, "UP"));
	net_place_free(&place);
}

/* The kernel tells the state of a carrier that has changed; of another one it says "unknown". */
static void the_state_of_a_tap_is_that_of_its_carrier(void **state)
{
	struct bench *bench = *state;
	int no = 0;

	run("ip link set usrpci7001 up");
	run("for i in $(seq 50); do ip link show usrpci7001 | grep -q 'state UP' && exit; sleep 0.1; done; exit 1");
	assert_int_equal(ioctl(bench->first, TUNSETCARRIER, &no), 0);
	run("for i in $(seq 50); do ip link show usrpci7001 | grep -q 'state DOWN' && exit; sleep 0.1; done; exit 1");
}

static bool plays_infiniband;

/* The kernel's answer about an interface of InfiniBand, which this machine has not. */
static size_t answer_infiniband(char *buffer, unsigned int index)
{
	struct nlmsghdr *link = mnl_nlmsg_put_header(buffer), *done;
	struct ifinfomsg *message = mnl_nlmsg_put_extra_header(link, sizeof(*message));
	uint8_t address[INFINIBAND_ALEN];

	for (uint8_t i = 0; i < INFINIBAND_ALEN; i++)
		address[i] = (uint8_t)(0xf0 + i);
	link->nlmsg_type = RTM_NEWLINK;
	link->nlmsg_flags = NLM_F_MULTI;
	link->nlmsg_seq = 1;
	message->ifi_type = ARPHRD_INFINIBAND;
	message->ifi_index = (int)index;
	mnl_attr_put_strz(link, IFLA_IFNAME, "usrpci7001");
	mnl_attr_put(link, IFLA_ADDRESS, sizeof(address), address);
	mnl_attr_put_u32(link, IFLA_MTU, 2044);
	done = mnl_nlmsg_put_header(buffer + link->nlmsg_len);
	mnl_nlmsg_put_extra_header(done, sizeof(int));
	done->nlmsg_type = NLMSG_DONE;
	done->nlmsg_flags = NLM_F_MULTI;
	done->nlmsg_seq = 1;
	return link->nlmsg_len + done->nlmsg_len;
}

static int interruptions;

/* The kernel marks a list like this of which something has changed since its first part. */
static ssize_t receive(int socket, void *buffer, size_t size)
{
	ssize_t got = recv(socket, buffer, size, 0);

	if (got > 0 && interruptions > 0) {
		((struct nlmsghdr *)buffer)->nlmsg_flags |= NLM_F_DUMP_INTR;
		interruptions--;
	}
	return got;
}

/* Stands before libmnl's. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *socket, void *buffer, size_t size)
{
	if (!plays_infiniband)
		return receive(mnl_socket_get_fd(socket), buffer, size);
	plays_infiniband = false;
	return (ssize_t)answer_infiniband(buffer, if_nametoindex("usrpci7001"));
}

static void an_infiniband_address_is_kept_in_the_record(void **state)
{
	struct bench *bench = *state;
	struct net_place place, again = {0};
	char text[256] = "", mac[NET_MAC_TEXT];
	FILE *out = fmemopen(text, sizeof(text), "w");

	plays_infiniband = true;
	assert_int_equal(net_place_read(bench->host, bench->first_name, &place), 0);
	assert_int_equal(place.mac_length, 20);
	net_place_print(out, &place);
	fclose(out);
	assert_non_null(strchr(text, '\n'));
	assert_true(net_place_parse(&again, text + strlen("net ")));
	assert_memory_equal(again.mac, place.mac, 20);
	assert_int_equal(again.mtu, place.mtu);
	assert_string_equal(net_mac_format(&again, mac),
			    "f0:f1:f2:f3:f4:f5:f6:f7:f8:f9:fa:fb:fc:fd:fe:ff:00:01:02:03");
	net_place_free(&place);
}

static void an_infiniband_interface_gets_all_of_its_address(void **state)
{
	struct bench *bench = *state;
	struct net_place place;

	plays_infiniband = true;
	assert_int_equal(net_place_read(bench->host, bench->first_name, &place), 0);
	/* A TAP has no such addresses: what is asked of the kernel is what counts. */
	net_place_take(bench->host, &place, bench->first_name);
	assert_non_null(
		strstr(bench->changes,
		       "address f0:f1:f2:f3:f4:f5:f6:f7:f8:f9:fa:fb:fc:fd:fe:ff:00:01:02:03 "
		       "mtu 2044\n"));
	net_place_free(&place);
}

static void damaged_addresses_are_refused(void **state)
{
	static const char *const lines[] = {
		"eth0 2 52:54:00:12:34 1500 1",     "eth0 2 52:54:00:12:34:5 1500 1",
		"eth0 2 52:54:00:12:34:5g 1500 1",  "eth0 2 52-54-00-12-34-56 1500 1",
		"eth0 2 52:54:00:12:34:56: 1500 1", "eth0 2 52:54:00:12:34:56:78 1500 1",
		"eth0 2 52:54:00:12:34:560 1500 1",
	};
	struct net_place place = {0};

	(void)state;
	assert_true(net_place_parse(&place, "eth0 2 52:54:00:12:34:56 1500 1"));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(net_place_parse(&place, lines[i]));
}

/* The mode is a file of the driver's, which a directory stands for; the interface is a TAP. */
static void connected_mode_would_not_come_back(void **state)
{
	struct bench *bench = *state;
	void *made = NULL;
	struct fixture *fixture;
	struct usrpci_ctx *ctx;
	struct usrpci_host *host;
	struct net_place place;

	plays_infiniband = true;
	assert_int_equal(fixture_setup(&made), 0);
	fixture = made;
	fixture_text(fixture, "/sys/class/net/usrpci7001/mode", "connected\n");
	ctx = fixture_ctx(fixture);
	assert_int_equal(usrpci_host_open(ctx, NULL, &host), 0);
	assert_int_equal(net_place_read(host, bench->first_name, &place), -EOPNOTSUPP);
	assert_non_null(strstr(fixture->log, "echo datagram >/sys/class/net/usrpci7001/mode"));
	fixture_text(fixture, "/sys/class/net/usrpci7001/mode", "datagram\n");
	plays_infiniband = true;
	assert_int_equal(net_place_read(host, bench->first_name, &place), 0);
	net_place_free(&place);
	usrpci_host_close(host);
	usrpci_ctx_close(ctx);
	fixture_teardown(&made);
}

static void what_has_other_addresses_is_refused(void **state)
{
	struct bench *bench = *state;
	struct net_place place;

	assert_int_equal(net_place_read(bench->host, "lo", &place), -EOPNOTSUPP);
	assert_int_equal(net_place_read(bench->host, "eth99", &place), -ENODEV);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static size_t listed(void)
{
	struct net_list list = {0};

	assert_int_equal(netlink_read(&list), 0);
	free(list.items);
	return list.count;
}

static size_t moving(struct bench *bench)
{
	struct net_place place;
	size_t count;

	assert_int_equal(net_place_read(bench->host, "eth7", &place), 0);
	count = place.count;
	net_place_free(&place);
	return count;
}

static void what_changes_while_it_is_listed_is_listed_again(void **state)
{
	struct bench *bench = *state;
	size_t items, messages;

	furnish(bench->first_name);
	items = listed();
	messages = moving(bench);
	for (int i = 1; i < 10; i++) {
		interruptions = i;
		assert_int_equal(listed(), items);
		interruptions = i;
		assert_int_equal(moving(bench), messages);
		interruptions = i;
		assert_int_equal(net_is_tap(bench->host, "eth7"), 1);
		assert_int_equal(interruptions, 0);
	}
}

static void what_never_stops_to_change_is_not_listed_for_ever(void **state)
{
	struct bench *bench = *state;
	struct net_list list = {0};
	struct net_place place;

	furnish(bench->first_name);
	interruptions = INT_MAX;
	assert_int_equal(netlink_read(&list), -EINTR);
	assert_int_equal(net_place_read(bench->host, "eth7", &place), -EINTR);
	interruptions = 0;
	free(list.items);
}

/* A user and a network of its own, in which the test is root. */
static bool enter_namespace(void)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", getuid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) || !write_text("/proc/self/uid_map", map))
		return false;
	return access("/dev/net/tun", R_OK | W_OK) == 0 && system("ip link >/dev/null") == 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_place_moves_and_comes_back),
		TEST(a_route_of_another_interface_keeps_its_source),
		TEST(ipv6_addresses_keep_their_order),
		TEST(a_route_by_a_nexthop_object_becomes_a_usual_one),
		TEST(a_route_of_several_hops_moves_while_the_interface_is_down),
		TEST(what_moves_is_shown_as_commands),
		TEST(settings_move_too),
		TEST(what_the_link_itself_has_moves_too),
		TEST(an_interface_that_is_down_stays_down),
		TEST(the_state_of_a_tap_is_that_of_its_carrier),
		TEST(an_infiniband_address_is_kept_in_the_record),
		TEST(an_infiniband_interface_gets_all_of_its_address),
		TEST(damaged_addresses_are_refused),
		TEST(connected_mode_would_not_come_back),
		TEST(what_has_other_addresses_is_refused),
		TEST(what_changes_while_it_is_listed_is_listed_again),
		TEST(what_never_stops_to_change_is_not_listed_for_ever),
	};

	if (!enter_namespace()) {
		puts("1..0 # SKIP no network namespace with TAP devices can be had here");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
