/*
 * A database of the oldest format, as a machine may still have it when a newer program comes: what that does to it at the first
 * open, the power may interrupt like anything else.
 */
#ifndef KVS_TEST_OLDER_H
#define KVS_TEST_OLDER_H

#include <stdbool.h>

#include "tests/vfs/disk.h"

/* The files of such a database (tests/vectors/format1.sql), to be freed with disk_image_free; false where it cannot be made. */
bool older_image(struct disk_image *image);

#endif
