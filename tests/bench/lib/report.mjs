// The table, on the terminal and between the markers of doc/performance.md.
import fs from 'node:fs';

const BEGIN = '<!-- The table is written by make bench. -->';
const END = '<!-- End of the table. -->';

const round = (x) => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x >= 1 ? x.toFixed(2) : x.toPrecision(3));

export function verdict(result) {
  if (result.floor === undefined) return '';
  if (result.most) return result.value <= result.floor ? 'yes' : 'no';
  return result.value >= result.floor ? 'yes' : 'no';
}

export function line(result) {
  const floor = result.floor === undefined ? '–' : `${result.most ? '≤' : '≥'} ${result.floor}`;
  const spread = result.low === undefined ? '' : `${round(result.low)} … ${round(result.high)}`;
  const unit = result.unit ? ` ${result.unit}` : '';
  return `| ${result.name} | ${floor} | ${round(result.value)}${unit} | ${spread} | ${result.note ?? ''} |`;
}

export function table(results) {
  const head = ['| measure | wanted | median | spread | |', '|---|---|---|---|---|'];
  return [...head, ...results.map(line)].join('\n');
}

export function write(file, results, about) {
  const text = fs.readFileSync(file, 'utf8');
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${file} has no markers for the table`);
  fs.writeFileSync(file, `${before}${BEGIN}\n\n${about}\n\n${table(results)}\n\n${END}${after}`);
}
