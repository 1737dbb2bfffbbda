// How long a viewer waits in Chromium: `node join.mjs http://127.0.0.1:PORT TIMES` prints {"join":[ms…],"direct":[ms…]}.
//
// One page publishes a camera into a room. Another one, by turns, joins that room's call with the SDK, and calls itself peer to
// peer; each time until the first frame is decoded and presented. The difference is what the server and its protocol add.
import { camera, chromiumPages } from "../pages.mjs";

const [origin, times] = [process.argv[2], Number(process.argv[3] ?? 20)];
const { open, close } = await chromiumPages(origin, camera);

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
  await close();
}
