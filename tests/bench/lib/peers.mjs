// Durable sets against stores that speak HTTP themselves, where they are installed.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { compare } from './measure.mjs';
import { find, freePort, listening, run, start, stop, work } from './process.mjs';

const SLOW_SYNC = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../slow_sync.c');

// The environment of a program whose syncs take that much longer (us), as on a slower disk.
async function slowSync(us) {
  const library = work('slow_sync.so');
  if (!fs.existsSync(library)) await run('cc', ['-O2', '-shared', '-fPIC', '-o', library, SLOW_SYNC]);
  return { LD_PRELOAD: library, BENCH_SYNC_US: String(us) };
}

// kvs behind a web server, which reaches it by a Unix socket or by TCP (tcp), against a peer, which is asked itself or (proxied)
// through the same web server by TCP.
// peer: { name, start, script, floor, server, proxied, tcp, connections, syncUs }
async function againstPeer(stack, options, peer) {
  const { server = 'lighttpd', connections = 64 } = peer;
  const name = `durable set, ${server} FastCGI, ${connections} connections, against ${peer.name}`;
  const env = peer.syncUs ? await slowSync(peer.syncUs) : {};
  const children = [];
  try {
    const port = await peer.start(children, env);
    if (!port) return [{ name, value: NaN, note: 'not installed: skipped' }];
    const db = stack.newStore();
    await stack.core('load', db, options.keys);
    const kvs = await stack.kvs(db, 8, { env, tcp: peer.tcp });
    const url = await stack[server]({ '/kvs': kvs.socket }, peer.proxied ? port : undefined);
    const common = { connections, args: [options.keys] };
    const loads = [
      { ...common, url, mount: '/kvs', script: 'set' },
      { ...common, url: peer.proxied ? url : `http://127.0.0.1:${port}`, mount: '', script: peer.script },
    ];
    return [{ name, floor: peer.floor, ...(await compare(loads, options)) }];
  } finally {
    await stack.end();
    for (const child of children.reverse()) await stop(child);
  }
}

// The programs of a peer are started into `children`; the port of its HTTP server, or undefined where it is not installed.

// redis with every write synced, behind webdis: an HTTP key-value server as people run it.
async function startWebdis(children, env) {
  if (!find('redis-server') || !find('webdis')) return undefined;
  const [redisPort, port] = [await freePort(), await freePort()];
  const dir = fs.mkdtempSync(work('redis'));
  const args = ['--port', redisPort, '--bind', '127.0.0.1', '--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always',
    '--save', '', '--daemonize', 'no'];
  children.push(start('redis', find('redis-server'), args.map(String), env));
  await listening(children.at(-1), { host: '127.0.0.1', port: redisPort });
  const conf = { redis_host: '127.0.0.1', redis_port: redisPort, http_host: '127.0.0.1', http_port: port, threads: 2,
    pool_size: 32, daemonize: false, websockets: false, verbosity: 0, logfile: work('webdis.out') };
  fs.writeFileSync(work('webdis.json'), JSON.stringify(conf));
  children.push(start('webdis', find('webdis'), [work('webdis.json')]));
  await listening(children.at(-1), { host: '127.0.0.1', port });
  return port;
}

async function startEtcd(children) {
  if (!find('etcd')) return undefined;
  const [port, peerPort] = [await freePort(), await freePort()];
  const [client, peer] = [port, peerPort].map((p) => `http://127.0.0.1:${p}`);
  children.push(start('etcd', find('etcd'), ['--data-dir', work('etcd'), '--listen-client-urls', client, '--advertise-client-urls',
    client, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`,
    '--log-level', 'error']));
  await listening(children.at(-1), { host: '127.0.0.1', port });
  return port;
}

const against = (peer) => (stack, options) => againstPeer(stack, options, peer);
const WEBDIS = { name: 'webdis + redis, appendfsync always', start: startWebdis, script: 'webdis' };

export const PEERS = {
  webdis: against({ ...WEBDIS, floor: 1 }),
  'webdis-lighttpd': against({ ...WEBDIS, name: `${WEBDIS.name}, behind the same lighttpd`, proxied: true, floor: 1 }),
  'webdis-tcp': against({ ...WEBDIS, name: `${WEBDIS.name}, likewise, kvs by TCP too`, proxied: true, tcp: true }),
  'webdis-nginx': against({ ...WEBDIS, name: `${WEBDIS.name}, behind the same nginx`, server: 'nginx', proxied: true }),
  'webdis-slow': against({ ...WEBDIS, name: `${WEBDIS.name}; a sync takes 4 ms longer`, connections: 8, syncUs: 4000 }),
  etcd: against({ name: 'etcd, by its JSON gateway', start: startEtcd, script: 'etcd' }),
};
