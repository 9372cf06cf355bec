// What a process holds, from /proc.
import fs from 'node:fs';

const field = (pid, name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

// Descriptors, threads, and memory of its own in MiB: no files, none shared.
export function holdings(pid) {
  return {
    descriptors: fs.readdirSync(`/proc/${pid}/fd`).length,
    threads: field(pid, 'Threads'),
    memory: field(pid, 'RssAnon') / 1024,
  };
}
