#include "openapi_data.h"

#define SELECTOR "key:Key keys:Key[] prefix:Prefix filter:Filter ignoreDeletes:boolean metaOnly:boolean "
#define VALUE    "value:any valueBase64:base64 "
#define WRITTEN  "ok:boolean! version:integer! revision:integer!"
#define ENQUEUE  "topic:Topic delay:Duration maxAttempts:Count backoff:Duration[] dedupeId:string priority:integer"

const struct openapi_operation openapi_operations[] = {
    {"/kv/get", "The newest entry of a key, or the one that a revision wrote",
     "key:Key! bucket:BucketName revision:Count markers:boolean", "entry:Entry?!", NULL},
    {"/kv/get-many", "Entries of many keys, from one snapshot", "keys:Key[]! bucket:BucketName", "entries:Entry?[]!",
     NULL},
    {"/kv/set", "Sets a key", "key:Key! " VALUE "ttl:Duration bucket:BucketName", WRITTEN, NULL},
    {"/kv/create", "Sets a key that does not exist", "key:Key! " VALUE "ttl:Duration bucket:BucketName", WRITTEN, NULL},
    {"/kv/update", "Sets a key that is at a given revision or version",
     "key:Key! " VALUE "ttl:Duration revision:Revision version:Revision bucket:BucketName", WRITTEN, NULL},
    {"/kv/delete", "Deletes a key", "key:Key! revision:Revision version:Revision bucket:BucketName",
     "ok:boolean! deleted:boolean! revision:integer!", NULL},
    {"/kv/increment", "Adds to a number", "key:Key! delta:number ttl:Duration bucket:BucketName",
     "ok:boolean! value:number! version:integer! revision:integer!", NULL},
    {"/kv/touch", "Changes when a key expires", "key:Key! ttl:Duration! bucket:BucketName",
     "ok:boolean! touched:boolean! revision:integer!", NULL},
    {"/kv/purge", "Deletes a key, or all below a prefix, with its history",
     "key:Key prefix:Prefix revision:Revision bucket:BucketName", "ok:boolean! purged:integer! revision:integer!",
     NULL},
    {"/kv/atomic", "Checks, mutations, enqueues and acks: everything or nothing",
     "checks:Check[] mutations:Mutation[] enqueues:AtomicEnqueue[] acks:AtomicAck[] bucket:BucketName",
     "ok:boolean! failed:integer[] version:integer revision:integer results:MutationResult[] ids:integer[]", NULL},
    {"/kv/list", "Entries of a range of keys, in order",
     "prefix:Prefix start:Prefix end:Prefix limit:Limit cursor:string reverse:boolean bucket:BucketName",
     "entries:Entry[]! cursor:string?!", NULL},
    {"/kv/keys", "Keys that match", "filter:Filter prefix:Prefix limit:Limit cursor:string bucket:BucketName",
     "keys:Key[]! cursor:string?!", NULL},
    {"/kv/history", "What is retained of keys, markers included",
     "key:Key filter:Filter limit:Limit cursor:string metaOnly:boolean bucket:BucketName",
     "entries:Entry[]! cursor:string?!", NULL},
    {"/kv/changes", "What changed after a revision, waited for where there is nothing",
     "since:Revision! " SELECTOR "limit:Limit waitMs:Wait bucket:BucketName",
     "entries:Entry[]! revision:integer! pending:integer!", NULL},
    {"/kv/watch", "A stream of changes, one object a line or as server-sent events",
     SELECTOR "include:Include since:Revision heartbeat:Heartbeat bucket:BucketName", NULL, "application/x-ndjson"},
    {"/kv/reset", "Empties every bucket and the queue", "", "ok:boolean!", NULL},
    {"/kv/clean-expired", "Removes entries that have expired", "", "ok:boolean! deleted:integer!", NULL},
    {"/queue/enqueue", "Puts a message on a topic", "payload:any payloadBase64:base64 " ENQUEUE,
     "ok:boolean! id:integer! duplicate:boolean", NULL},
    {"/queue/enqueue-many", "Puts messages on topics, all or none", "messages:NewMessage[]!", "ids:integer[]!", NULL},
    {"/queue/dequeue", "Hands out messages of a topic for a time, waited for where there are none",
     "topic:Topic limit:Limit leaseMs:Count waitMs:Wait", "messages:Message[]!", NULL},
    {"/queue/ack", "Settles a message: it is gone", "id:Count! lease:string", "ok:boolean!", NULL},
    {"/queue/ack-many", "Settles messages", "acks:Delivery[]!", "ok:boolean[]!", NULL},
    {"/queue/nack", "Gives a message back to the queue", "id:Count! lease:string delay:Duration", "ok:boolean!", NULL},
    {"/queue/extend", "Keeps a message for longer", "id:Count! lease:string leaseMs:Count",
     "ok:boolean! leaseUntil:integer", NULL},
    {"/queue/dead", "Dead letters of a topic", "topic:Topic! limit:Limit cursor:string",
     "messages:DeadLetter[]! cursor:string?!", NULL},
    {"/queue/redrive", "Puts dead letters back on their topic", "topic:Topic! ids:Count[]",
     "ok:boolean! moved:integer!", NULL},
    {"/queue/discard", "Drops dead letters", "topic:Topic! ids:Count[]", "ok:boolean! moved:integer!", NULL},
    {"/queue/stats", "How many messages topics hold", "topic:Topic", "topics:TopicStats!", NULL},
    {"/queue/purge", "Drops all messages of a topic", "topic:Topic!", "ok:boolean! purged:integer!", NULL},
    {"/queue/listen", "A stream of messages as they become ready, one object a line or as server-sent events",
     "topic:Topic limit:Limit leaseMs:Count heartbeat:Heartbeat", NULL, "application/x-ndjson"},
    {"/lock/acquire", "Takes a lock, waited for where it is held", "name:LockName! ttl:Count! owner:string waitMs:Wait",
     "ok:boolean! token:string fence:integer owner:string? expiresAt:integer!", NULL},
    {"/lock/renew", "Holds a lock for longer", "name:LockName! token:string! ttl:Count!",
     "ok:boolean! expiresAt:integer", NULL},
    {"/lock/release", "Gives a lock back", "name:LockName! token:string!", "ok:boolean!", NULL},
    {"/bucket/create", "Makes a bucket", "name:BucketName! options:BucketOptions",
     "ok:boolean! created:boolean! bucket:BucketStatus!", NULL},
    {"/bucket/update", "Changes a bucket's options", "name:BucketName! options:BucketOptions",
     "ok:boolean! bucket:BucketStatus!", NULL},
    {"/bucket/status", "What a bucket is and holds", "name:BucketName!", "bucket:BucketStatus!", NULL},
    {"/bucket/list", "All buckets", "", "buckets:BucketStatus[]!", NULL},
    {"/bucket/destroy", "Removes a bucket with all it holds", "name:BucketName!", "ok:boolean!", NULL},
    {"/bucket/purge", "Empties a bucket", "name:BucketName!", "ok:boolean! purged:integer! revision:integer!", NULL},
    {"/bucket/purge-deletes", "Drops old markers of deleted keys", "name:BucketName! olderThan:Duration",
     "ok:boolean! purged:integer!", NULL},
    {"/metrics", "Counters and sizes for Prometheus", "", NULL, "text/plain"},
    {"/openapi.json", "This description", "",
     "openapi:string! info:any! servers:any[]! security:any[]! paths:any! components:any!", NULL},
    {"/health", "Whether the database can be read; with an admin token, what is right and wrong with the set-up", "",
     "ok:boolean! uptime:number! version:string! mode:string! checks:HealthCheck[]", NULL},
};

const size_t openapi_operation_count = sizeof openapi_operations / sizeof openapi_operations[0];

#define DELIVERED                                                                                                      \
    "id:integer! topic:Topic! payload:any payloadBase64:base64 enqueuedAt:integer! deliverAt:integer! "                \
    "attempts:integer! maxAttempts:integer! "
#define OPTIONS                                                                                                        \
    "history:integer ttl:Duration maxValueSize:integer maxBytes:integer maxKeys:integer description:string "           \
    "metadata:Metadata storage:Storage compression:boolean markerTtl:Duration republish:Republish? mirror:any "        \
    "sources:any[] replicas:integer placement:any "

const struct openapi_schema openapi_schemas[] = {
    {"Key", NULL,
     "{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,\"items\":{\"$ref\":\"#/components/schemas/KeyPart\"}}"},
    {"Prefix", NULL, "{\"type\":\"array\",\"maxItems\":64,\"items\":{\"$ref\":\"#/components/schemas/KeyPart\"}}"},
    {"KeyPart", NULL,
     "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"},{\"type\":\"boolean\"},"
     "{\"type\":\"object\",\"properties\":{\"$bytes\":{\"type\":\"string\",\"contentEncoding\":\"base64\"}},"
     "\"required\":[\"$bytes\"],\"additionalProperties\":false},"
     "{\"type\":\"object\",\"properties\":{\"$bigint\":{\"type\":\"string\",\"pattern\":\"^-?[0-9]+$\"}},"
     "\"required\":[\"$bigint\"],\"additionalProperties\":false}]}"},
    {"Filter", NULL,
     "{\"description\":\"Dotted patterns over string parts: * is one part, > one or more at the end\",\"oneOf\":["
     "{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1,\"maxItems\":64}]}"},
    {"BucketName", NULL, "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{1,64}$\"}"},
    {"LockName", NULL, "{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}"},
    {"Topic", NULL, "{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}"},
    {"Count", NULL, "{\"type\":\"integer\",\"minimum\":1}"},
    {"Revision", NULL, "{\"type\":\"integer\",\"minimum\":0}"},
    {"Duration", NULL, "{\"type\":\"integer\",\"minimum\":0,\"description\":\"Milliseconds\"}"},
    {"Wait", NULL, "{\"type\":\"integer\",\"minimum\":0,\"maximum\":25000,\"description\":\"Milliseconds\"}"},
    {"Heartbeat", NULL, "{\"type\":\"integer\",\"minimum\":100,\"description\":\"Milliseconds\"}"},
    {"Limit", NULL, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}"},
    {"Include", NULL, "{\"enum\":[\"latest\",\"history\",\"updates\"]}"},
    {"Storage", NULL, "{\"enum\":[\"file\",\"memory\"]}"},
    {"Metadata", NULL, "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}"},
    {"Entry",
     "key:Key! value:any valueBase64:base64 length:integer version:integer! revision:integer! created:integer! "
     "expiresAt:integer operation:Marker",
     NULL},
    {"Marker", NULL, "{\"enum\":[\"DEL\",\"PURGE\",\"EXPIRE\"]}"},
    {"Check", "key:Key! version:Revision? revision:Revision?", NULL},
    {"Mutation", "type:MutationType! key:Key! " VALUE "ttl:Duration delta:number", NULL},
    {"MutationType", NULL, "{\"enum\":[\"set\",\"delete\",\"increment\",\"touch\",\"purge\"]}"},
    {"MutationResult", "version:integer? value:number", NULL},
    {"AtomicEnqueue", "payload:any payloadBase64:base64 options:EnqueueOptions", NULL},
    {"EnqueueOptions", ENQUEUE, NULL},
    {"AtomicAck", "id:Count! lease:string!", NULL},
    {"NewMessage", "payload:any payloadBase64:base64 " ENQUEUE, NULL},
    {"Delivery", "id:Count! lease:string", NULL},
    {"Message", DELIVERED "lease:string!", NULL},
    {"DeadLetter", DELIVERED "lastErrorAt:integer!", NULL},
    {"TopicStats", NULL,
     "{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/components/schemas/TopicCounts\"}}"},
    {"TopicCounts", "ready:integer! delayed:integer! leased:integer! dead:integer! oldestReadyMs:integer?!", NULL},
    {"BucketOptions", OPTIONS, NULL},
    {"Republish", "filter:Filter! topic:Topic! metaOnly:boolean", NULL},
    {"BucketStatus",
     "name:BucketName! " OPTIONS "values:integer! keys:integer! bytes:integer! revision:integer! compacted:integer! "
     "limits:BucketLimits! created:integer!",
     NULL},
    {"BucketLimits", "valueSize:integer! keySize:integer! keyParts:integer! history:integer!", NULL},
    {"HealthCheck", "name:string! verdict:Verdict! message:string!", NULL},
    {"Verdict", NULL, "{\"enum\":[\"good\",\"unknown\",\"warning\",\"wrong\"]}"},
    {"Error", "error:ErrorDetail!", NULL},
    {"ErrorDetail", "code:string! message:string! field:string revision:integer? version:integer?", NULL},
};

const size_t openapi_schema_count = sizeof openapi_schemas / sizeof openapi_schemas[0];
