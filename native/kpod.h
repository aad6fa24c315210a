/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native library's whole interface: what JavaScript under narrow permissions cannot do itself.
 * Opaque handles, fixed-width types, -errno returns, buffers owned by the caller. It never aborts
 * the process.
 */
#ifndef KPOD_H
#define KPOD_H

#define KPOD_EXPORT __attribute__((visibility("default")))

#include "kpod_bpf.h"
#include "kpod_files.h"
#include "kpod_memory.h"
#include "kpod_web.h"
#include "kpod_privileges.h"

#endif
