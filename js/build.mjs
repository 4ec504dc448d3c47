// Builds the files that the Django app serves from src/ and partysocket:
//   websocketbridge.js   a plain script, which defines `channels.WebSocketBridge`; also under its path of Channels 1
//   websocketbridge.mjs  the same as an ES module
//   websocketbridge.d.ts, websocketbridge.d.mts  the types of both
// The same sources always give the same bytes. Usage: node build.mjs [folder instead of ../channels_classic/static]

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "../channels_classic/static");

// The digest by which a test without Node sees whether the sources have changed since the build.
const sources = ["build.mjs", "package-lock.json", "src/websocketbridge.d.ts", "src/websocketbridge.js"];
const hash = createHash("sha256");
for (const source of sources) {
  hash.update(readFileSync(join(here, source)));
}

const license = readFileSync(join(here, "node_modules/partysocket/LICENSE.txt"), "utf8").trim();
const { version } = JSON.parse(readFileSync(join(here, "node_modules/partysocket/package.json"), "utf8"));
const banner = `/*!
channels-classic, BSD-3-Clause. Built from js/, sha256 of the sources: ${hash.digest("hex")}

It contains partysocket ${version}, ${license}
*/`;

const options = {
  entryPoints: [join(here, "src/websocketbridge.js")],
  bundle: true,
  minify: true,
  charset: "utf8",
  target: "es2022",
  banner: { js: banner },
  define: { process: "undefined" },
};
const folder = join(target, "channels_classic/js");
const oldFolder = join(target, "channels/js");
for (const each of [folder, oldFolder]) {
  mkdirSync(each, { recursive: true });
}
await build({ ...options, format: "iife", globalName: "channels", outfile: join(folder, "websocketbridge.js") });
await build({ ...options, format: "esm", outfile: join(folder, "websocketbridge.mjs") });
copyFileSync(join(folder, "websocketbridge.js"), join(oldFolder, "websocketbridge.js"));
for (const types of ["websocketbridge.d.ts", "websocketbridge.d.mts"]) {
  copyFileSync(join(here, "src/websocketbridge.d.ts"), join(folder, types));
}
