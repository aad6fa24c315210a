/* SPDX-License-Identifier: Apache-2.0 */
/* What the other sources know of how privileges are given up; not part of the ABI. */
#ifndef KPOD_PRIVILEGES_SIGNAL_H
#define KPOD_PRIVILEGES_SIGNAL_H

/* Asks a thread to give up its privileges; none may block it. */
#define KPOD_PRIVILEGES_SIGNAL SIGRTMAX

#endif
