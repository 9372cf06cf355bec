/*
 * A disk whose power can fail.  It is brought forward by the events of a trace and knows at each moment which bytes and names are
 * there for good, and which may be there or not because nobody has synced them.  An image is what is found after a power loss at
 * that moment: one of the many possible.
 */
#ifndef KVS_TEST_DISK_H
#define KVS_TEST_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "random.h"
#include "trace.h"

struct disk; /* one directory */

struct disk *disk_new(void);
void disk_free(struct disk *disk);

/* A file that is there for good. */
void disk_put(struct disk *disk, const char *name, const void *data, size_t len);

/* Brings the disk forward by one event.  Its data must outlive the disk. */
void disk_apply(struct disk *disk, const struct event *event);

/* Whether anything is not there for good yet, so that images can differ. */
bool disk_is_open(const struct disk *disk);

enum disk_loss {
    DISK_LOSE_ALL, /* nothing of what was not synced arrived */
    DISK_KEEP_ALL, /* all of it did */
    DISK_LOSE_SOME /* each write whole, in part, as garbage, or not at all; sizes and names likewise */
};

enum { DISK_FILES = 24 };

struct content {
    unsigned char *data; /* owned */
    size_t len, room;
};

struct disk_file {
    char name[TRACE_NAME];
    struct content content;
};

struct disk_image {
    struct disk_file files[DISK_FILES];
    size_t count;
};

/*
 * Fills an image: one that is all zeros, or an earlier one, whose memory is used again.  It is the caller's, to be freed with
 * disk_image_free.  rng is used by DISK_LOSE_SOME alone.
 */
void disk_image(const struct disk *disk, enum disk_loss loss, struct rng *rng, struct disk_image *image);
/* Likewise, from another image. */
void disk_image_copy(struct disk_image *to, const struct disk_image *from);

/* Frees an image's memory and leaves all zeros. */
void disk_image_free(struct disk_image *image);

/* NULL where the image has no file of that name. */
const struct disk_file *disk_image_file(const struct disk_image *image, const char *name);

/* Writes the files into a directory that has none of their names. */
void disk_image_write(const struct disk_image *image, const char *directory);

#endif
