import { type Browser, type BrowserType, test as base, chromium, firefox } from "@playwright/test";

export type Kind = "chromium" | "firefox";

/** The flags of design section 6: no sandbox for root, loopback candidates, no mDNS names, sound without a click. */
const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--mute-audio",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-device-for-media-stream=fps=20",
  "--use-fake-ui-for-media-stream",
  "--allow-loopback-in-peer-connection",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
];

const FIREFOX_PREFS = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "media.autoplay.default": 0,
};

/** Starts a browser of the distribution. Playwright drives Debian's own Firefox through WebDriver BiDi (`moz-firefox`). */
export function launch(kind: Kind): Promise<Browser> {
  if (kind === "chromium") {
    return chromium.launch({
      executablePath: process.env.PARLOR_CHROMIUM ?? "/usr/bin/chromium",
      args: CHROMIUM_ARGS,
    });
  }
  return (firefox as BrowserType).launch({
    channel: "moz-firefox",
    executablePath: process.env.PARLOR_FIREFOX ?? "/usr/bin/firefox-esr",
    firefoxUserPrefs: FIREFOX_PREFS,
  });
}

/** One browser process of each kind for a worker, started by the first test that asks for it. */
export const test = base.extend<object, { browsers: (kind: Kind) => Promise<Browser> }>({
  browsers: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from this pattern.
    async ({}, use) => {
      const started = new Map<Kind, Promise<Browser>>();
      await use((kind) => {
        const browser = started.get(kind) ?? launch(kind);
        started.set(kind, browser);
        return browser;
      });
      for (const browser of started.values()) await (await browser).close();
    },
    { scope: "worker", timeout: 60_000 },
  ],
});

export { expect } from "@playwright/test";
