// A small FastCGI client, straight to the Unix socket of kvs.fcgi, so that a thousand streams need no web server between; and
// its records one by one, for peers that do not keep to the rules.
import net from 'node:net';

export const BEGIN = 1;
export const ABORT = 2;
const END = 3;
export const PARAMS = 4;
export const STDIN = 5;
const STDOUT = 6;
const PIECE = 32768;

export function record(type, content = Buffer.alloc(0)) {
  const head = Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 255, 0, 0]);
  return Buffer.concat([head, content]);
}

function lengthOf(n) {
  if (n < 128) return Buffer.from([n]);
  const long = Buffer.alloc(4);
  long.writeUInt32BE((n | 0x80000000) >>> 0);
  return long;
}

function pair(name, value) {
  const [a, b] = [Buffer.from(name), Buffer.from(value)];
  return Buffer.concat([lengthOf(a.length), lengthOf(b.length), a, b]);
}

// The records of one request: BEGIN, two of PARAMS, the body's, an empty STDIN.  keep: others follow on the connection.
export function requestRecords(path, token, body, keep = false) {
  const params = {
    REQUEST_METHOD: 'POST',
    SCRIPT_NAME: '',
    PATH_INFO: path,
    REQUEST_URI: path,
    QUERY_STRING: '',
    SERVER_PROTOCOL: 'HTTP/1.1',
    CONTENT_TYPE: 'application/json',
    CONTENT_LENGTH: String(body.length),
    HTTP_AUTHORIZATION: `Bearer ${token}`,
  };
  const pieces = [];
  for (let at = 0; at < body.length; at += PIECE) pieces.push(record(STDIN, body.subarray(at, at + PIECE)));
  return [
    record(BEGIN, Buffer.from([0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0])),
    record(PARAMS, Buffer.concat(Object.entries(params).map(([name, value]) => pair(name, value)))),
    record(PARAMS),
    ...pieces,
    record(STDIN),
  ];
}

function requestBytes(path, token, object, keep) {
  return Buffer.concat(requestRecords(path, token, Buffer.from(JSON.stringify(object)), keep));
}

// Cuts what comes into records; onRecord(type, content) for each that is whole.
function reader(onRecord) {
  let rest = Buffer.alloc(0);
  return (data) => {
    rest = rest.length ? Buffer.concat([rest, data]) : data;
    while (rest.length >= 8) {
      const length = rest.readUInt16BE(4);
      const whole = 8 + length + rest[6];
      if (rest.length < whole) break;
      onRecord(rest[1], rest.subarray(8, 8 + length));
      rest = rest.subarray(whole);
    }
  };
}

// Sends one request.  onText is called with each piece of the body; onEnd(error) once.  Returns the socket.
export function fcgiStream(socketPath, token, path, object, onText, onEnd) {
  let head = '';
  let inBody = false;
  const text = (piece) => {
    if (inBody) return onText(piece);
    head += piece;
    const at = head.indexOf('\r\n\r\n');
    if (at < 0) return undefined;
    inBody = true;
    if (!/^Status: 200/.test(head)) return onEnd(new Error(`${path} answered ${head}`));
    const left = head.slice(at + 4);
    return left ? onText(left) : undefined;
  };
  const socket = net.connect(socketPath, () => socket.write(requestBytes(path, token, object)));
  socket.on(
    'data',
    reader((type, content) => {
      if (type === STDOUT && content.length) text(content.toString('utf8'));
      if (type === END) onEnd(null);
    }),
  );
  socket.on('error', onEnd);
  socket.on('close', () => onEnd(null));
  return socket;
}

// One request and its answer's object.
export function fcgiCall(socketPath, token, path, object) {
  return new Promise((resolve, reject) => {
    let body = '';
    let over = false;
    const socket = fcgiStream(
      socketPath,
      token,
      path,
      object,
      (text) => {
        body += text;
      },
      (error) => {
        if (over) return;
        over = true;
        socket.destroy();
        if (error) reject(error);
        else resolve(JSON.parse(body));
      },
    );
  });
}

// A connection that is kept, as a web server keeps it: one request after the other.
export class FcgiConnection {
  constructor(socketPath, token) {
    this.token = token;
    this.socket = net.connect(socketPath);
    this.answer = [];
    this.socket.on('data', reader((type, content) => this.take(type, content)));
    this.socket.on('error', (error) => this.over(error));
    this.socket.on('close', () => this.over(new Error('the connection was closed')));
  }

  take(type, content) {
    if (type === STDOUT && content.length) this.answer.push(Buffer.from(content));
    if (type === END) this.over(null);
  }

  over(error) {
    const pending = this.pending;
    this.pending = null;
    if (!pending) return;
    if (error) pending.reject(error);
    else pending.resolve(Buffer.concat(this.answer).toString());
  }

  // The status and the object of the answer.
  async call(path, object) {
    this.answer = [];
    const text = await new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
      this.socket.write(requestBytes(path, this.token, object, true));
    });
    const status = Number(/^Status: (\d+)/.exec(text)?.[1]);
    return { status, json: JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) };
  }

  close() {
    this.pending = null;
    this.socket.destroy();
  }
}
