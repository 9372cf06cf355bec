// Two kvs.fcgi, and as many kvs.cgi and kvs-maint as are asked for, on one database.
import { random } from '../../lib/random.mjs';
import { Store, TOKEN, sleep } from '../../maint/lib/store.mjs';
import { FcgiConnection } from '../../watch/lib/fcgi.mjs';
import { fate } from './faults.mjs';

const BUSY_MS = 1000; // how long a write waits for the writer lock

export class Cluster {
  constructor() {
    this.store = new Store();
    this.store.env.KVS_BUSY_TIMEOUT = String(BUSY_MS);
    this.servers = [this.store.socket, this.store.path('two')].map((socket) => ({ socket, child: null, kept: new Map() }));
    const none = () => ({ killed: 0, paused: 0 });
    this.died = []; // servers that ended by themselves
    this.tally = { fcgi: none(), cgi: none(), maint: none(), cgiCalls: 0, maintCalls: 0 };
  }

  // Begins a history whose choices follow from the seed, each client's apart.
  choose(seed) {
    this.seed = seed;
    this.rngs = new Map();
  }

  async start() {
    for (const which of this.servers.keys()) await this.serve(which);
  }

  async serve(which) {
    const server = this.servers[which];
    const child = await this.store.serve(server.socket);
    server.child = child;
    child.on('exit', (code, signal) => {
      // Whoever ends it takes it out first.
      if (server.child === child) this.died.push(`kvs.fcgi ended by itself: ${code ?? signal}`);
    });
  }

  // False where the server is not there just now.
  signal(which, signal) {
    return this.servers[which].child?.kill(signal) ?? false;
  }

  async restart(which) {
    const { child } = this.servers[which];
    if (!child) return; // somebody does so already
    this.servers[which].child = null;
    this.store.children.splice(this.store.children.indexOf(child), 1);
    child.kill('SIGKILL');
    this.tally.fcgi.killed++;
    await child.closed;
    await this.serve(which);
  }

  // A request of a client to any of the servers that are there; to kvs.cgi if its name begins so.
  async call(client, endpoint, body) {
    if (!this.rngs.has(client)) this.rngs.set(client, random(this.seed + this.rngs.size));
    const rng = this.rngs.get(client);
    if (String(client).startsWith('cgi')) return this.callCgi(rng, endpoint, body);
    const [first, second] = rng() < 0.5 ? this.servers : [...this.servers].reverse();
    return this.callServer(first.child ? first : second, client, endpoint, body);
  }

  // Each client keeps its connection to each server, as a web server would.
  async callServer(server, client, endpoint, body) {
    let connection = server.kept.get(client);
    if (!connection || connection.socket.destroyed) {
      connection = new FcgiConnection(server.socket, TOKEN);
      server.kept.set(client, connection);
    }
    try {
      return await connection.call(endpoint, body);
    } catch (error) {
      connection.close();
      if (error.syscall !== 'connect') return { lost: true };
      if (this.died.length) throw new Error(`${this.died}\n${this.store.stderr}`);
      await sleep(2);
      return { unsent: true };
    }
  }

  async callCgi(rng, endpoint, body) {
    this.tally.cgiCalls++;
    const answer = await this.store.cgi(endpoint, body, { begun: fate(rng, this.tally.cgi) });
    return answer ?? { lost: true };
  }

  // Runs a command of kvs-maint to its end, or to that which begun has in mind for it.
  async maint(args, begun) {
    this.tally.maintCalls++;
    const { code, signal, out, err } = await this.store.maint(args, { begun });
    if (code !== 0 && signal !== 'SIGKILL' && !/busy|lock/.test(err))
      throw new Error(`kvs-maint ${args.join(' ')}: ${code ?? signal} ${out}${err}`);
  }

  async stop() {
    for (const which of this.servers.keys()) this.signal(which, 'SIGCONT');
    for (const server of this.servers) {
      server.child = null;
      for (const connection of server.kept.values()) connection.close();
    }
    await this.store.remove();
  }
}
