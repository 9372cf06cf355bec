// The rows of the matrix: which web server with which of deploy's configurations, what runs beside it, and what it cannot do.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

// A server: where its program is, its arguments, and in `extra` how sanitizers' options reach programs that get no
// environment from it.
const APACHE = {
  program: ['/usr/sbin/apache2', '/usr/sbin/httpd'],
  args: (conf, dir) => ['-d', dir, '-f', conf, '-DFOREGROUND'],
  // Neither mod_cgid nor mod_fcgid hands its own environment on.
  extra: {
    'apache-fcgid': (name, value) => `FcgidInitialEnv ${name} "${value}"\n`,
    'apache-cgid': (name, value) => `SetEnv ${name} "${value}"\n`,
    'apache-htaccess': (name, value) => `SetEnv ${name} "${value}"\n`,
  },
};
const LIGHTTPD = {
  program: ['/usr/sbin/lighttpd'],
  args: (conf) => ['-D', '-f', conf],
  extra: {},
};
const CADDY = {
  program: ['/usr/bin/caddy'],
  args: (conf) => ['run', '--adapter', 'caddyfile', '--config', conf],
  env: (dir) => ({ HOME: dir }),
  extra: {},
};
const BUSYBOX = {
  environment: true, // its programs get the one it has
  program: ['/usr/bin/busybox', '/bin/busybox'],
  args: (conf, dir, port) => ['httpd', '-f', '-p', `127.0.0.1:${port}`, '-h', path.join(dir, 'www'), '-c', conf],
  extra: {},
};
const NGINX = {
  program: ['/usr/sbin/nginx'],
  args: (conf, dir) => ['-c', conf, '-p', dir, '-e', path.join(dir, 'nginx.log')],
  extra: {},
};

// What runs beside a web server that starts no programs itself: a command that listens on `socket`.
const fcgi = (deployment, socket) => [...deployment.wrap, deployment.file('bin/kvs.fcgi'), '--listen', socket];
const fcgiwrap = (deployment, socket) => ['/usr/sbin/fcgiwrap', '-f', '-c', '32', '-s', `unix:${socket}`];

// What a host's customer does by FTP: kvs.cgi, .htaccess and kvs.conf into the folder that is to be the mount point.
function uploaded(deployment) {
  const folder = path.join(deployment.file('www'), deployment.mount);
  fs.mkdirSync(folder, { recursive: true });
  fs.renameSync(deployment.file('bin/kvs.cgi'), path.join(folder, 'kvs.cgi'));
  const text = fs.readFileSync(path.join(ROOT, 'deploy/shared-hosting/.htaccess'), 'utf8');
  fs.writeFileSync(path.join(folder, '.htaccess'), text.replace(/^#(SetEnv KVS_CONFIG) .*/m, `$1 "${deployment.file('kvs.conf')}"`));
}

// The only place from which BusyBox runs programs.
function cgiBin(deployment) {
  fs.mkdirSync(deployment.file('www/cgi-bin'));
  fs.renameSync(deployment.file('bin/kvs.cgi'), deployment.file('www/cgi-bin/kvs.cgi'));
}

// What web servers cannot do, which the cases ask for by Session.lacks:
//   absent length     a POST with neither a length nor chunks is answered with 411
//   absent type       a body without a type is passed on as a form's, which kvs refuses with 415
//   chunks            a body in chunks reaches kvs with the chunks' heads in it, and is refused
//   early answers     a server that answers before it has read the body resets the connection, and the answer may be lost
//   slash at the end  a path that ends in a slash is answered with a 404 of the server's own
const LENGTH = ['absent length'];

export const DEPLOYMENTS = {
  'lighttpd-fastcgi': { server: LIGHTTPD, conf: 'deploy/lighttpd/fastcgi.conf', mode: 'fastcgi', lacks: LENGTH },
  'lighttpd-cgi': { server: LIGHTTPD, conf: 'deploy/lighttpd/cgi.conf', mode: 'cgi', lacks: LENGTH },
  'lighttpd-socket': { server: LIGHTTPD, conf: 'deploy/lighttpd/fastcgi-socket.conf', mode: 'fastcgi', beside: fcgi, lacks: LENGTH },
  'apache-fcgid': { server: APACHE, conf: 'deploy/apache/fcgid.conf', mode: 'fastcgi' },
  'apache-proxy': { server: APACHE, conf: 'deploy/apache/proxy-fcgi.conf', mode: 'fastcgi', beside: fcgi },
  'apache-cgid': { server: APACHE, conf: 'deploy/apache/cgid.conf', mode: 'cgi' },
  'apache-htaccess': { server: APACHE, conf: 'deploy/apache/shared-host.conf', mode: 'cgi', place: uploaded },
  'nginx-fastcgi': { server: NGINX, conf: 'deploy/nginx/fastcgi.conf', mode: 'fastcgi', beside: fcgi },
  'nginx-keepalive': { server: NGINX, conf: 'deploy/nginx/fastcgi-keepalive.conf', mode: 'fastcgi', beside: fcgi },
  'nginx-fcgiwrap': { server: NGINX, conf: 'deploy/nginx/fcgiwrap.conf', mode: 'cgi', beside: fcgiwrap, flock: true },
  'caddy-fastcgi': { server: CADDY, conf: 'deploy/caddy/Caddyfile', mode: 'fastcgi', beside: fcgi, lacks: ['absent type'] },
  'busybox-cgi': { server: BUSYBOX, conf: 'deploy/busybox/httpd.conf', mode: 'cgi', place: cgiBin, mounts: ['/cgi-bin/kvs.cgi'],
    lacks: ['chunks', 'early answers', 'slash at the end'] },
};
