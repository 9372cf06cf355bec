// Named tokens, made by kvs-maint as an administrator would.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const BUILD = process.env.KVS_BUILD ? path.resolve(process.env.KVS_BUILD) : ROOT;

// Runs kvs-maint token new; answers the token and the lines of kvs.conf that it printed.
export function newToken(name, ...options) {
  const args = ['token', 'new', name, ...options];
  const { KVS_CONFIG: _, ...env } = process.env;
  const text = execFileSync(path.join(BUILD, 'tools/kvs-maint'), args, { encoding: 'utf8', env });
  const [, token, section] = /^The token.*\n(\S+)\n\nLines.*\n([^]*)$/.exec(text);
  return { token, lines: section.trimEnd().split('\n') };
}

// Tokens by name, from the options of each.
export function newTokens(wanted) {
  const made = Object.entries(wanted).map(([name, options]) => [name, newToken(name, ...options)]);
  return {
    tokens: Object.fromEntries(made.map(([name, { token }]) => [name, token])),
    sections: made.flatMap(([, { lines }]) => lines),
  };
}
