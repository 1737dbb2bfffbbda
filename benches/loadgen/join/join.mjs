// How long a viewer waits in Chromium: `node join.mjs http://127.0.0.1:PORT TIMES` prints {"join":[ms…],"direct":[ms…]}.
//
// One page publishes a camera into a room. Another one, by turns, joins that room's call with the SDK, and calls itself peer to
// peer; each time until the first frame is decoded and presented. The difference is what the server and its protocol add.
// The pages are this script's own, served on the server's origin by the browser's request interception.
import { readFile } from "node:fs/promises";
import { chromium } from "../../../web/node_modules/playwright-core/index.mjs";

const [origin, times] = [process.argv[2], Number(process.argv[3] ?? 20)];
const web = new URL("../../../web/", import.meta.url);
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-ui-for-media-stream",
  "--allow-loopback-in-peer-connection",
  // An intercepted page has no address, so that Chromium would not let it call a local one.
  "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
];
const browser = await chromium.launch({ executablePath: process.env.PARLOR_CHROMIUM ?? "/usr/bin/chromium", args });
const camera = { id: 1, width: 640, height: 360, fps: 30 };

/** A page that has entered under a nickname, with its socket open. */
const open = async (nickname) => {
  const context = await browser.newContext();
  const media = await readFile(new URL("e2e/media/page.js", web), "utf8");
  await context.addInitScript({ content: `globalThis.__mediaOptions = ${JSON.stringify(camera)};\n${media}` });
  await context.route(`${origin}/bench/**`, async (route) => {
    const name = new URL(route.request().url()).pathname.slice("/bench/".length);
    if (name === "") return route.fulfill({ contentType: "text/html", body: "<video autoplay muted></video>" });
    const own = name === "page.js" ? new URL(name, import.meta.url) : new URL(`sdk/dist/${name}`, web);
    return route.fulfill({ contentType: "text/javascript", body: await readFile(own, "utf8") });
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`${nickname}: ${error}`));
  await page.goto(`${origin}/bench/`);
  await page.evaluate(async (name) => {
    globalThis.bench = await import("/bench/page.js");
    await globalThis.bench.enter(name);
  }, nickname);
  return page;
};

const watchdog = setTimeout(() => {
  console.error("a join or a call did not come to its first frame");
  process.exit(1); // Playwright ends the browser with this process
}, 15_000 + times * 5_000);
try {
  const publisher = await open("publisher");
  const room = await publisher.evaluate(() => globalThis.bench.publish());
  const viewer = await open("viewer");
  const seen = { join: [], direct: [] };
  for (let time = 0; time <= times; time += 1) {
    const join = await viewer.evaluate((id) => globalThis.bench.join(id), room);
    const direct = await viewer.evaluate(() => globalThis.bench.direct());
    // The server merges requests for key frames: a second join within 400 ms would wait for the end of that time.
    await new Promise((rested) => setTimeout(rested, 1000));
    // The first time fetches, compiles and warms up, on both sides.
    if (time === 0) continue;
    seen.join.push(join);
    seen.direct.push(direct);
  }
  console.log(JSON.stringify(seen));
} finally {
  clearTimeout(watchdog);
  await browser.close();
}
