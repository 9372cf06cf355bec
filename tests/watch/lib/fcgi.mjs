// A small FastCGI client: one connection a request, straight to the Unix socket of kvs.fcgi, so that a thousand streams need
// no web server between.
import net from 'node:net';

const BEGIN = 1;
const END = 3;
const PARAMS = 4;
const STDIN = 5;
const STDOUT = 6;

function record(type, content) {
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

function requestBytes(path, token, body) {
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
  return Buffer.concat([
    record(BEGIN, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])),
    record(PARAMS, Buffer.concat(Object.entries(params).map(([name, value]) => pair(name, value)))),
    record(PARAMS, Buffer.alloc(0)),
    record(STDIN, body),
    record(STDIN, Buffer.alloc(0)),
  ]);
}

// Sends one request.  onText is called with each piece of the body; onEnd(error) once.  Returns the socket.
export function fcgiStream(socketPath, token, path, object, onText, onEnd) {
  let rest = Buffer.alloc(0);
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
  const socket = net.connect(socketPath, () => socket.write(requestBytes(path, token, Buffer.from(JSON.stringify(object)))));
  socket.on('data', (data) => {
    rest = rest.length ? Buffer.concat([rest, data]) : data;
    while (rest.length >= 8) {
      const length = rest.readUInt16BE(4);
      const whole = 8 + length + rest[6];
      if (rest.length < whole) break;
      if (rest[1] === STDOUT && length) text(rest.toString('utf8', 8, 8 + length));
      if (rest[1] === END) onEnd(null);
      rest = rest.subarray(whole);
    }
  });
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
