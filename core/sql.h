/*
 * The one table of SQL statements: X(id, text).  Grouped as the modules that use them.
 */
#ifndef KVS_SQL_H
#define KVS_SQL_H

/* The columns of an entry, in the order that entry.c reads them; those of a bucket, for bucket.c. */
#define SQL_ENTRY_REST "revision,version,created,expires,op,encoding,size,sum,value"
#define SQL_ENTRY      "key," SQL_ENTRY_REST
#define SQL_BUCKET                                                                                                     \
    "name,id,revision,compacted,created,keys,held,bytes,history,ttl,max_value,max_bytes,max_keys,description,"         \
    "metadata,storage,compression,marker_ttl,republish"
#define SQL_MESSAGE                                                                                                    \
    "m.id,m.topic,m.state,m.rank,m.deliver,m.attempts,m.max_attempts,m.enqueued,m.lease,m.lease_until,m.failed,"       \
    "m.backoff,m.dedupe,m.encoding,m.size,m.sum"

#define SQL_ENGINE_TABLE(X)                                                                                            \
    X(SQL_READ_BEGIN, "BEGIN")                                                                                         \
    X(SQL_WRITE_BEGIN, "BEGIN IMMEDIATE")                                                                              \
    X(SQL_COMMIT, "COMMIT")                                                                                            \
    X(SQL_ROLLBACK, "ROLLBACK")                                                                                        \
    X(SQL_SAVEPOINT, "SAVEPOINT job")                                                                                  \
    X(SQL_SAVEPOINT_UNDO, "ROLLBACK TO job")                                                                           \
    X(SQL_SAVEPOINT_END, "RELEASE job")                                                                                \
    X(SQL_DATA_VERSION, "PRAGMA data_version")                                                                         \
    X(SQL_USER_VERSION, "PRAGMA user_version")                                                                         \
    X(SQL_APPLICATION_ID, "PRAGMA application_id")                                                                     \
    /* The tables of format 1, which did not say whose it is; or none at all, as in a new file. */                     \
    X(SQL_OUR_TABLES, "SELECT count(*)=0 OR sum(name IN ('state','bucket','entry','history','message','payload'))=6 "  \
                      "FROM sqlite_master WHERE type='table'")                                                         \
    X(SQL_PAGE_COUNT, "PRAGMA page_count")                                                                             \
    X(SQL_FREE_COUNT, "PRAGMA freelist_count")                                                                         \
    X(SQL_INTEGRITY, "PRAGMA integrity_check(20)")                                                                     \
    X(SQL_COMPACT, "VACUUM")                                                                                           \
    X(SQL_STATE_LOAD, "SELECT time,message,fence,last_bucket,commits FROM state")                                      \
    X(SQL_STATE_SAVE, "UPDATE state SET time=?,message=?,fence=?,last_bucket=?,commits=?")

#define SQL_BUCKET_TABLE(X)                                                                                            \
    X(SQL_BUCKET_INSERT_DEFAULT, "INSERT INTO bucket VALUES(?1,1,0,0,?2,0,0,0,1,0,-1,-1,-1,'','{}',0,0,1800000,NULL)") \
    X(SQL_BUCKET_FIND, "SELECT " SQL_BUCKET ",(SELECT time FROM state) FROM bucket WHERE name=?")                      \
    X(SQL_BUCKET_LIST, "SELECT " SQL_BUCKET ",0 FROM bucket WHERE id IS NOT NULL AND name>? ORDER BY name")            \
    X(SQL_BUCKET_PEEK, "SELECT id,(SELECT time FROM state) FROM bucket WHERE name=?")                                  \
    X(SQL_BUCKET_REVISION, "SELECT revision,id FROM bucket WHERE name=?")                                              \
    X(SQL_BUCKET_SAVE,                                                                                                 \
      "UPDATE bucket SET id=?2,revision=?3,compacted=?4,created=?5,keys=?6,held=?7,bytes=?8 WHERE name=?1")            \
    X(SQL_BUCKET_PUT,                                                                                                  \
      "INSERT OR REPLACE INTO bucket VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)")      \
    X(SQL_BUCKET_STORAGE, "SELECT storage FROM bucket WHERE name=? AND id IS NOT NULL")                                \
    X(SQL_BUCKET_BY_ID, "SELECT name FROM bucket WHERE id=?")                                                          \
    X(SQL_DOOMED_ADD, "INSERT OR IGNORE INTO doomed VALUES(?)")                                                        \
    X(SQL_DOOMED_NEXT, "SELECT id FROM doomed LIMIT 1")                                                                \
    X(SQL_DOOMED_DROP, "DELETE FROM doomed WHERE id=?")                                                                \
    X(SQL_LOWERED_ADD, "INSERT OR IGNORE INTO lowered VALUES(?)")                                                      \
    X(SQL_LOWERED_NEXT, "SELECT id FROM lowered LIMIT 1")                                                              \
    X(SQL_LOWERED_DROP, "DELETE FROM lowered WHERE id=?")                                                              \
    X(SQL_DOOMED_ENTRIES,                                                                                              \
      "DELETE FROM entry WHERE bucket=?1 AND key IN (SELECT key FROM entry WHERE bucket=?1 LIMIT ?2)")                 \
    X(SQL_DOOMED_HISTORY,                                                                                              \
      "DELETE FROM history WHERE bucket=?1 AND key IN (SELECT key FROM history WHERE bucket=?1 LIMIT ?2)")

#define SQL_KV_TABLE(X)                                                                                                \
    X(SQL_ENTRY_FIND, "SELECT " SQL_ENTRY_REST " FROM entry WHERE bucket=? AND key=?")                                 \
    X(SQL_ENTRY_PUT,                                                                                                   \
      "INSERT INTO entry VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(bucket,key) DO UPDATE SET "                         \
      "revision=excluded.revision,version=excluded.version,created=excluded.created,expires=excluded.expires,"         \
      "op=excluded.op,encoding=excluded.encoding,size=excluded.size,sum=excluded.sum,value=excluded.value")            \
    X(SQL_ENTRY_DROP, "DELETE FROM entry WHERE bucket=? AND key=?")                                                    \
    X(SQL_ENTRY_RANGE, "SELECT " SQL_ENTRY " FROM entry WHERE bucket=? AND key>=? AND key<? ORDER BY key")             \
    X(SQL_ENTRY_RANGE_DOWN, "SELECT " SQL_ENTRY " FROM entry WHERE bucket=? AND key>=? AND key<? ORDER BY key DESC")   \
    X(SQL_ENTRY_EXPIRED,                                                                                               \
      "SELECT bucket," SQL_ENTRY " FROM entry WHERE expires>0 AND expires<=? ORDER BY expires LIMIT ?")                \
    X(SQL_ENTRY_EXPIRED_SUM,                                                                                           \
      "SELECT count(*),coalesce(sum(length(key)+size),0) FROM entry WHERE expires>0 AND expires<=?2 AND bucket=?1")    \
    X(SQL_ENTRY_NEXT_EXPIRY, "SELECT min(expires) FROM entry WHERE expires>0")                                         \
    X(SQL_ENTRY_OLD_MARKERS,                                                                                           \
      "SELECT key,revision FROM entry WHERE op>0 AND bucket=? AND created<=? ORDER BY created LIMIT ?")                \
    X(SQL_HISTORY_PUT, "INSERT OR REPLACE INTO history VALUES(?,?,?,?,?,?,?,?,?,?,?)")                                 \
    X(SQL_HISTORY_AT, "SELECT " SQL_ENTRY " FROM history WHERE bucket=? AND key=? AND revision=?")                     \
    X(SQL_HISTORY_COUNT, "SELECT count(*),coalesce(sum(length(key)+size),0) FROM history WHERE bucket=? AND key=?")    \
    X(SQL_HISTORY_OLDEST,                                                                                              \
      "SELECT revision,length(key)+size FROM history WHERE bucket=? AND key=? ORDER BY revision LIMIT ?")              \
    X(SQL_HISTORY_DROP_TO, "DELETE FROM history WHERE bucket=? AND key=? AND revision<=?")                             \
    X(SQL_CHANGES, "SELECT " SQL_ENTRY " FROM history WHERE bucket=?1 AND revision>?2 UNION ALL SELECT " SQL_ENTRY     \
                   " FROM entry WHERE bucket=?1 AND revision>?2 ORDER BY 2,1")                                         \
    X(SQL_CHANGE_KEYS, "SELECT key,revision,op,expires FROM history WHERE bucket=?1 AND revision>?2 UNION ALL "        \
                       "SELECT key,revision,op,expires FROM entry WHERE bucket=?1 AND revision>?2")                    \
    X(SQL_CHANGE_KEYS_LATEST, "SELECT key,revision,op,expires FROM entry WHERE bucket=? AND revision>?")               \
    X(SQL_KEY_RANGE, "SELECT key,revision,op,expires FROM entry WHERE bucket=? AND key>=? AND key<? ORDER BY key")     \
    X(SQL_HISTORY_KEYS_OVER,                                                                                           \
      "SELECT key FROM history WHERE bucket=? AND key>? GROUP BY key HAVING count(*)>? ORDER BY key LIMIT ?")          \
    X(SQL_KEY_CHANGES,                                                                                                 \
      "SELECT " SQL_ENTRY " FROM history WHERE bucket=?1 AND key=?2 AND revision>?3 UNION ALL SELECT " SQL_ENTRY       \
      " FROM entry WHERE bucket=?1 AND key=?2 AND revision>?3 ORDER BY 2,1")                                           \
    X(SQL_CHANGES_LATEST, "SELECT " SQL_ENTRY " FROM entry WHERE bucket=? AND revision>? ORDER BY revision,key")

#define SQL_QUEUE_TABLE(X)                                                                                             \
    X(SQL_MESSAGE_INSERT, "INSERT INTO message VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")                               \
    X(SQL_MESSAGE_FIND, "SELECT " SQL_MESSAGE " FROM message m WHERE m.id=?")                                          \
    X(SQL_MESSAGE_UPDATE,                                                                                              \
      "UPDATE message SET state=?2,deliver=?3,attempts=?4,lease=?5,lease_until=?6,failed=?7,sum=?8 WHERE id=?1")       \
    X(SQL_MESSAGE_DROP, "DELETE FROM message WHERE id=?")                                                              \
    X(SQL_MESSAGE_RANK, "SELECT rank FROM message WHERE topic=? AND state=0 AND rank>? ORDER BY rank LIMIT 1")         \
    X(SQL_MESSAGE_READY,                                                                                               \
      "SELECT " SQL_MESSAGE " FROM message m WHERE m.topic=? AND m.state=0 AND m.rank=? AND m.deliver<=?"              \
      " ORDER BY m.deliver,m.id LIMIT ?")                                                                              \
    X(SQL_MESSAGE_COUNT_DUE,                                                                                           \
      "SELECT count(*) FROM (SELECT 1 FROM message WHERE topic=? AND state=0 AND deliver<=? LIMIT ?)")                 \
    X(SQL_MESSAGE_DUE,                                                                                                 \
      "SELECT " SQL_MESSAGE " FROM (SELECT id FROM message WHERE topic=? AND state=0 AND deliver<=?"                   \
      " ORDER BY rank,deliver,id LIMIT ?) d JOIN message m ON m.id=d.id ORDER BY m.rank,m.deliver,m.id")               \
    X(SQL_MESSAGE_LAPSED, "SELECT " SQL_MESSAGE " FROM message m WHERE m.topic=? AND m.state=1 AND m.lease_until<=?"   \
                          " ORDER BY m.lease_until LIMIT ?")                                                           \
    X(SQL_MESSAGE_DEAD,                                                                                                \
      "SELECT " SQL_MESSAGE ",p.data,p.sum FROM message m JOIN payload p ON p.id=m.id WHERE m.topic=? AND m.state=2"   \
      " AND m.id>? ORDER BY m.id LIMIT ?")                                                                             \
    X(SQL_MESSAGE_LEASE, "SELECT state,lease,lease_until FROM message WHERE id=?")                                     \
    X(SQL_MESSAGE_DEAD_IDS, "SELECT id FROM message WHERE topic=? AND state=2 ORDER BY id LIMIT ?")                    \
    X(SQL_MESSAGE_DEAD_OLD, "SELECT id FROM message WHERE topic=? AND state=2 AND failed<=? ORDER BY id LIMIT ?")      \
    X(SQL_MESSAGE_NEXT_READY, "SELECT max(deliver,1) FROM message WHERE topic=? AND state=0 ORDER BY deliver LIMIT 1") \
    X(SQL_MESSAGE_NEXT_LAPSE, "SELECT min(lease_until) FROM message WHERE topic=? AND state=1")                        \
    X(SQL_TOPIC_PURGE_READY, "DELETE FROM message WHERE topic=? AND state=0")                                          \
    X(SQL_TOPIC_PURGE_LEASED, "DELETE FROM message WHERE topic=? AND state=1")                                         \
    X(SQL_TOPIC_PURGE_DEAD, "DELETE FROM message WHERE topic=? AND state=2")                                           \
    X(SQL_PAYLOAD_PURGE_READY, "DELETE FROM payload WHERE id IN (SELECT id FROM message WHERE topic=? AND state=0)")   \
    X(SQL_PAYLOAD_PURGE_LEASED, "DELETE FROM payload WHERE id IN (SELECT id FROM message WHERE topic=? AND state=1)")  \
    X(SQL_PAYLOAD_PURGE_DEAD, "DELETE FROM payload WHERE id IN (SELECT id FROM message WHERE topic=? AND state=2)")    \
    X(SQL_PAYLOAD_INSERT, "INSERT INTO payload VALUES(?,?,?)")                                                         \
    X(SQL_PAYLOAD_FIND, "SELECT data,sum FROM payload WHERE id=?")                                                     \
    X(SQL_PAYLOAD_DROP, "DELETE FROM payload WHERE id=?")                                                              \
    X(SQL_TOPIC_NEXT_READY, "SELECT topic FROM message WHERE state=0 AND topic>? ORDER BY topic LIMIT 1")              \
    X(SQL_TOPIC_NEXT_LEASED, "SELECT topic FROM message WHERE state=1 AND topic>? ORDER BY topic LIMIT 1")             \
    X(SQL_TOPIC_NEXT_DEAD, "SELECT topic FROM message WHERE state=2 AND topic>? ORDER BY topic LIMIT 1")               \
    X(SQL_TOPIC_COUNT_READY, "SELECT count(*),min(deliver) FROM message WHERE topic=? AND state=0 AND deliver<=?")     \
    X(SQL_TOPIC_COUNT_PENDING, "SELECT count(*) FROM message WHERE topic=? AND state=0")                               \
    X(SQL_TOPIC_COUNT_LEASED, "SELECT count(*) FROM message WHERE topic=? AND state=1 AND lease_until>?")              \
    X(SQL_TOPIC_LAPSED, "SELECT " SQL_MESSAGE " FROM message m WHERE m.topic=? AND m.state=1 AND m.lease_until<=?")    \
    X(SQL_TOPIC_COUNT_DEAD, "SELECT count(*) FROM message WHERE topic=? AND state=2")                                  \
    X(SQL_DEDUPE_FIND, "SELECT message,until FROM dedupe WHERE topic=? AND name=?")                                    \
    X(SQL_DEDUPE_PUT, "INSERT OR REPLACE INTO dedupe VALUES(?,?,?,0)")                                                 \
    X(SQL_DEDUPE_LET, "UPDATE dedupe SET until=?4 WHERE topic=?1 AND name=?2 AND message=?3")                          \
    X(SQL_DEDUPE_DROP_OLD,                                                                                             \
      "DELETE FROM dedupe WHERE (topic,name) IN (SELECT topic,name FROM dedupe WHERE until>0 AND until<=? LIMIT ?)")   \
    X(SQL_DEDUPE_PURGE, "DELETE FROM dedupe WHERE topic=?")                                                            \
    X(SQL_RESET_MESSAGES, "DELETE FROM message")                                                                       \
    X(SQL_RESET_PAYLOADS, "DELETE FROM payload")                                                                       \
    X(SQL_RESET_DEDUPE, "DELETE FROM dedupe")

#define SQL_LOCK_TABLE(X)                                                                                              \
    X(SQL_LOCK_FIND, "SELECT token,owner,fence,expires FROM lock WHERE name=?")                                        \
    X(SQL_LOCK_PUT, "INSERT OR REPLACE INTO lock VALUES(?,?,?,?,?)")                                                   \
    X(SQL_LOCK_DROP, "DELETE FROM lock WHERE name=?")                                                                  \
    X(SQL_LOCK_DROP_OLD, "DELETE FROM lock WHERE expires<=?")

#define SQL_CHECK_TABLE(X)                                                                                             \
    X(SQL_BUCKET_AFTER, "SELECT " SQL_BUCKET ",0 FROM bucket WHERE name>? ORDER BY name LIMIT 1")                      \
    X(SQL_CHECK_TOTAL, "SELECT (SELECT coalesce(sum(held),0) FROM bucket)+(SELECT count(*) FROM message)")             \
    X(SQL_CHECK_COUNTERS, "SELECT sum(n),sum(k),sum(b) FROM (SELECT count(*) n,coalesce(sum(op=0),0) k,"               \
                          "coalesce(sum(length(key)+size),0) b FROM entry WHERE bucket=?1 UNION ALL "                  \
                          "SELECT count(*),0,coalesce(sum(length(key)+size),0) FROM history WHERE bucket=?1)")         \
    X(SQL_CHECK_OWNER, "SELECT name,revision,history FROM bucket WHERE id=?")                                          \
    X(SQL_CHECK_IS_DOOMED, "SELECT 1 FROM doomed WHERE id=?")                                                          \
    X(SQL_CHECK_ENTRIES,                                                                                               \
      "SELECT bucket," SQL_ENTRY " FROM entry WHERE (bucket,key)>(?,?) ORDER BY bucket,key LIMIT ?")                   \
    X(SQL_CHECK_HISTORY,                                                                                               \
      "SELECT bucket," SQL_ENTRY ",(SELECT e.revision FROM entry e WHERE e.bucket=history.bucket AND "                 \
      "e.key=history.key) FROM history WHERE (bucket,key,revision)>(?,?,?) ORDER BY bucket,key,revision LIMIT ?")      \
    X(SQL_CHECK_MESSAGES,                                                                                              \
      "SELECT " SQL_MESSAGE ",p.data,p.sum,p.id,(SELECT d.message FROM dedupe d WHERE d.topic=m.topic AND "            \
      "d.name=m.dedupe AND d.until=0) FROM message m LEFT JOIN payload p ON p.id=m.id WHERE m.id>?"                    \
      " ORDER BY m.id LIMIT ?")                                                                                        \
    X(SQL_CHECK_PAYLOADS,                                                                                              \
      "SELECT p.id,m.id FROM payload p LEFT JOIN message m ON m.id=p.id WHERE p.id>? ORDER BY p.id LIMIT ?")           \
    X(SQL_CHECK_DEDUPE,                                                                                                \
      "SELECT d.topic,d.name,d.message,d.until,m.id,m.topic=d.topic AND m.dedupe=d.name FROM dedupe d "                \
      "LEFT JOIN message m ON m.id=d.message WHERE (d.topic,d.name)>(?,?) ORDER BY d.topic,d.name LIMIT ?")            \
    X(SQL_DUMP_ENTRIES, "SELECT " SQL_ENTRY " FROM entry WHERE bucket=? ORDER BY key")                                 \
    X(SQL_DUMP_HISTORY, "SELECT " SQL_ENTRY " FROM history WHERE bucket=? ORDER BY key,revision")                      \
    X(SQL_DUMP_MESSAGES,                                                                                               \
      "SELECT " SQL_MESSAGE ",p.data,p.sum FROM message m JOIN payload p ON p.id=m.id ORDER BY m.id")                  \
    X(SQL_DUMP_DEDUPE, "SELECT topic,name,message,until FROM dedupe WHERE until>0 ORDER BY topic,name")                \
    X(SQL_DUMP_LOCKS, "SELECT name,token,owner,fence,expires FROM lock ORDER BY name")                                 \
    X(SQL_CHECK_DOOMED, "SELECT d.id,b.name FROM doomed d LEFT JOIN bucket b ON b.id=d.id WHERE d.id>? LIMIT ?")       \
    X(SQL_CHECK_LOCKS, "SELECT name,token,owner,fence,expires FROM lock WHERE name>? ORDER BY name LIMIT ?")

#define SQL_TABLE(X)                                                                                                   \
    SQL_ENGINE_TABLE(X) SQL_BUCKET_TABLE(X) SQL_KV_TABLE(X) SQL_QUEUE_TABLE(X) SQL_LOCK_TABLE(X) SQL_CHECK_TABLE(X)

enum sql_id {
#define SQL_ID(id, text) id,
    SQL_TABLE(SQL_ID)
#undef SQL_ID
        SQL_COUNT
};

#endif
