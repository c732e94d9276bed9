/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What is used of libsmartcols, for output.c and for the static command, which has it inside. */

#include <libsmartcols.h>

/* The functions that are used, one on each line. */
/* clang-format off */
#define LIBRARY_SMARTCOLS(each) \
	each(scols_cell_get_data) \
	each(scols_free_iter) \
	each(scols_line_get_cell) \
	each(scols_line_get_parent) \
	each(scols_line_get_userdata) \
	each(scols_line_has_children) \
	each(scols_line_set_data) \
	each(scols_line_set_userdata) \
	each(scols_new_iter) \
	each(scols_new_table) \
	each(scols_print_table) \
	each(scols_table_new_column) \
	each(scols_table_new_line) \
	each(scols_table_next_line) \
	each(scols_unref_table) \
	each(scols_table_enable_noheadings)
/* clang-format on */
