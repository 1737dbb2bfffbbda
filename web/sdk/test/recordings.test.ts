import { expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import type { ServerFrame } from "../src/proto.js";
import { Recordings } from "../src/recordings.js";
import type { Socket } from "../src/socket.js";

function setUp(answer: unknown = undefined) {
  const address = (path: string) => `https://parlor.example${path}`;
  const request = vi.fn(async (..._: unknown[]) => answer);
  let say: (frame: ServerFrame) => void = () => undefined;
  const socket = {
    on: (_: string, listener: typeof say) => {
      say = listener;
    },
  };
  const recordings = new Recordings({ request, address } as unknown as Api, socket as unknown as Socket);
  return { recordings, asked: () => request.mock.calls, say: (frame: object) => say(frame as ServerFrame) };
}

test("each act has its call", async () => {
  const { recordings, asked } = setUp({ recordings: [] });
  await recordings.start("c");
  await recordings.stop("c");
  await recordings.ofCall("c");
  await recordings.list();
  await recordings.link("x", "f");
  await recordings.deleteFile("x", "f");
  await recordings.delete("x");
  await recordings.compose("x");
  await recordings.composition("x");
  await recordings.cancelComposition("x");
  expect(asked()).toEqual([
    ["POST", "/calls/c/recording"],
    ["DELETE", "/calls/c/recording"],
    ["GET", "/calls/c/recording"],
    ["GET", "/recordings"],
    ["POST", "/recordings/x/files/f/link"],
    ["DELETE", "/recordings/x/files/f"],
    ["DELETE", "/recordings/x"],
    ["POST", "/recordings/x/composed"],
    ["GET", "/recordings/x/composed"],
    ["DELETE", "/recordings/x/composed"],
  ]);
});

test("a link leads to the server, wherever the page is from", async () => {
  const { recordings } = setUp({ url: "/api/v1/file?signature=s", expiresAt: "" });
  expect((await recordings.link("x", "f")).url).toBe("https://parlor.example/api/v1/file?signature=s");
});

test("who asked for one file of all hears how far it is", () => {
  const { recordings, say } = setUp();
  const told: number[] = [];
  recordings.on("composed", ({ progress }) => told.push(progress));
  say({
    type: "recording.composed",
    data: { recordingId: "x", state: "running", progress: 0.42, error: null },
  });
  say({ type: "pong", data: {} });
  expect(told).toEqual([0.42]);
});
