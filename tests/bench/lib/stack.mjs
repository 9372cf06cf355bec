// kvs and the constant-answer programs behind the same web servers with the same configuration.
import fs from 'node:fs';
import path from 'node:path';

import { find, freePort, listening, run, start, stop, work, workDir } from './process.mjs';

const TOKEN = 'bench-token-of-an-ordinary-length';

// Answers of the same size as kvs's own, for the constant.
export const ANSWERS = {
  get:
    '{"entry":{"key":["user","0000001234"],"value":{"name":"Grace Hopper","email":"grace@example.com","visits":1906,' +
    '"tags":["admin","navy"]},"version":1,"revision":12345,"created":1700000000000}}',
  set: '{"ok":true,"version":12,"revision":123456}',
  enqueue: '{"ok":true,"id":123456}',
  // Half-way between a message and what an ack answers.
  pair:
    '{"messages":[{"id":123456,"topic":"bench","payload":{"name":"Grace Hopper"},"attempts":0,"maxAttempts":3,' +
    '"lease":"0123"}]}',
};

export class Stack {
  constructor(build) {
    this.build = build;
    this.names = 0; // given out so far
    this.running = [];
  }

  program(name) {
    return path.join(this.build, name);
  }

  core(...args) {
    return run(this.program('tests/bench/core'), args.map(String));
  }

  // An empty directory for a store on the disk; the database's path in it.
  newStore() {
    const dir = work(`store${(this.names += 1)}`);
    fs.mkdirSync(dir, { mode: 0o700 });
    return path.join(dir, 'kv.db');
  }

  async keep(child, where) {
    this.running.push(child);
    await listening(child, where);
    return child;
  }

  environment(db) {
    return { ACCESS_TOKEN: TOKEN, KV_DB_PATH: db, KVS_CONFIG: '', KVS_MAINT_INTERVAL: '0' };
  }

  configuration(file, db) {
    fs.writeFileSync(file, `access_token = ${TOKEN}\ndb_path = ${db}\n`, { mode: 0o600 });
  }

  // kvs.fcgi on a socket of its own: a path, or with `tcp` a port of the loopback.
  async kvs(db, threads = 8, { env = {}, tcp = false } = {}) {
    const socket = tcp ? await freePort() : work(`kvs${(this.names += 1)}.sock`);
    const args = ['--listen', tcp ? `127.0.0.1:${socket}` : socket, '--threads', String(threads)];
    const child = start('kvs', this.program('fcgi/kvs.fcgi'), args, { ...this.environment(db), ...env });
    await this.keep(child, tcp ? { host: '127.0.0.1', port: socket } : socket);
    return { socket, child };
  }

  async constant(answer, threads = 8) {
    const socket = work(`constant${(this.names += 1)}.sock`);
    const child = start('constant', this.program('tests/bench/constant_fcgi'), [socket, String(threads), answer]);
    await this.keep(child, socket);
    return { socket, child };
  }

  // lighttpd with one mount point for each socket: { "/kvs": socket, ... }; the rest goes to an HTTP server on that port, if
  // there is one.  The address of the server.
  async lighttpd(mounts, proxied) {
    const place = (socket) =>
      typeof socket === 'number' ? `"host" => "127.0.0.1", "port" => ${socket}` : `"socket" => "${socket}"`;
    const rules = Object.entries(mounts).map(
      ([mount, socket]) => `"${mount}" => (( ${place(socket)}, "check-local" => "disable" ))`,
    );
    return this.lighttpdWith(`
server.modules = ( "mod_fastcgi", "mod_proxy" )
fastcgi.server = ( ${rules.join(',\n  ')} )
${proxied ? `proxy.server = ( "/" => (( "host" => "127.0.0.1", "port" => ${proxied} )) )` : ''}
`);
  }

  // lighttpd that starts a CGI program for each mount point.
  async lighttpdCgi(mounts, env) {
    const aliases = Object.entries(mounts).map(([mount, program]) => `"${mount}/" => "${program}/"`);
    const names = [...new Set(Object.values(mounts))].map((program) => `"${path.basename(program)}" => ""`);
    const settings = Object.entries(env).map(([name, value]) => `"${name}" => "${value.replaceAll('"', '\\"')}"`);
    return this.lighttpdWith(`
server.modules = ( "mod_alias", "mod_setenv", "mod_cgi" )
alias.url = ( ${aliases.join(', ')} )
cgi.assign = ( ${names.join(', ')} )
setenv.add-environment = ( ${settings.join(', ')} )
`);
  }

  async lighttpdWith(text) {
    const port = await freePort();
    const conf = work(`lighttpd${(this.names += 1)}.conf`);
    const common = `server.bind = "127.0.0.1"
server.port = ${port}
server.document-root = "/nonexistent"
server.upload-dirs = ( "${workDir()}" )
server.max-connections = 1024
server.max-fds = 4096
server.max-keep-alive-requests = 1000000000
`;
    fs.writeFileSync(conf, common + text);
    await this.keep(start('lighttpd', find('lighttpd'), ['-D', '-f', conf]), { host: '127.0.0.1', port });
    return `http://127.0.0.1:${port}`;
  }

  // Likewise nginx, which keeps its connections.
  async nginx(mounts, proxied) {
    const port = await freePort();
    const dir = work(`nginx${(this.names += 1)}`);
    const names = Object.keys(mounts).map((mount) => mount.slice(1));
    fs.mkdirSync(dir);
    const server = (socket) => (typeof socket === 'number' ? `127.0.0.1:${socket}` : `unix:${socket}`);
    const upstreams = names.map((name) => `upstream ${name} { server ${server(mounts[`/${name}`])}; keepalive 64; keepalive_requests 1000000000; }`);
    const locations = names.map(
      (name) => `location /${name}/ {
      fastcgi_pass ${name};
      fastcgi_keep_conn on;
      fastcgi_split_path_info ^(/${name})(/.*)$;
      fastcgi_param SCRIPT_NAME "/${name}";
      fastcgi_param PATH_INFO $fastcgi_path_info;
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param REMOTE_ADDR $remote_addr;
    }`,
    );
    if (proxied) {
      upstreams.push(`upstream proxied { server 127.0.0.1:${proxied}; keepalive 64; keepalive_requests 1000000000; }`);
      locations.push('location / { proxy_pass http://proxied; proxy_http_version 1.1; proxy_set_header Connection ""; }');
    }
    fs.writeFileSync(
      path.join(dir, 'nginx.conf'),
      `daemon off;
${process.getuid() === 0 ? 'user root;' : ''}
pid ${dir}/pid;
error_log ${dir}/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${dir}/body;
  fastcgi_temp_path ${dir}/fastcgi;
  proxy_temp_path ${dir}/proxy;
  scgi_temp_path ${dir}/scgi;
  uwsgi_temp_path ${dir}/uwsgi;
  ${upstreams.join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    ${locations.join('\n    ')}
  }
}
`,
    );
    const args = ['-e', path.join(dir, 'error.log'), '-c', path.join(dir, 'nginx.conf'), '-p', dir];
    await this.keep(start('nginx', find('nginx'), args), { host: '127.0.0.1', port });
    return `http://127.0.0.1:${port}`;
  }

  // Ends what was started, the servers before the programs behind them.
  async end() {
    for (const child of this.running.reverse()) await stop(child);
    this.running = [];
  }
}
