import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { Recording } from "@parlor/sdk";
import { flashes, lateness, median, readFilm } from "../film.ts";
import { expect, meet, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import { ask, type Login } from "../rest.ts";
import type { Server } from "../server.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The one recording of a call, as somebody may see it. */
async function recordingOf(server: Server, login: Login, link: string): Promise<Recording> {
  const room = new URL(link).pathname.replace("/r/", "");
  const { callId } = await ask<{ callId: string }>(server, login, "GET", `/rooms/${room}/call`);
  const { recordings } = await ask<{ recordings: Recording[] }>(
    server,
    login,
    "GET",
    `/calls/${callId}/recording`,
  );
  expect(recordings).toHaveLength(1);
  return recordings[0] as Recording;
}

/** Plays somebody's file in the page: it goes on, and shows their picture. */
async function plays(viewer: Person, of: Person): Promise<void> {
  const file = viewer.page.locator(`[data-testid=recording-file][data-nickname="${of.name}"]`);
  await file.getByTestId("play").click();
  const player = file.getByTestId("player");
  const time = () => player.evaluate((video) => (video as HTMLVideoElement).currentTime);
  await expect.poll(time, { message: `${viewer.name} plays the file of ${of.name}` }).toBeGreaterThan(1);
  const shown = () => player.evaluate((video) => globalThis.__media.readVideo(video as HTMLVideoElement)?.id);
  await expect.poll(shown, { message: `${viewer.name} sees ${of.name} in the file` }).toBe(of.id);
}

test("a call of Chromium and Firefox is recorded: everybody knows, and the files play, in step", async ({
  server,
  person,
}, info) => {
  test.setTimeout(240_000);
  const ada = await person("chromium", "ada", { id: 1 });
  const bob = await person("firefox", "bob", { id: 2 });
  const people = [ada, bob];
  const link = await meet(server, people, "On the record");
  await ada.sees("bob", 2);
  await bob.sees("ada", 1);
  await expect(bob.page.getByTestId("record"), "only hosts record").toHaveCount(0);

  await test.step("everybody is told before it starts, and sees that it runs", async () => {
    await ada.page.getByTestId("record").click();
    for (const { page } of people) {
      await expect(page.getByTestId("recording-notice")).toBeVisible();
      await expect(page.getByTestId("recording-mark")).toHaveAttribute("data-state", "starting");
    }
    expect((await recordingOf(server, await ada.session(), link)).files, "nothing is written yet").toEqual(
      [],
    );
    await ada.isAccessible("a recording that starts");
    for (const { page } of people) {
      await expect(page.getByTestId("recording-mark")).toHaveAttribute("data-state", "running");
      await expect(page.getByTestId("recording-notice")).toBeHidden();
    }
    await ada.isAccessible("a recording that runs");
  });

  await test.step("some seconds of both", async () => {
    await Promise.all([ada.sees("bob", 2, { frames: 120 }), bob.sees("ada", 1, { frames: 120 })]);
  });

  const cleo = await person("chromium", "cleo", { id: 3, viewport: { width: 360, height: 740 } });
  await test.step("who comes later agrees first", async () => {
    await cleo.enter(link);
    await cleo.page.getByTestId("join").click();
    await expect(cleo.page.getByTestId("recording-consent")).toBeVisible();
    await cleo.isAccessible("the question");
    await cleo.fits("the question");
    await cleo.page.getByTestId("consent-decline").click();
    await expect(cleo.page.getByTestId("ended")).toBeVisible();
    await expect(ada.tile("cleo")).toHaveCount(0);
    await cleo.page.getByTestId("rejoin").click();
    await cleo.page.getByTestId("join").click();
    await cleo.page.getByTestId("consent-accept").click();
    await cleo.connected();
    await expect(cleo.page.getByTestId("recording-mark")).toHaveAttribute("data-state", "running");
    await cleo.fits("a recorded call");
    await ada.sees("cleo", 3);
  });

  await test.step("stopped, and everybody is told", async () => {
    await ada.page.getByTestId("record").click();
    for (const { page } of [...people, cleo]) {
      await expect(page.getByTestId("recording-mark")).toHaveCount(0);
      await expect(page.getByTestId("recording-ended")).toHaveAttribute("data-reason", "stopped");
    }
  });

  const login = await ada.session();
  await expect.poll(async () => (await recordingOf(server, login, link)).state).toBe("ready");
  const recording = await recordingOf(server, login, link);
  expect(recording.files.map(({ kind, nickname }) => `${kind} ${nickname}`).sort()).toEqual([
    "participant ada",
    "participant bob",
    "participant cleo",
  ]);

  for (const one of [ada, bob]) {
    await test.step(`the file of ${one.kind} holds what they showed and said`, async () => {
      const file = recording.files.find(({ nickname }) => nickname === one.name);
      if (!file) throw new Error(`no file of ${one.name}`);
      const answer = await fetch(
        `${server.url}/api/v1/recordings/${recording.recordingId}/files/${file.fileId}`,
        { headers: { authorization: `Bearer ${login.accessToken}` } },
      );
      const bytes = new Uint8Array(await answer.arrayBuffer());
      expect([bytes.length, sha256(bytes)]).toEqual([file.sizeBytes, file.sha256]);
      const path = info.outputPath(`${one.kind}.webm`);
      await writeFile(path, bytes);

      const film = await readFilm(path);
      expect(film.codecs.sort()).toEqual(["opus", "vp8"]);
      expect(film.complaints).toBe("");
      expect(Math.abs(film.durationS * 1000 - (file.durationMs ?? 0))).toBeLessThan(500);
      const readable = film.frames.flatMap(({ picture }) => (picture ? [picture] : []));
      expect(readable.length, "frames that can be read").toBeGreaterThan(film.frames.length * 0.8);
      expect([...new Set(readable.map(({ id }) => id))]).toEqual([one.id]);
      expect(new Set(readable.map(({ counter }) => counter)).size).toBeGreaterThan(60);
      const backwards = readable.filter(({ counter }, index) => {
        const before = readable[index - 1]?.counter ?? counter;
        return ((counter - before) & 0x3ff) > 512;
      });
      expect(backwards, "frames in order").toEqual([]);

      const offsets = lateness(film, one.id);
      expect(flashes(film).length).toBeGreaterThanOrEqual(4);
      expect(offsets.length, "flashes with a beep").toBeGreaterThanOrEqual(4);
      const shown = offsets.map((offset) => Math.round(offset * 1000)).join(" ");
      expect(Math.abs(median(offsets)), `flash after beep in ms: ${shown}`).toBeLessThanOrEqual(0.15);
    });
  }

  await test.step("the recordings are listed, and play in both browsers", async () => {
    for (const [viewer, other] of [
      [ada, bob],
      [bob, ada],
    ] as const) {
      await viewer.page.goto(`${server.url}/recordings`);
      await expect(viewer.page.getByTestId("recording")).toHaveAttribute("data-state", "ready");
      await plays(viewer, other);
    }
    await ada.isAccessible("the recordings");
  });

  await test.step("the page downloads the file as it is", async () => {
    const file = ada.page.locator('[data-testid=recording-file][data-nickname="ada"]');
    const started = ada.page.waitForEvent("download");
    await file.getByTestId("download").click();
    const path = await (await started).path();
    expect(sha256(await readFile(path))).toBe(
      recording.files.find(({ nickname }) => nickname === "ada")?.sha256,
    );
  });

  await test.step("a telephone shows the recordings, and only the host deletes them", async () => {
    await cleo.page.goto(`${server.url}/recordings`);
    await expect(cleo.page.getByTestId("recording")).toBeVisible();
    await cleo.fits("the recordings");
    await cleo.isAccessible("the recordings on a telephone");
    await expect(cleo.page.getByTestId("delete")).toHaveCount(0);
    await ada.page.getByTestId("delete").click();
    await ada.isAccessible("the deletion");
    await ada.page.getByTestId("delete-confirm").click();
    await expect(ada.page.getByTestId("no-recording")).toBeVisible();
    await ada.isAccessible("no recordings");
  });
});
