/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A queue of a TAP device (Linux: Documentation/networking/tuntap.rst). */

#include <stdbool.h>

/* Sets the carrier of the device. */
void tap_set_carrier(int tap, int up);

/* Attaches or detaches a queue: the kernel distributes frames to all that are attached. */
void tap_attach(int tap, bool served);

/* Says what frames may be like that the kernel gives: TUN_F_*. */
void tap_set_offloads(int tap, unsigned long offloads);

/* Returns the MTU of the device; 0: it cannot be known, or it is no TAP. */
unsigned int tap_mtu(int tap);
