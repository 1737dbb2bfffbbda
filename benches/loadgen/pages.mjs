// Pages of Chromium that use the SDK against a server: what the measurements with real browsers share.
//
// The pages are these scripts' own, served on the server's origin by the browser's request interception.
import { readFile } from "node:fs/promises";
import { chromium } from "../../web/node_modules/playwright-core/index.mjs";

export const camera = { id: 1, width: 640, height: 360, fps: 30 };

const web = new URL("../../web/", import.meta.url);
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

/** Starts the browser; `open(nickname)` gives a page that has entered, with its socket open and `globalThis.bench` of page.js. */
export async function chromiumPages(origin, media) {
  const browser = await chromium.launch({ executablePath: process.env.PARLOR_CHROMIUM ?? "/usr/bin/chromium", args });
  const open = async (nickname) => {
    const context = await browser.newContext();
    const files = ["blocks.js", "page.js"].map((name) => readFile(new URL(`e2e/media/${name}`, web), "utf8"));
    const script = (await Promise.all(files)).join("\n");
    await context.addInitScript({ content: `globalThis.__mediaOptions = ${JSON.stringify(media)};\n${script}` });
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
  return { open, close: () => browser.close() };
}
