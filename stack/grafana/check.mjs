// Writes each dashboard as a constant of its type, for the compiler to compare them; and a few that must not pass.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const names = readdirSync('dashboards').filter((name) => name.endsWith('.json'));
if (names.length === 0) throw new Error('no dashboards to check');
const typed = names.map((name, at) => `export const board${at}: Board = ${readFileSync(`dashboards/${name}`, 'utf8')};\n`);
// A check that lets these pass is none; `@ts-expect-error` fails where there is no error.
const wrong = [
  'board0.panels[0].type = "graph";',
  'board0.panels[0].gridPos = { x: 0, y: 0, w: 1 };',
  'board0.time = { from: "now-1h", until: "now" };',
  'board0.panels[0].fieldConfig.defaults.thresholds = { mode: "relative", steps: [] };',
];
const refused = wrong.map((line) => `// @ts-expect-error\n${line}\n`);
writeFileSync('boards.ts', ["import type { Board } from './types.ts';\n", ...typed, ...refused].join('\n'));
