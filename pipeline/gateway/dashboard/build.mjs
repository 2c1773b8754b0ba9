// Bundles src/ into ../static/, which is committed: who runs the service needs no Node.
import { build, context } from "esbuild";
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.env.VEDETTE_STATIC ?? join(here, "..", "static");
const options = {
  absWorkingDir: here,
  entryPoints: { app: "src/main.js", style: "src/style.css" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  loader: { ".svg": "dataurl" },
};

mkdirSync(out, { recursive: true });
for (const name of ["index.html", "icon.svg"]) copyFileSync(join(here, "src", name), join(out, name));
if (process.argv.includes("--watch")) await (await context(options)).watch();
else await build(options);
