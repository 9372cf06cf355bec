// Builds: src/ → build/ (tsc: modules and declarations, checked) → dist/ (what is published: one small module, and one
// file of declarations with their comments).
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

// Members that only these modules use of each other: they are given short names.
const INTERNAL = ["transport", "leases", "remember", "streams", "streamsFail", "timedOut", "onClose", "whenTaken", "rawKeys",
  "maybeDone", "passing", "heldBack", "accept", "resume", "reached", "skipTo", "request", "encodeKey", "keyCodec", "stopped",
  "settled", "patient", "repeat", "parts", "select", "restart", "find"];

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
for (const directory of ["build", "dist"]) rmSync(here(directory), { recursive: true, force: true });

const { status } = spawnSync(process.execPath, [tsc, "-p", here(".")], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

mkdirSync(here("dist"));
await build({
  entryPoints: [here("build/index.js")],
  outfile: here("dist/index.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  mangleProps: new RegExp(`^(${INTERNAL.join("|")})$`),
  logLevel: "warning",
});
writeFileSync(here("dist/index.d.ts"), declarations());

// The declarations of all modules that index.d.ts reaches, in one file, where one export makes the others exports, too.
// What was of use to the compiler alone (`| undefined` beside `?`) goes.
function declarations() {
  const seen = new Set();
  const parts = [];
  const visit = (name) => {
    if (seen.has(name)) return;
    seen.add(name);
    const text = readFileSync(here(`build/${name}.d.ts`), "utf8");
    for (const [, from] of text.matchAll(/from "\.\/([\w-]+)\.js";/g)) visit(from);
    parts.push(
      text
        .replace(/^\/\*\*(?:(?!\*\/)[^])*\*\/\n(?=export (declare )?(interface|type) )/gm, "") // their members say enough
        .replace(/^(import|export) (type )?\{[^}]*\}( from "[^"]*")?;\n/gm, "")
        .replace(/^export declare (interface|type)/gm, "$1")
        .replace(/^export (?!declare class KvsClient )/gm, "")
        .replace(/(\?: [^;{}]*?) \| undefined;/g, "$1;")
        .replace(/\?: \(([^;{}]*)\);/g, "?: $1;")
        .replace(/\{\n +([^\n{}]+);\n +\}/g, "{ $1 }")
        .replace(/^ *\/\*\* .{0,29} \*\/\n/gm, "") // says no more than the name
        .replace(/^ +/gm, (spaces) => "\t".repeat(spaces.length / 4) + " ".repeat(spaces.length % 4)),
    );
  };
  visit("index");
  return parts.join("");
}
