// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is asked of a TAP device besides frames.
 */

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pump/tap.h"

void tap_set_carrier(int tap, int up)
{
	ioctl(tap, TUNSETCARRIER, &up);
}

void tap_attach(int tap, bool served)
{
	struct ifreq request = {.ifr_flags = served ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	ioctl(tap, TUNSETQUEUE, &request);
}

void tap_set_offloads(int tap, unsigned long offloads)
{
	ioctl(tap, TUNSETOFFLOAD, offloads);
}

unsigned int tap_mtu(int tap)
{
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;
	struct ifreq request = {0};

	if (!ioctl(tap, TUNGETIFF, &request) && !ioctl(any, SIOCGIFMTU, &request))
		mtu = request.ifr_mtu;
	if (any >= 0)
		close(any);
	return (unsigned int)mtu;
}
