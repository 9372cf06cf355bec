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
  logLevel: "warning",
});
writeFileSync(here("dist/index.d.ts"), declarations());

// The declarations of all modules that index.d.ts reaches, each name once; exported is what index.d.ts exports.
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
        .replace(/^(import|export) (type )?\{[^}]*\}( from "[^"]*")?;\n/gm, "")
        .replace(/^export (declare )?(?=(interface|type) )/gm, "")
        .replace(/^export declare /gm, "declare ")
        .replace(/^ +/gm, (spaces) => "\t".repeat(spaces.length / 4) + " ".repeat(spaces.length % 4)),
    );
  };
  visit("index");
  const names = [...readFileSync(here("build/index.d.ts"), "utf8").matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(
    ([, type, list]) => list.split(",").map((name) => (type ?? "") + name.trim()).filter((name) => name !== (type ?? "")),
  );
  return `${parts.join("")}export { ${names.join(", ")} };\n`;
}
