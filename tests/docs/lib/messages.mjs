// The messages in a C file: the text of every call that says something to whoever runs the program, with … for what is put in.
import fs from 'node:fs';

const CALLS = /\b(?:fail|failed|fail_line|refuse|error_set|bad_value|log_line|tool_failed|tool_failed_errno|snprintf)\(/g;
const LITERALS = /"((?:[^"\\]|\\.)*)"/g;

// The text of a call from its opening parenthesis to the one that closes it.
function argumentsAt(text, at) {
  let depth = 0;
  let quoted = false;
  for (let i = at; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '"') quoted = !quoted;
    else if (!quoted && text[i] === '(') depth += 1;
    else if (!quoted && text[i] === ')' && (depth -= 1) === 0) return text.slice(at, i);
  }
  return '';
}

// Adjacent literals are one text; each of several (as in a ? b : c) is a message of its own.
function textsIn(call) {
  const joined = call.replace(/%"\s*PRI\w+\s*"/g, '%d').replace(/"\s*"/g, '');
  return [...joined.matchAll(LITERALS)].map(([, text]) => text);
}

const plain = (text) =>
  text
    .replace(/\\"/g, '"')
    .replace(/%[-0-9.*]*(?:ll|l|z|j)?[a-zA-Z]/g, '…')
    .replace(/%%/g, '%');

export function messagesOf(file) {
  const text = fs.readFileSync(file, 'utf8').replace(/\/\*[^]*?\*\//g, '');
  const found = new Set();
  for (const { 0: name, index } of text.matchAll(CALLS)) {
    const call = argumentsAt(text, index + name.length - 1);
    if (name === 'snprintf(' && !/^\((?:message|why)\b/.test(call)) continue;
    for (const one of textsIn(call)) if (/[a-z]{2,}.* /.test(one)) found.add(plain(one));
  }
  return [...found];
}
