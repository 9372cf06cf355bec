import net from 'node:net';

// Whether somebody listens there: at a path, or { host, port }.
export function listens(where) {
  return new Promise((resolve) => {
    const socket = net.connect(where, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
