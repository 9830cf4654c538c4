// Loads GLBs in three.js in headless Chromium:
//   node three_positions.mjs JOBS.json
// JOBS.json: [{"model": "a.glb", "output": "a.json", "times": [0.0, ...], "shots": "prefix" or null}, ...]
// a.json: {"positions": [[x, y, z, x, ...] per time], "messages": [...]}; prefix_<n>.png per time.
// CHROMIUM names the browser (default /usr/bin/chromium).
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const jobs = JSON.parse(fs.readFileSync(process.argv[2]));
const kinds = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm", ".glb": "model/gltf-binary" };

const server = http.createServer((request, response) => {
  const name = request.url.split("?")[0];
  let file = path.join(here, "page.html");
  const wanted = name.match(/^\/(\d+)\/model\.glb$/);
  if (wanted) file = jobs[Number(wanted[1])].model;
  else if (name.startsWith("/three/")) file = path.join(here, "node_modules", path.normalize(name));
  if (name === "/favicon.ico") return response.writeHead(204).end();
  if (!fs.existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": kinds[path.extname(file)] ?? "application/octet-stream" });
  fs.createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-background-networking",
  ],
});
try {
  for (const [number, { model, output, times, shots }] of jobs.entries()) {
    const page = await browser.newPage({ viewport: { width: 640, height: 480 } });
    const messages = [];
    page.on("console", (message) => {
      // Reading pixels for a screenshot stalls the software renderer; that says nothing about the file.
      if (!message.text().includes("GPU stall")) messages.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => messages.push(`error: ${error.message}`));
    await page.goto(`http://127.0.0.1:${server.address().port}/${number}/`);
    await page.waitForFunction(() => window.ready === true, null, { timeout: 300000 }).catch((error) => {
      throw new Error(`${model}: ${error.message}\n${messages.join("\n")}`);
    });
    const positions = [];
    for (const [index, time] of times.entries()) {
      positions.push(await page.evaluate((at) => window.positionsAt(at), time));
      if (shots) await page.locator("#view").screenshot({ path: `${shots}_${index}.png` });
    }
    fs.writeFileSync(output, JSON.stringify({ positions, messages }));
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
