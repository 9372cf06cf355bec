// A real server for the tests of the client, and what some of them do to it.
import fs from 'node:fs';
import net from 'node:net';
import { processesBelow, startDeployment } from '../../http/lib/servers.mjs';

export async function startServer(options = {}) {
  const deployment = await startDeployment(options.name ?? 'lighttpd-fastcgi', { mount: '/kvs', ...options });
  return {
    deployment,
    port: deployment.port,
    path: deployment.mount,
    url: `http://127.0.0.1:${deployment.port}${deployment.mount}`,
    token: deployment.token,
    stop: () => deployment.stop(),
    // The process ids of kvs.fcgi.
    programs: () =>
      processesBelow(deployment.dir).filter((pid) => {
        try {
          return fs.readlinkSync(`/proc/${pid}/exe`).endsWith('/kvs.fcgi');
        } catch {
          return false; // gone meanwhile
        }
      }),
  };
}

// Passes bytes on to a port, and cuts what is open, mid-byte, on demand.
export async function startProxy(port) {
  const open = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    open.add(near);
    for (const [one, other] of [[near, far], [far, near]]) {
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    near.on('close', () => open.delete(near));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    open,
    cut() {
      for (const socket of open) socket.resetAndDestroy();
      return open.size;
    },
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
