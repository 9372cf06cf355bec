// The literal blocks of a manual page in mdoc, with places as a Debian package has them.
import fs from 'node:fs';

const PLACES = { sysconfdir: '/etc', localstatedir: '/var', sbindir: '', docdir: '/usr/share/doc/kvs', kvslibexecdir: '' };

// {line, text} of each block; the paths of programs are taken away, so that they are found where they are.
export function manualBlocks(file) {
  const source = fs.readFileSync(file, 'utf8');
  return [...source.matchAll(/^\.Bd -literal.*\n([^]*?)^\.Ed$/gm)].map(({ 1: text, index }) => ({
    line: source.slice(0, index).split('\n').length,
    text: text.replace(/@(\w+)@\/?/g, (_, name) => (PLACES[name] === '' ? '' : `${PLACES[name]}/`)),
  }));
}
