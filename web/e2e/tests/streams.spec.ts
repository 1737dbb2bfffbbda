import type { Kind } from "../browsers.ts";
import { expect, test } from "../meeting.ts";
import type { Person } from "../person.ts";

declare global {
  /** What this page plays, or publishes, by HTTP alone. */
  var __stream: {
    connection: RTCPeerConnection;
    session: string;
    token: string;
    video: HTMLVideoElement | null;
  };
}

interface Way {
  path: string;
  token: string;
}

/** In the page: publishes camera and microphone as a program does, by one offer. */
async function publish({ path, token }: Way): Promise<void> {
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  for (const track of stream.getTracks()) connection.addTransceiver(track, { direction: "sendonly" });
  await connection.setLocalDescription();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/sdp" };
  const response = await fetch(path, {
    method: "POST",
    headers,
    body: connection.localDescription?.sdp ?? "",
  });
  if (!response.ok) throw new Error(await response.text());
  const session = response.headers.get("location") ?? "";
  await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  globalThis.__stream = { connection, session, token, video: null };
}

/** In the page: plays what the call shows to whoever asks for nothing. */
async function play({ path, token }: Way): Promise<void> {
  const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const stream = new MediaStream();
  for (const kind of ["audio", "video"]) {
    stream.addTrack(connection.addTransceiver(kind, { direction: "recvonly" }).receiver.track);
  }
  await connection.setLocalDescription();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/sdp" };
  const response = await fetch(path, {
    method: "POST",
    headers,
    body: connection.localDescription?.sdp ?? "",
  });
  if (!response.ok) throw new Error(await response.text());
  const session = response.headers.get("location") ?? "";
  await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  video.srcObject = stream;
  document.body.append(video);
  globalThis.__stream = { connection, session, token, video };
}

async function stop(): Promise<number> {
  const { connection, session, token } = globalThis.__stream;
  const response = await fetch(session, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
  connection.close();
  return response.status;
}

/** What the page's video shows now, if it is one of our pictures. */
const shown = (person: Person) =>
  person.page.evaluate(() => {
    const { video } = globalThis.__stream;
    return (video && globalThis.__media.readVideo(video)) ?? null;
  });

const hears = (person: Person, id: number) =>
  person.page.evaluate((tone) => {
    const stream = globalThis.__stream.video?.srcObject;
    return stream instanceof MediaStream && (globalThis.__media.hear(stream).tones[tone] ?? 0) > 0;
  }, id);

/** Makes a key in the host's panel, and reads what the page shows of it. */
async function makeKey(host: Person, name: string, kind: "publish" | "watch"): Promise<Way> {
  await host.types("stream-key-name", name);
  await host.page.getByTestId(`stream-kind-${kind}`).check();
  await host.page.getByTestId("stream-key-create").click();
  await expect(host.page.locator(`[data-testid=stream-key][data-name="${name}"]`)).toBeVisible();
  const address = (await host.page.getByTestId("stream-key-url").textContent()) ?? "";
  expect(address).toContain(kind === "publish" ? "/whip" : "/whep");
  return {
    path: new URL(address).pathname,
    token: (await host.page.getByTestId("stream-key-secret").textContent()) ?? "",
  };
}

for (const kind of ["chromium", "firefox"] satisfies Kind[]) {
  test(`a program publishes to an audience, and ${kind} plays it without the page`, async ({
    server,
    person,
  }) => {
    const host = await person("chromium", "olga", { id: 1 });
    const program = await person("chromium", "program", { id: 7 });
    const player = await person(kind, "player", { id: 3 });
    const viewer = await person(kind, "ada", { id: 4 });
    await host.enter(server.url);
    await host.page.getByTestId("create-room").click();
    await host.types("room-name", "The stream");
    await host.page.getByTestId("room-live").check();
    await host.page.getByTestId("create-submit").click();
    await host.join();
    await host.page.getByTestId("host").click();
    const to = await makeKey(host, "Studio", "publish");
    await host.isAccessible("the host's panel with a new key");

    await program.page.goto(server.url);
    await program.page.evaluate(publish, to);
    await host.sees("Studio", 7);
    await host.hears("Studio", 7);

    const from = await makeKey(host, "Screen in the hall", "watch");
    await player.page.goto(server.url);
    await player.page.evaluate(play, from);
    await expect.poll(async () => (await shown(player))?.id).toBe(7);
    const before = (await shown(player))?.counter;
    await expect.poll(async () => (await shown(player))?.counter, "the picture moves").not.toBe(before);
    await expect.poll(() => hears(player, 7)).toBe(true);

    // On the page one watches without being asked for a camera.
    await viewer.enter(host.page.url());
    await viewer.join();
    await viewer.sees("Studio", 7);
    await expect(viewer.page.getByTestId("camera")).toHaveCount(0);
    await expect(viewer.page.getByTestId("host")).toHaveCount(0);

    expect(await player.page.evaluate(stop)).toBe(200);
    // The key's end is the program's.
    await host.page
      .locator('[data-testid=stream-key][data-name="Studio"]')
      .getByTestId("stream-key-revoke")
      .click();
    await expect(host.page.locator('[data-testid=tile][data-nickname="Studio"]')).toHaveCount(0);
    await expect(viewer.page.locator('[data-testid=tile][data-nickname="Studio"]')).toHaveCount(0);
  });
}
