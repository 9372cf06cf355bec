// Builds: src/ → build/ (tsc: modules and declarations, checked) → dist/ (what is published: one small module, and one
// file of declarations with their comments).
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

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
  // what only these modules call each other's
  mangleProps: /^(transport|leases|remember|streamsFail|timedOut|onClose|whenTaken|rawKeys|maybeDone|passing|heldBack|skipTo|encodeKey)$/,
  logLevel: "warning",
});
writeFileSync(here("dist/index.d.ts"), declarations());

// The declarations of all modules that index.d.ts reaches, in one file. What only modules among themselves export, and
// what was of use to the compiler alone (`| undefined` beside `?`), goes.
function declarations() {
  const index = readFileSync(here("build/index.d.ts"), "utf8");
  const exported = new Set([...index.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    list.split(",").map((name) => name.replace("type ", "").trim())));
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
        .replace(/^export (declare )?(interface|type|class|function|const) (\w+)/gm, (_, __, kind, name) =>
          `${exported.has(name) ? "export " : ""}${/interface|type/.test(kind) ? "" : "declare "}${kind} ${name}`)
        .replace(/(\?: [^;{}]*?) \| undefined;/g, "$1;")
        .replace(/\?: \(([^;{}]*)\);/g, "?: $1;")
        .replace(/\{\n +([^\n{}]+);\n +\}/g, "{ $1 }")
        .replace(/^ *\/\*\* .{0,24} \*\/\n/gm, "") // says no more than the name
        .replace(/^ +/gm, (spaces) => "\t".repeat(spaces.length / 4) + " ".repeat(spaces.length % 4)),
    );
  };
  visit("index");
  return `${parts.join("")}export {};\n`;
}
