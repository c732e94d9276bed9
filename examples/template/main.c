// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program that uses the driver: sends a text to the device and reads it back.
 */

#include <stdio.h>
#include <string.h>

#include "mydev.h"

static int echo(struct mydev *mydev)
{
	static const char text[] = "hello, device";
	char back[sizeof(text)] = "";
	int error = mydev_write(mydev, text, sizeof(text));

	if (!error)
		error = mydev_read(mydev, back, sizeof(back));
	if (!error)
		printf("the device says: %s\n", back);
	return error;
}

static int run(struct usrpci_dev *dev)
{
	struct mydev *mydev;
	int error = mydev_open(dev, &mydev);

	if (error)
		return error;
	error = echo(mydev);
	mydev_close(mydev);
	return error;
}

int main(int argc, char **argv)
{
	struct usrpci_ctx_options options = {.log = usrpci_log_stderr};
	const char *name = argc > 1 ? argv[1] : "qemu:edu";
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
	int error = usrpci_ctx_open(&options, &ctx);

	if (error)
		return 1;
	error = usrpci_dev_open(ctx, name, &dev);
	if (!error) {
		error = run(dev);
		usrpci_dev_close(dev);
	}
	usrpci_ctx_close(ctx);
	if (error)
		fprintf(stderr, "mydev: %s: %s\n", name, strerror(-error));
	return error ? 1 : 0;
}
