// What a camera in Chromium sends: `node bitrate.mjs http://127.0.0.1:PORT SECONDS` prints {"kbps":…,"layers":3,"keyframes":…}.
//
// One page sends a moving 1280 × 720 camera in three simulcast layers into a room; another one shows the highest. Bytes of media,
// retransmissions aside, are counted by the browser (RTCOutboundRtpStreamStats).
import { camera, chromiumPages } from "../pages.mjs";

const [origin, seconds] = [process.argv[2], Number(process.argv[3] ?? 30)];
const { open, close } = await chromiumPages(origin, { ...camera, width: 1280, height: 720, fps: 20 });
const watchdog = setTimeout(() => {
  console.error("the camera did not come to its full bitrate");
  process.exit(1); // Playwright ends the browser with this process
}, 90_000 + seconds * 1_000);
try {
  const publisher = await open("publisher");
  const room = await publisher.evaluate(() => globalThis.bench.publish({ width: 1280, height: 720, frameRate: 20 }));
  const viewer = await open("viewer");
  await viewer.evaluate((id) => globalThis.bench.watch(id), room);
  await publisher.evaluate(() => globalThis.bench.settled(3));
  const before = await publisher.evaluate(() => globalThis.bench.sent());
  await new Promise((rested) => setTimeout(rested, seconds * 1_000));
  const after = await publisher.evaluate(() => globalThis.bench.sent());
  const kbps = ((after.bytes - before.bytes) * 8) / (after.ms - before.ms);
  console.log(JSON.stringify({ kbps, layers: after.layers, keyframes: after.keyframes - before.keyframes }));
} finally {
  clearTimeout(watchdog);
  await close();
}
