import { expect, meet, test } from "../meeting.ts";
import type { Person } from "../person.ts";

// Nobody looks at pictures here: where somebody does, only what the server can decode is taken.
test.use({ settings: { sampleEveryMs: 0 } });

/** The pictures that go one way: their codec, the mode of its layers, and the width of the last one. */
async function pictures({ page }: Person, way: "outbound-rtp" | "inbound-rtp") {
  return page.evaluate(async (way) => {
    const streams = await globalThis.__media.streams(way);
    const [stream] = streams.filter(
      ({ kind, framesSent, framesDecoded }) => kind === "video" && (framesSent ?? framesDecoded) > 0,
    );
    return {
      codec: stream?.mimeType as string | undefined,
      mode: stream?.scalabilityMode as string | undefined,
      width: (stream?.frameWidth ?? 0) as number,
    };
  }, way);
}

for (const [codec, mimeType] of [
  ["vp9", "video/VP9"],
  ["av1", "video/AV1"],
] as const) {
  test(`${mimeType} in layers is seen by who has it, and VP8 comes back`, async ({ server, person }) => {
    const ada = await person("chromium", "ada", { id: 1, width: 1280, height: 720 });
    await ada.page.addInitScript((codec) => localStorage.setItem("parlor.codec", codec), codec);
    const bob = await person("chromium", "bob", { id: 2 });
    await meet(server, [ada, bob]);
    await bob.sees("ada", 1, { frames: 30 });
    await ada.sees("bob", 2);
    await expect
      .poll(() => pictures(ada, "outbound-rtp"))
      .toMatchObject({ codec: mimeType, mode: "L3T3_KEY" });
    await expect.poll(() => pictures(bob, "inbound-rtp")).toMatchObject({ codec: mimeType });
    await expect.poll(() => pictures(ada, "inbound-rtp")).toMatchObject({ codec: "video/VP8" });

    await test.step("who comes later sees it too", async () => {
      const dan = await person("firefox", "dan", { id: 4 });
      await dan.enter(ada.page.url());
      await dan.join();
      if (codec === "vp9") await dan.sees("ada", 1);
      await dan.sees("bob", 2);
    });
  });
}
