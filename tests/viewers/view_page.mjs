// Opens a page of `lim view` in headless Chromium and works its controls:
//   node view_page.mjs URL SHOT_PREFIX
// Prints one JSON line: {"name", "facts", "models", "messages", "times"} and writes SHOT_PREFIX_<what>.png.
// CHROMIUM names the browser (default /usr/bin/chromium).
import { chromium } from "playwright-core";

const [url, prefix] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-background-networking",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
  const messages = [];
  const requests = [];
  page.on("console", (message) => {
    // Reading pixels for a screenshot stalls the software renderer; that says nothing about the page.
    if (!message.text().includes("GPU stall")) messages.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => messages.push(`error: ${error.message}`));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(url);
  await page.waitForFunction(() => window.viewer !== undefined, null, { timeout: 120000 }).catch((error) => {
    throw new Error(`${error.message}\n${messages.join("\n")}`);
  });
  const drawn = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const shot = async (what) => {
    await drawn();
    await page.screenshot({ path: `${prefix}_${what}.png` });
  };
  const slide = (share) =>
    page.locator("#time").evaluate((slider, part) => {
      slider.value = part * slider.max;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }, share);
  const time = () => page.evaluate(() => window.viewer.state.time);
  const times = {};
  await slide(0);
  await shot("start");
  await slide(0.5);
  await shot("middle");
  times.slider = await time();
  await page.keyboard.press("ArrowRight");
  times.stepped = await time();
  await page.keyboard.press("Home");
  times.home = await time();
  await page.keyboard.press(" ");
  await page.waitForFunction(() => window.viewer.state.time > 0);
  await page.keyboard.press(" ");
  times.played = await time();
  times.paused = await page.evaluate(() => !window.viewer.state.playing);
  await page.keyboard.press("Home");
  await page.keyboard.press("w");
  await page.keyboard.press("b");
  await shot("dark_wireframe");
  const text = (id) => page.locator(id).textContent();
  const models = await page.locator("#model option").allTextContents();
  const report = { name: await text("#name"), facts: await text("#facts"), message: await text("#message") };
  if (models.length > 1) {
    await page.locator("#model").selectOption("1");
    await page.waitForFunction((name) => document.getElementById("name").textContent === name, models[1]);
    await shot("second");
    report.second = await text("#facts");
  }
  const elsewhere = requests.filter((at) => !at.startsWith("data:") && !at.startsWith("blob:"));
  console.log(JSON.stringify({ ...report, models, messages, times, requests: elsewhere }));
} finally {
  await browser.close();
}
