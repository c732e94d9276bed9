// SPDX-License-Identifier: BSD-2-Clause
/* The context: its options and its log. Closing it closes everything that was opened in it. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <usrpci/device.h>

#include "backend.h"
#include "file.h"
#include "lent.h"
#include "numbers.h"
#include "ctx.h"
#include "dma/domain.h"
#include "fault/fault.h"
#include "trace/trace.h"

#define LOG_SUBJECT "ctx"
#include "log.h"

static int check_options(const struct usrpci_ctx_options *options)
{
	struct stat root;
	uint8_t uuid[16];

	if (options->log_level > USRPCI_LOG_DEBUG)
		return -EINVAL;
	if (options->page_size & (options->page_size - 1))
		return -EINVAL;
	if (options->vf_token && !parse_uuid(options->vf_token, uuid))
		return -EINVAL;
	if (options->root && stat(options->root, &root))
		return -errno;
	if (options->root && !S_ISDIR(root.st_mode))
		return -ENOTDIR;
	return 0;
}

static char *copy_root(const char *root)
{
	char *copy = strdup(root ? root : "");
	size_t length = copy ? strlen(copy) : 0;

	while (length > 0 && copy[length - 1] == '/')
		copy[--length] = '\0';
	return copy;
}

int usrpci_ctx_open(const struct usrpci_ctx_options *options, struct usrpci_ctx **result)
{
	static const struct usrpci_ctx_options defaults;
	struct usrpci_ctx *ctx;
	int error;

	if (!options)
		options = &defaults;
	error = check_options(options);
	if (error)
		return error;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->base.root = copy_root(options->root);
	if (options->dma_directory)
		ctx->dma_directory = strdup(options->dma_directory);
	if (options->vf_token)
		ctx->vf_token = strdup(options->vf_token);
	ctx->base.log = options->log;
	ctx->base.log_data = options->log_data;
	ctx->base.log_level = options->log_level;
	ctx->page_size = options->page_size;
	pthread_mutex_init(&ctx->base.log_lock, NULL);
	pthread_mutex_init(&ctx->lock, NULL);
	if (!ctx->base.root || (options->dma_directory && !ctx->dma_directory) ||
	    (options->vf_token && !ctx->vf_token))
		error = -ENOMEM;
	else
		error = lent_connect(ctx);
	if (error)
		usrpci_ctx_close(ctx);
	else
		*result = ctx;
	return error;
}

int usrpci_ctx_unread(struct usrpci_ctx *ctx, const char **path)
{
	int error;

	pthread_mutex_lock(&ctx->base.log_lock);
	error = ctx->base.unread_error;
	*path = error ? ctx->base.unread_path : NULL;
	pthread_mutex_unlock(&ctx->base.log_lock);
	return error;
}

int usrpci_ctx_open_file(struct usrpci_ctx *ctx, const char *path)
{
	return file_open(ctx, O_RDWR, "%s", path);
}

void usrpci_ctx_close(struct usrpci_ctx *ctx)
{
	if (!ctx)
		return;
	while (ctx->devices) {
		log_warning(ctx, ctx->devices->name, NULL,
			    "still open when its context is closed: closing it first");
		usrpci_dev_close(ctx->devices);
	}
	dma_detach(ctx->domain);
	fault_free(ctx->fault);
	trace_close(ctx->trace);
	lent_disconnect(ctx);
	pthread_mutex_destroy(&ctx->lock);
	pthread_mutex_destroy(&ctx->base.log_lock);
	free(ctx->dma_directory);
	free(ctx->vf_token);
	free(ctx->base.root);
	free(ctx);
}
