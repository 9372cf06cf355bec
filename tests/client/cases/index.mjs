import * as store from './store.mjs';
import * as queue from './queue.mjs';
import * as waiting from './waiting.mjs';
import * as bucket from './bucket.mjs';
import * as bucketWatch from './bucket-watch.mjs';

export const GROUPS = [store, queue, waiting, bucket, bucketWatch];
