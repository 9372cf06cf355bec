/*
 * The operations, by group; the table in dispatch.c says which endpoint each serves.  parse reads the body into
 * call->args, the other reads or writes and leaves the answer in call->json.  apply functions may run more than once.  allow
 * says whether a restricted token covers the arguments.
 */
#ifndef KVS_OPS_H
#define KVS_OPS_H

#include "call.h"
#include "txn.h"

/* op_get.c: reads of keys */
enum error_code kv_get_parse(struct call *call);
enum error_code kv_get_allow(struct call *call);
enum error_code kv_get(struct call *call, struct view *view);
enum error_code kv_get_many_parse(struct call *call);
enum error_code kv_get_many_allow(struct call *call);
enum error_code kv_get_many(struct call *call, struct view *view);

/* op_write.c: writes of one key */
enum error_code kv_write_allow(struct call *call);
enum error_code kv_set_parse(struct call *call);
enum error_code kv_set(struct call *call, struct txn *txn);
enum error_code kv_create(struct call *call, struct txn *txn);
enum error_code kv_update_parse(struct call *call);
enum error_code kv_update(struct call *call, struct txn *txn);
enum error_code kv_delete_parse(struct call *call);
enum error_code kv_delete(struct call *call, struct txn *txn);
enum error_code kv_increment_parse(struct call *call);
enum error_code kv_increment(struct call *call, struct txn *txn);
enum error_code kv_touch_parse(struct call *call);
enum error_code kv_touch(struct call *call, struct txn *txn);

/* op_purge.c */
enum error_code kv_purge_parse(struct call *call);
enum error_code kv_purge_allow(struct call *call);
enum error_code kv_purge(struct call *call, struct txn *txn);

/* op_atomic.c */
enum error_code kv_atomic_parse(struct call *call);
enum error_code kv_atomic_allow(struct call *call);
enum error_code kv_atomic(struct call *call, struct txn *txn);

/* op_list.c: ranges of keys */
enum error_code kv_list_parse(struct call *call);
enum error_code kv_list_allow(struct call *call);
enum error_code kv_list(struct call *call, struct view *view);

/* op_keys.c */
enum error_code kv_keys_parse(struct call *call);
enum error_code kv_keys_allow(struct call *call);
enum error_code kv_keys(struct call *call, struct view *view);

/* op_change.c: what changed */
enum error_code kv_change_allow(struct call *call);
enum error_code kv_history_parse(struct call *call);
enum error_code kv_history(struct call *call, struct view *view);
enum error_code kv_changes_parse(struct call *call);
enum error_code kv_changes(struct call *call, struct view *view);

/* op_bucket.c */
enum error_code bucket_options_body_parse(struct call *call);
enum error_code bucket_create(struct call *call, struct txn *txn);
enum error_code bucket_update(struct call *call, struct txn *txn);
enum error_code bucket_named_parse(struct call *call);
enum error_code bucket_status_read(struct call *call, struct view *view);
enum error_code bucket_list(struct call *call, struct view *view);
/* Makes the counters of a bucket that was read from view those of what it holds now, wherever its data is. */
enum error_code bucket_held(struct call *call, struct view *view, struct bucket *b);
enum error_code bucket_destroy_parse(struct call *call);
enum error_code bucket_destroy(struct call *call, struct txn *txn);
enum error_code bucket_purge(struct call *call, struct txn *txn);
enum error_code bucket_purge_deletes_parse(struct call *call);
enum error_code bucket_purge_deletes(struct call *call, struct txn *txn);

/* op_lock.c */
enum error_code lock_acquire_parse(struct call *call);
enum error_code lock_acquire(struct call *call, struct txn *txn);
enum error_code lock_renew_parse(struct call *call);
enum error_code lock_renew(struct call *call, struct txn *txn);
enum error_code lock_release_parse(struct call *call);
enum error_code lock_release(struct call *call, struct txn *txn);

/* op_admin.c: the whole store */
enum error_code kv_reset(struct call *call, struct txn *txn);
enum error_code kv_clean_expired(struct call *call, struct txn *txn);
enum error_code health(struct call *call);

/* op_queue.c: messages coming and going */
enum error_code queue_enqueue_allow(struct call *call);
enum error_code queue_enqueue_parse(struct call *call);
enum error_code queue_enqueue(struct call *call, struct txn *txn);
enum error_code queue_enqueue_many_parse(struct call *call);
enum error_code queue_enqueue_many(struct call *call, struct txn *txn);
enum error_code queue_dequeue_parse(struct call *call);
enum error_code queue_dequeue_allow(struct call *call);
enum error_code queue_dequeue(struct call *call, struct txn *txn);

/* op_settle.c: what becomes of a delivery */
enum error_code queue_ack_parse(struct call *call);
enum error_code queue_ack(struct call *call, struct txn *txn);
enum error_code queue_ack_many_parse(struct call *call);
enum error_code queue_ack_many(struct call *call, struct txn *txn);
enum error_code queue_nack_parse(struct call *call);
enum error_code queue_nack(struct call *call, struct txn *txn);
enum error_code queue_extend_parse(struct call *call);
enum error_code queue_extend(struct call *call, struct txn *txn);

/* op_topic.c: a topic as a whole, and its dead letters */
enum error_code queue_topic_allow(struct call *call);
enum error_code queue_dead_parse(struct call *call);
enum error_code queue_dead(struct call *call, struct txn *txn);
enum error_code queue_redrive_parse(struct call *call);
enum error_code queue_redrive(struct call *call, struct txn *txn);
enum error_code queue_discard(struct call *call, struct txn *txn);
enum error_code queue_stats_parse(struct call *call);
enum error_code queue_stats(struct call *call, struct view *view);
enum error_code queue_purge_parse(struct call *call);
enum error_code queue_purge(struct call *call, struct txn *txn);

#endif
