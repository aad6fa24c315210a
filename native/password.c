// SPDX-License-Identifier: Apache-2.0
/*
 * Hashes of passwords, by the system's libcrypt. It is looked for when it is first needed: most
 * agents never do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kpod.h"

/* crypt_rn(3) wants sizeof(struct crypt_data), which is this since libxcrypt 4.0. */
#define CRYPT_DATA_BYTES 32768

typedef char *crypt_function(const char *phrase, const char *setting, void *data, int size);

static crypt_function *crypt_rn;
static pthread_once_t looked_for = PTHREAD_ONCE_INIT;

static void look_for(void)
{
	void *library = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL);

	if (library)
		crypt_rn = (crypt_function *)dlsym(library, "crypt_rn");
}

/* Takes as long whatever differs. */
static int equal(const char *left, const char *right, size_t length)
{
	unsigned char difference = 0;

	for (size_t at = 0; at < length; at++)
		difference |= (unsigned char)(left[at] ^ right[at]);
	return !difference;
}

int kpod_password_fits(const char *hash, const char *password)
{
	void *data;
	const char *made;
	int result;

	pthread_once(&looked_for, look_for);
	if (!crypt_rn)
		return -ENOSYS;
	data = calloc(1, CRYPT_DATA_BYTES);
	if (!data)
		return -ENOMEM;
	made = crypt_rn(password, hash, data, CRYPT_DATA_BYTES);
	if (!made)
		result = -EINVAL;
	else
		result = strlen(made) == strlen(hash) && equal(made, hash, strlen(hash));
	explicit_bzero(data, CRYPT_DATA_BYTES);
	free(data);
	return result;
}
