import { expect, meet, test } from "../meeting.ts";
import type { Person } from "../person.ts";

/** Which encodings a page's camera sends now, smallest first, by whether packets went out between two looks. */
async function layersSent({ page }: Person): Promise<boolean[]> {
  return page.evaluate(async () => {
    const look = async () => {
      const streams = await globalThis.__media.streams("outbound-rtp");
      return new Map(streams.filter(({ rid }) => rid).map(({ rid, framesSent }) => [rid, framesSent]));
    };
    const before = await look();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const after = await look();
    return ["q", "h", "f"].map((rid) => after.get(rid) > before.get(rid));
  });
}

/** How a page is told to send its screen, and how fast and how large that goes out. */
async function screenSent({ page }: Person) {
  return page.evaluate(async () => {
    const streams = await globalThis.__media.streams("outbound-rtp");
    const [screen] = streams.filter(
      ({ kind, rid, framesSent }) => kind === "video" && !rid && framesSent > 0,
    );
    const [share] = globalThis.__media.shares();
    return {
      hint: share?.contentHint,
      most: share?.encodings[0]?.maxFramerate,
      fps: screen?.framesPerSecond ?? 0,
      width: screen?.frameWidth ?? 0,
    };
  });
}

/** What a page heard so far that was made up, and all, of every slot, in samples. Comfort noise and the silence behind it are no loss. */
async function concealed({ page }: Person): Promise<{ concealed: number; all: number; packets: number }> {
  return page.evaluate(async () => {
    const streams = await globalThis.__media.streams("inbound-rtp");
    const sum = (name: string) =>
      streams
        .filter(({ kind }) => kind === "audio")
        .reduce((total, stream) => total + (stream[name] ?? 0), 0);
    return {
      concealed: sum("concealedSamples") - sum("silentConcealedSamples"),
      all: sum("totalSamplesReceived"),
      packets: sum("packetsReceived"),
    };
  });
}

test("a microphone that is silent costs nothing, and nothing is concealed", async ({ server, person }) => {
  const ada = await person("chromium", "ada", { id: 1 });
  const bob = await person("chromium", "bob", { id: 2 });
  await meet(server, [ada, bob]);
  await bob.hears("ada", 1);
  await ada.hears("bob", 2);
  // Half of each second is digital silence: it ends in comfort noise, and the tone resumes where its clock says.
  await expect.poll(async () => (await concealed(bob)).all).toBeGreaterThan(48_000 * 6);
  const before = await concealed(bob);
  await expect.poll(async () => (await concealed(bob)).all - before.all).toBeGreaterThan(48_000 * 8);
  const after = await concealed(bob);
  const share = (after.concealed - before.concealed) / (after.all - before.all);
  // A gap that nobody announced would be concealed: a third of all. A busy machine is late now and then.
  expect(share, "concealed samples among all that were played").toBeLessThan(0.05);

  await ada.page.getByTestId("microphone").click();
  await expect(bob.tile("ada")).toHaveAccessibleName("ada, microphone off");
  const silent = await concealed(bob);
  await expect.poll(async () => (await concealed(bob)).all - silent.all).toBeGreaterThan(48_000 * 4);
  const later = await concealed(bob);
  expect(later.packets - silent.packets, "packets of a muted microphone").toBeLessThan(25);
  expect((later.concealed - silent.concealed) / (later.all - silent.all)).toBeLessThan(0.05);
});

/** Bytes of a packet of sound, on average, in the slot that carried most. */
async function bytesOfSound({ page }: Person): Promise<number> {
  return page.evaluate(async () => {
    const streams = await globalThis.__media.streams("inbound-rtp");
    const sounds = streams.filter(({ kind, packetsReceived }) => kind === "audio" && packetsReceived > 100);
    return Math.max(
      0,
      ...sounds.map(({ bytesReceived, packetsReceived }) => bytesReceived / packetsReceived),
    );
  });
}

test("redundant audio goes to who takes it, and the newest frames alone to everybody else", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada", { id: 1 });
  const bob = await person("chromium", "bob", { id: 2 });
  const dan = await person("firefox", "dan", { id: 4 });
  await meet(server, [ada, bob, dan]);
  for (const other of [bob, dan]) await other.hears("ada", 1);
  for (const other of [bob, dan]) await expect.poll(() => bytesOfSound(other)).toBeGreaterThan(0);
  // Each packet carries the frame before its own once more.
  expect(await bytesOfSound(bob)).toBeGreaterThan(1.5 * (await bytesOfSound(dan)));
});

test("a share is sharp and slow or smooth, as its sharer chooses, and brings its sound", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada", { id: 1, screenId: 41, screenTone: 9, screenFps: 30 });
  const bob = await person("chromium", "bob", { id: 2 });
  const dan = await person("firefox", "dan", { id: 4 });
  await meet(server, [ada, bob, dan]);
  await ada.page.getByTestId("share").click();
  for (const other of [bob, dan]) {
    await other.sees("ada", 41, { source: "screen", frames: 4 });
    await other.hears("ada", 9);
    await other.hears("ada", 1);
  }
  await expect(ada.page.getByTestId("share-detail")).toBeChecked();
  await expect.poll(() => screenSent(ada)).toMatchObject({ hint: "detail", most: 15, width: 1280 });
  expect((await screenSent(ada)).fps).toBeLessThanOrEqual(17);

  await ada.page.getByTestId("share-motion").check();
  await expect.poll(() => screenSent(ada)).toMatchObject({ hint: "motion", most: 30 });
  await bob.sees("ada", 41, { source: "screen", frames: 10 });
  await ada.page.getByTestId("share-detail").check();
  // In detail no pixel is lost.
  await expect.poll(() => screenSent(ada)).toMatchObject({ hint: "detail", most: 15, width: 1280 });
  await bob.sees("ada", 41, { source: "screen", frames: 4 });

  await ada.page.getByTestId("share").click();
  await expect(bob.tile("ada", "screen")).toHaveCount(0);
  await expect(ada.page.getByTestId("share-detail")).toHaveCount(0);
  await bob.hearsNot("ada", 9);
  await bob.hears("ada", 1);
});

test("layers that nobody watches rest at the publisher, and resume for a larger tile", async ({
  server,
  person,
}) => {
  test.setTimeout(180_000);
  const wide = await person("chromium", "wide", { id: 7, width: 1280, height: 720, fps: 10 });
  const viewer = await person("chromium", "viewer", { id: 8, viewport: { width: 360, height: 420 } });
  await meet(server, [wide, viewer]);
  await viewer.sees("wide", 7, { frames: 3 });
  const layers = expect.poll(() => layersSent(wide), { timeout: 60_000 });
  await layers.toEqual([true, false, false]);
  await viewer.page.setViewportSize({ width: 1900, height: 1000 });
  await expect.poll(async () => (await layersSent(wide))[2], { timeout: 60_000 }).toBe(true);
  const width = () => viewer.sees("wide", 7, { frames: 3 }).then((seen) => seen.width);
  await expect.poll(width, { timeout: 60_000 }).toBeGreaterThanOrEqual(960);
});
