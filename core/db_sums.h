/*
 * The files below the engine: a layer between SQLite and its own file system layer that finds damage in whatever is read
 * from disk.  For db.c alone.
 *
 * A page of the database ends in DB_SUMS_RESERVE bytes that SQLite leaves alone; they hold the checksum of the rest and of
 * the page's number.  It is put there when the page is written and compared whenever it is read.  A page in the log has the
 * log's own checksum, which SQLite looks at only when it recovers the log: it is compared at each read, too.  What a
 * checkpoint copies must be the page that it is taken for.  Damage is SQLITE_CORRUPT to the engine.
 *
 * Whether a file has checksums is in its header: bytes reserved in each page.  A file of format 1 has none.
 */
#ifndef KVS_DB_SUMS_H
#define KVS_DB_SUMS_H

enum { DB_SUMS_PAGE = 4096, DB_SUMS_RESERVE = 8, DB_SUMS_FRAME = DB_SUMS_PAGE + 24 };

/* "kvs1" in the header's place for the application's id: whose database this is. */
enum { DB_SUMS_APPLICATION = 0x6b767331 };

/* What sqlite3_file_control tells or asks a database file; the argument is an int but for one. */
enum db_sums_control {
    DB_SUMS_ARE_THERE = 0x6b760001, /* gets whether its pages are compared with checksums */
    DB_SUMS_STAMP,                  /* checksums go into pages written from now on, whatever its header says */
    DB_SUMS_LENIENT,                /* 1: what is damaged is passed on as it is read; 0: no more */
    DB_SUMS_FILE,   /* gets this layer's own file, a pointer: for its log, whatever other layers lie above */
    DB_SUMS_CONVERT /* 1: every page is being rewritten with its checksum; 0: the header says what came of it */
};

/* Becomes the layer that every file is opened through.  Once SQLite is initialised; again does nothing. */
void db_sums_register(void);

#endif
