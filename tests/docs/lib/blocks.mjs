// Reads the ```kvs blocks of a document.  A block is a list of exchanges between blank lines:
//
//   METHOD /path                     or (20 ms later), a pause
//   Header: value                    a request header; no value: not even the usual one
//   {…}                              the body, on one line or more
//   > POST /path {…}                 what somebody else does while this one waits for its answer
//   200 {…}                          the status and the whole answer, which may go on in the next lines
//   Header: value                    a header of the answer
//   < {…}                            the next line of a stream; between them, > as above
import fs from 'node:fs';

const REQUEST = /^(GET|HEAD|POST|OPTIONS) (\/\S*)$/;
const HEADER = /^([A-Z][A-Za-z-]*): ?(.*)$/;
const STATUS = /^([0-9]{3})(?: (.*))?$/;
const PAUSE = /^\(([0-9]+) ms later\)$/;
const STEP = /^([<>]) ?(.*)$/;
const MEANWHILE = /^POST (\/\S+) (\{.*\})$/;

function headerOf(line) {
  const found = HEADER.exec(line);
  return found && [found[1], found[2]];
}

function readStep(line) {
  const [, sign, text] = STEP.exec(line);
  if (sign === '<') return { expect: text };
  const found = MEANWHILE.exec(text);
  if (!found) throw new SyntaxError(`no request: ${line}`);
  return { path: found[1], body: found[2] };
}

function readExchange(lines, number) {
  const pause = PAUSE.exec(lines[0]);
  if (pause) return { line: number, pause: Number(pause[1]) };
  const first = REQUEST.exec(lines[0]);
  if (!first) throw new SyntaxError(`line ${number}: no request: ${lines[0]}`);
  const it = { line: number, method: first[1], path: first[2], headers: [], before: [], answerHeaders: [], steps: [] };
  let at = 1;
  for (; at < lines.length && HEADER.test(lines[at]); at += 1) it.headers.push(headerOf(lines[at]));
  const body = [];
  for (; at < lines.length && !STATUS.test(lines[at]); at += 1) {
    if (lines[at].startsWith('>')) it.before.push(readStep(lines[at]));
    else body.push(lines[at]);
  }
  if (at === lines.length) throw new SyntaxError(`line ${number}: no status`);
  it.body = body.length > 0 ? body.join('\n') : null;
  const [, status, answer = ''] = STATUS.exec(lines[at]);
  it.status = Number(status);
  it.answer = answer;
  for (at += 1; at < lines.length; at += 1) {
    if (STEP.test(lines[at])) it.steps.push(readStep(lines[at]));
    else if (headerOf(lines[at])) it.answerHeaders.push(headerOf(lines[at]));
    else it.answer += lines[at].trim();
  }
  return it;
}

function readBlock(lines, number) {
  const exchanges = [];
  let start = 0;
  for (let i = 0; i <= lines.length; i += 1) {
    if (i < lines.length && lines[i] !== '') continue;
    if (i > start) exchanges.push(readExchange(lines.slice(start, i), number + start));
    start = i + 1;
  }
  return exchanges;
}

// The blocks of a file in order: {line, heading, kind, exchanges}; kind is what stands behind ```kvs.
export function readBlocks(file) {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const blocks = [];
  let heading = '';
  for (let i = 0; i < lines.length; i += 1) {
    if (lines[i].startsWith('#')) heading = lines[i].replace(/^#+ /, '');
    const fence = /^```(\w*) ?(.*)$/.exec(lines[i]);
    if (!fence) continue;
    const end = lines.indexOf('```', i + 1);
    if (end < 0) throw new SyntaxError(`line ${i + 1}: the block has no end`);
    if (fence[1] === 'kvs') {
      blocks.push({ line: i + 1, heading, kind: fence[2], exchanges: readBlock(lines.slice(i + 1, end), i + 2) });
    }
    i = end;
  }
  return blocks;
}

// The ```sh blocks of a file: {line, heading, marks, lines}; marks are the words of an HTML comment in the line above.
export function shellBlocks(file) {
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  const blocks = [];
  let heading = '';
  for (let i = 0; i < lines.length; i += 1) {
    if (lines[i].startsWith('#')) heading = lines[i].replace(/^#+ /, '');
    if (!lines[i].startsWith('```')) continue;
    const end = lines.indexOf('```', i + 1);
    if (end < 0) throw new SyntaxError(`line ${i + 1}: the block has no end`);
    const marks = /^<!-- (.*) -->$/.exec(lines[i - 1] ?? '')?.[1].split(' ') ?? [];
    if (lines[i] === '```sh') blocks.push({ line: i + 1, heading, marks, lines: lines.slice(i + 1, end) });
    i = end;
  }
  return blocks;
}
