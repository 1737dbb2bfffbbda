import { writeFile } from "node:fs/promises";
import type { Recording } from "@parlor/sdk";
import { readFilm } from "../film.ts";
import { expect, meet, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import { ask } from "../rest.ts";
import type { Server } from "../server.ts";

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

/** Fetches somebody's own file of the one recording that their call has, once it is ready. */
async function fileOf(server: Server, person: Person, path: string): Promise<string> {
  const login = await person.session();
  const room = new URL(person.page.url()).pathname.replace("/r/", "");
  const { callId } = await ask<{ callId: string }>(server, login, "GET", `/rooms/${room}/call`);
  const look = async () => {
    const { recordings } = await ask<{ recordings: Recording[] }>(
      server,
      login,
      "GET",
      `/calls/${callId}/recording`,
    );
    return recordings[0];
  };
  await expect.poll(async () => (await look())?.state).toBe("ready");
  const recording = await look();
  const file = recording?.files.find(({ nickname }) => nickname === person.name);
  const url = `${server.url}/api/v1/recordings/${recording?.recordingId}/files/${file?.fileId}`;
  const answer = await fetch(url, { headers: { authorization: `Bearer ${login.accessToken}` } });
  await writeFile(path, new Uint8Array(await answer.arrayBuffer()));
  return path;
}

for (const [codec, mimeType] of [
  ["vp9", "video/VP9"],
  ["av1", "video/AV1"],
] as const) {
  test(`${mimeType} in layers is seen by who has it, and recorded`, async ({ server, person }, info) => {
    test.setTimeout(240_000);
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

    await test.step("a recording of it plays", async () => {
      await ada.page.getByTestId("record").click();
      await expect(ada.page.getByTestId("recording-mark")).toHaveAttribute("data-state", "running");
      await bob.sees("ada", 1, { frames: 100 });
      await ada.page.getByTestId("record").click();
      await expect(ada.page.getByTestId("recording-mark")).toHaveCount(0);
      const film = await readFilm(await fileOf(server, ada, info.outputPath(`${codec}.webm`)));
      expect(film.codecs.sort()).toEqual([codec, "opus"].sort());
      // Who knows nothing of layers shows each layer of a VP9 key picture, all at one time; of other pictures there is one.
      const complaints = film.complaints
        .split("\n")
        .filter((line) => !/dts to muxer|message repeated/.test(line));
      expect(complaints.join("\n")).toBe("");
      const readable = film.frames.flatMap(({ picture }) => picture ?? []);
      expect(readable.length, "frames that can be read").toBeGreaterThan(film.frames.length * 0.8);
      const counters = new Set(readable.map(({ counter }) => counter));
      expect(film.frames.length, "layers that are shown by themselves").toBeLessThan(counters.size * 2);
      expect([...new Set(readable.map(({ id }) => id))]).toEqual([1]);
    });

    await test.step("who comes later sees it too", async () => {
      const dan = await person("firefox", "dan", { id: 4 });
      await dan.enter(ada.page.url());
      await dan.join();
      if (codec === "vp9") await dan.sees("ada", 1);
      await dan.sees("bob", 2);
    });
  });
}
