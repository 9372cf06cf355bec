// The settings that the package brings for Apache and nginx, in a server that holds nothing else, before a kvs.fcgi at a socket
// as kvs.socket has it (lighttpd's are those of tests/docs/lib/host.mjs).  Exits with 1 and says what is wrong.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { freePort, sleep } from '../../bench/lib/process.mjs';
import { Host, ROOT } from '../../docs/lib/host.mjs';

const SERVERS = {
  apache: {
    settings: 'deploy/debian/server/apache/kvs.conf',
    command: (conf) => ['/usr/sbin/apache2', '-DFOREGROUND', '-f', conf],
    conf: (dir, port, user, settings) => `ServerRoot "/usr/lib/apache2"
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_fcgi_module modules/mod_proxy_fcgi.so
Listen 127.0.0.1:${port}
ServerName 127.0.0.1
User ${user}
DefaultRuntimeDir "${dir}"
PidFile "${dir}/apache.pid"
ErrorLog "${dir}/apache.log"
Mutex file:${dir} default
DocumentRoot "${dir}/www"
${settings}`,
  },
  nginx: {
    settings: 'deploy/debian/server/nginx/kvs.conf',
    command: (conf) => ['/usr/sbin/nginx', '-e', `${path.dirname(conf)}/nginx.log`, '-c', conf],
    conf: (dir, port, user, settings) => `daemon off;
pid ${dir}/nginx.pid;
${process.getuid() === 0 ? `user ${user};` : ''}
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  fastcgi_temp_path ${dir}/fastcgi;
  proxy_temp_path ${dir}/proxy;
  scgi_temp_path ${dir}/scgi;
  uwsgi_temp_path ${dir}/uwsgi;
  server {
    listen 127.0.0.1:${port};
    root ${dir}/www;
${settings}
  }
}`,
  },
};

// Requests in which a web server's settings show: the mount point, odd paths, the token, a query, an unknown endpoint.
async function session(host) {
  const set = await host.post('/kv/set', { key: ['a'], value: 'ä' });
  assert.deepEqual([set.status, set.json.ok], [200, true]);
  assert.equal((await host.post('/kv/get', { key: ['a'] })).json.entry.value, 'ä');
  assert.equal((await host.post('/kv/get', { key: ['a'] }, 'wrong')).status, 401);
  assert.equal((await host.post('/kv/none', {})).status, 404);
  const list = await fetch(`http://127.0.0.1:${host.port}/kvs/metrics?x=1`, { headers: { Authorization: `Bearer ${host.token}`, Connection: 'close' } });
  assert.match(await list.text(), /^# HELP kvs_info /);
}

const host = new Host();
try {
  await host.start();
  // The web server's user is not the one that this test may be: let it through to the socket.
  fs.chmodSync(host.dir, 0o755);
  for (const dir of ['run', 'run/kvs']) fs.chmodSync(host.file(dir), 0o755);
  fs.chmodSync(host.file('run/kvs/kvs.sock'), 0o666);
  for (const [name, { settings, command, conf }] of Object.entries(SERVERS)) {
    const port = await freePort();
    const file = host.file(`${name}.conf`);
    const user = process.getuid() === 0 ? 'www-data' : 'nobody';
    fs.writeFileSync(file, conf(host.dir, port, user, host.here(fs.readFileSync(path.join(ROOT, settings), 'utf8'))));
    const [program, ...args] = command(file);
    const child = spawn(program, args, { stdio: 'inherit' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const lighttpd = host.port;
    try {
      host.port = port;
      for (let i = 0; i < 500 && child.exitCode === null; i += 1) {
        if ((await fetch(`http://127.0.0.1:${port}/kvs/health`, { headers: { Connection: 'close' } }).catch(() => null))?.status === 200) break;
        await sleep(20);
      }
      await session(host);
      console.log(`${name} serves`);
    } finally {
      host.port = lighttpd;
      child.kill('SIGTERM');
      await ended;
    }
  }
} finally {
  await host.stop();
}
