// SPDX-License-Identifier: BSD-2-Clause
/*
 * The static command's way to the libraries that the other one loads at run time: their functions
 * are inside, and are found here by their names. libkmod is not, so modules must have been loaded.
 */

#include <dlfcn.h>
#include <libmount.h>
#include <libsmartcols.h>
#include <libudev.h>
#include <stddef.h>
#include <string.h>

#define FUNCTION(name)                \
	{                             \
#name, (void *)(name) \
	}

static const struct {
	const char *name;
	void *function;
} functions[] = {
	FUNCTION(mnt_new_table),
	FUNCTION(mnt_unref_table),
	FUNCTION(mnt_table_set_parser_errcb),
	FUNCTION(mnt_table_parse_file),
	FUNCTION(mnt_table_parse_swaps),
	FUNCTION(mnt_new_iter),
	FUNCTION(mnt_reset_iter),
	FUNCTION(mnt_free_iter),
	FUNCTION(mnt_table_next_fs),
	FUNCTION(mnt_fs_get_source),
	FUNCTION(mnt_fs_get_target),
	FUNCTION(mnt_fs_get_devno),
	FUNCTION(udev_new),
	FUNCTION(udev_unref),
	FUNCTION(udev_hwdb_new),
	FUNCTION(udev_hwdb_unref),
	FUNCTION(udev_hwdb_get_properties_list_entry),
	FUNCTION(udev_list_entry_get_next),
	FUNCTION(udev_list_entry_get_name),
	FUNCTION(udev_list_entry_get_value),
	FUNCTION(udev_device_unref),
	FUNCTION(udev_device_get_action),
	FUNCTION(udev_device_get_property_value),
	FUNCTION(udev_monitor_new_from_netlink),
	FUNCTION(udev_monitor_unref),
	FUNCTION(udev_monitor_set_receive_buffer_size),
	FUNCTION(udev_monitor_filter_add_match_subsystem_devtype),
	FUNCTION(udev_monitor_enable_receiving),
	FUNCTION(udev_monitor_get_fd),
	FUNCTION(udev_monitor_receive_device),
	FUNCTION(scols_cell_get_data),
	FUNCTION(scols_free_iter),
	FUNCTION(scols_line_get_cell),
	FUNCTION(scols_line_get_parent),
	FUNCTION(scols_line_get_userdata),
	FUNCTION(scols_line_has_children),
	FUNCTION(scols_line_set_data),
	FUNCTION(scols_line_set_userdata),
	FUNCTION(scols_new_iter),
	FUNCTION(scols_new_table),
	FUNCTION(scols_print_table),
	FUNCTION(scols_table_new_column),
	FUNCTION(scols_table_new_line),
	FUNCTION(scols_table_next_line),
	FUNCTION(scols_unref_table),
	FUNCTION(scols_table_enable_noheadings),
};

void *dlopen(const char *file, int mode)
{
	(void)mode;
	return strstr(file, "libkmod") ? NULL : (void *)functions;
}

void *dlsym(void *restrict library, const char *restrict name)
{
	(void)library;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(name, functions[i].name))
			return functions[i].function;
	return NULL;
}
