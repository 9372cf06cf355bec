/*
 * How the engine writes its log: a layer between SQLite and the operating system's files.
 *
 * SQLite writes each page of a commit in two calls, a short one for the frame's header and one for the page.  Here they are
 * gathered and go out in a few large ones, at the latest with the sync that ends the commit.
 */
#ifndef KVS_DB_LOG_H
#define KVS_DB_LOG_H

/*
 * The layer's name for sqlite3_open_v2; NULL where it is not to be had, and the default serves as well.  The first call makes
 * it known to SQLite, over what is the default then.
 *
 * It is for connections whose every commit ends in a sync (synchronous=FULL): others publish a commit without another call
 * to the file, and it would not be there yet for who reads it.
 */
const char *db_log_layer(void);

#endif
