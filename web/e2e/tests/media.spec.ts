import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "@playwright/test";
import { expect, type Kind, test } from "../browsers.ts";
import { lateness, readFilm } from "../film.ts";
import { installMedia, type MediaOptions } from "../media/index.ts";

/** An empty page with our media, and no server behind it. */
async function onEmptyPage(
  browser: Browser,
  options: Partial<MediaOptions>,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  const web = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>loopback</title>");
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const context = await browser.newContext();
  try {
    await installMedia(context, { id: 5, ...options });
    const page = await context.newPage();
    await page.goto(`http://localhost:${(web.address() as AddressInfo).port}/`);
    await work(page);
  } finally {
    await context.close();
    await new Promise((resolve) => web.close(resolve));
  }
}

// The measuring tool measures itself first: a page calls itself without any server, and must read its own id and tone.
for (const kind of ["chromium", "firefox"] as Kind[]) {
  for (const options of [
    { width: 320, height: 180, picture: "blocks" },
    { width: 80, height: 45, picture: "blocks" },
    { width: 320, height: 180, picture: "soft" },
  ] as const) {
    const { width, picture } = options;
    test(`test media survives VP8 and Opus at ${width} in ${kind}, ${picture}`, async ({ browsers }) => {
      await onEmptyPage(await browsers(kind), options, async (page) => {
        await page.evaluate(async () => {
          const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
          a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
          b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
          const remote = new MediaStream();
          b.ontrack = ({ track }) => remote.addTrack(track);
          const local = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
          for (const track of local.getTracks()) {
            const transceiver = a.addTransceiver(track, { direction: "sendonly" });
            const codecs = RTCRtpSender.getCapabilities(track.kind)?.codecs ?? [];
            transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => /vp8|opus/i.test(mimeType)));
          }
          await a.setLocalDescription(await a.createOffer());
          await b.setRemoteDescription(a.localDescription as RTCSessionDescription);
          await b.setLocalDescription(await b.createAnswer());
          await a.setRemoteDescription(b.localDescription as RTCSessionDescription);
          const video = document.createElement("video");
          video.srcObject = remote;
          document.body.append(video);
          await video.play();
          Object.assign(globalThis, { remote, pictures: [] as unknown[], unreadable: 0 });
          globalThis.__media.hear(remote);
          setInterval(() => {
            const picture = globalThis.__media.readVideo(video);
            const seen = (globalThis as unknown as { pictures: unknown[] }).pictures;
            if (picture) seen.push(picture);
            else (globalThis as unknown as { unreadable: number }).unreadable += 1;
          }, 50);
        });
        const seen = () =>
          page.evaluate(() => {
            const state = globalThis as unknown as {
              pictures: { id: number; counter: number; flash: boolean }[];
              unreadable: number;
              remote: MediaStream;
            };
            const counters = new Set(state.pictures.map(({ counter }) => counter));
            return {
              ids: [...new Set(state.pictures.map(({ id }) => id))],
              counters: counters.size,
              flashes: new Set(state.pictures.map(({ flash }) => flash)).size,
              tones: Object.keys(globalThis.__media.hear(state.remote).tones),
            };
          });
        await expect
          .poll(async () => {
            const now = await seen();
            return now.counters >= 40 && now.flashes === 2 && now.tones.length > 0;
          })
          .toBe(true);
        const { ids, tones } = await seen();
        expect(ids).toEqual([5]);
        expect(tones).toEqual(["5"]);
      });
    });
  }

  test(`a flash leaves the page with its beep in ${kind}`, async ({ browsers }, info) => {
    await onEmptyPage(await browsers(kind), {}, async (page) => {
      const text = await page.evaluate(async () => {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
        const recorder = new MediaRecorder(stream, { mimeType: "video/webm;codecs=vp8,opus" });
        const chunks: Blob[] = [];
        await new Promise((resolve) => {
          recorder.onstop = resolve;
          recorder.ondataavailable = ({ data }) => {
            if (chunks.push(data) === 6) recorder.stop();
          };
          recorder.start(1000);
        });
        const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
        return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
      });
      const path = info.outputPath("source.webm");
      await writeFile(path, Buffer.from(text, "latin1"));
      const offsets = lateness(await readFilm(path), 5);
      expect(offsets.length).toBeGreaterThanOrEqual(3);
      // A busy machine draws a flash a frame late, never early: the least late one says how far the source itself is off.
      const least = offsets.reduce((one, other) => (Math.abs(one) <= Math.abs(other) ? one : other));
      expect(Math.abs(least), `flash after beep in s: ${offsets}`).toBeLessThanOrEqual(0.1);
    });
  });
}
