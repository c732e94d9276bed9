/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Looks where execvp(3) will look, so that no device is taken in vain. Returns 0 or an errno. */
int program_find(const char *program);
