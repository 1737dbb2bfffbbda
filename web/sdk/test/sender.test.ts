import { expect, test, vi } from "vitest";
import { layersFor, narrowCodecs, type PictureCodec, watchedLayers } from "../src/encodings.js";
import { Sender } from "../src/sender.js";

type Encoding = RTCRtpEncodingParameters & { scalabilityMode?: string };

/** A browser's sender: it keeps what it is told, takes its time over it, and refuses parameters that are not its latest. */
class Browser {
  encodings: Encoding[] = [];
  degradationPreference: string | undefined;
  readonly set: Encoding[][] = [];
  track: unknown = null;
  refuses = 0;
  #transaction = 0;

  readonly #temporalLayers: boolean;

  constructor(temporalLayers = true) {
    this.#temporalLayers = temporalLayers;
    vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => ({ codecs: [] }) });
  }

  get connection(): RTCPeerConnection {
    return this as unknown as RTCPeerConnection;
  }

  addTransceiver(_: string, { sendEncodings = [{}] }: { sendEncodings?: Encoding[] }) {
    if (!this.#temporalLayers && sendEncodings.some(({ scalabilityMode }) => scalabilityMode))
      throw new DOMException("no such mode", "OperationError");
    this.encodings = structuredClone(sendEncodings);
    return { mid: "1", sender: this, setCodecPreferences: () => undefined };
  }

  getParameters() {
    return { encodings: structuredClone(this.encodings), transactionId: String(++this.#transaction) };
  }

  async setParameters(parameters: {
    encodings: Encoding[];
    transactionId: string;
    degradationPreference?: string;
  }) {
    await Promise.resolve();
    if (this.refuses-- > 0 || parameters.transactionId !== String(this.#transaction))
      throw new DOMException("stale", "InvalidStateError");
    this.encodings = structuredClone(parameters.encodings);
    this.degradationPreference = parameters.degradationPreference;
    this.set.push(this.encodings);
  }

  async replaceTrack(track: unknown) {
    this.track = track;
  }

  get active() {
    return this.encodings.map(({ active }) => active);
  }
}

const camera = (width: number) => ({ getSettings: () => ({ width }) }) as unknown as MediaStreamTrack;

test("layers that nobody watches rest, and resume", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "camera", "detail");
  await sender.replace(camera(1280));
  expect(browser.active).toEqual([true, true, true]);
  await sender.watch([true, false, false]);
  expect(browser.active).toEqual([true, false, false]);
  await sender.watch([false, false, false]);
  expect(browser.active).toEqual([false, false, false]);
  await sender.watch([true, false, true]);
  expect(browser.active).toEqual([true, false, true]);
});

test("orders that overtake the browser end as the last one says", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "camera", "detail");
  const orders = [
    sender.replace(camera(1280)),
    sender.watch([true, false, false]),
    sender.watch([true, true, true]),
    sender.watch([false, true, false]),
    sender.replace(camera(1920)),
  ];
  await Promise.all(orders);
  expect(browser.active).toEqual([false, true, false]);
});

test("a new camera is sent in the layers that are watched", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "camera", "detail");
  await sender.watch([false, false, true]);
  await sender.replace(camera(640));
  expect(browser.active).toEqual([false, true, false]);
  expect(browser.encodings.map(({ scaleResolutionDownBy }) => scaleResolutionDownBy)).toEqual([2, 1, 1]);
});

test("parameters that became stale are read anew", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "camera", "detail");
  browser.refuses = 1;
  await sender.watch([true, false, false]);
  expect(browser.active).toEqual([true, false, false]);
});

test("an order that fails does not hold up the next", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "camera", "detail");
  browser.refuses = 2;
  await expect(sender.watch([true, false, false])).rejects.toThrow("stale");
  await sender.watch([true, true, false]);
  expect(browser.active).toEqual([true, true, false]);
});

test("nothing is set that stands already", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "camera", "detail");
  await sender.replace(camera(1280));
  await sender.watch([true, true, true]);
  await sender.watch([true, true, true]);
  expect(browser.set).toHaveLength(1);
});

test("temporal layers are asked for where the browser has them", () => {
  const mode = ({ encodings }: Browser) => encodings.map(({ scalabilityMode }) => scalabilityMode);
  for (const [temporal, expected] of [
    [true, "L1T3"],
    [false, undefined],
  ] as const) {
    const browser = new Browser(temporal);
    new Sender(browser.connection, "camera", "detail");
    expect(mode(browser)).toEqual([expected, expected, expected]);
  }
});

test("a share is sharp and slow, or smooth, and changes while it runs", async () => {
  const browser = new Browser();
  const sender = new Sender(browser.connection, "screen", "detail");
  await sender.replace(camera(1920));
  expect(browser.encodings).toMatchObject([{ maxFramerate: 15, scalabilityMode: "L1T3", active: true }]);
  expect(browser.encodings[0]?.scaleResolutionDownBy).toBeUndefined();
  expect(browser.degradationPreference).toBe("maintain-resolution");
  await sender.share("motion");
  expect(browser.encodings).toMatchObject([{ maxFramerate: 30 }]);
  expect(browser.degradationPreference).toBe("balanced");
  await sender.watch([false]);
  expect(browser.active).toEqual([false]);
});

test("who watches a layer that a capture is not worth gets the next lower one", () => {
  const of = (width: number, watched: boolean[] | null) =>
    watchedLayers(layersFor(width), watched).map(({ active }) => active);
  expect(of(1280, null)).toEqual([true, true, true]);
  expect(of(640, null)).toEqual([true, true, false]);
  expect(of(320, [false, false, true])).toEqual([true, false, false]);
  expect(of(640, [true, false, true])).toEqual([true, true, false]);
  expect(of(1280, [false, false])).toEqual([false, false, false]);
});

test("codecs are narrowed: redundant audio first where there is any, VP8, and H.264 only where that is missing", () => {
  const preferred = (kind: "audio" | "video", mimeTypes: string[], pictures?: PictureCodec[]) => {
    const codecs = mimeTypes.map((mimeType) => ({ mimeType }));
    vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => ({ codecs }) });
    let chosen: string[] = [];
    const setCodecPreferences = (codecs: { mimeType: string }[]) => {
      chosen = codecs.map(({ mimeType }) => mimeType);
    };
    narrowCodecs({ setCodecPreferences } as unknown as RTCRtpTransceiver, kind, pictures);
    return chosen;
  };
  expect(preferred("audio", ["audio/opus", "audio/PCMU", "audio/red"])).toEqual(["audio/red", "audio/opus"]);
  expect(preferred("audio", ["audio/opus", "audio/PCMU"])).toEqual(["audio/opus"]);
  expect(preferred("video", ["video/VP8", "video/rtx", "video/H264"])).toEqual(["video/VP8", "video/rtx"]);
  expect(preferred("video", ["video/H264", "video/rtx"])).toEqual(["video/H264", "video/rtx"]);
  const all = ["video/AV1", "video/VP8", "video/rtx", "video/VP9"];
  expect(preferred("video", all, ["vp9"])).toEqual(["video/VP9", "video/VP8", "video/rtx"]);
  expect(preferred("video", all, ["vp8", "vp9", "av1"])).toEqual([
    "video/VP9",
    "video/AV1",
    "video/VP8",
    "video/rtx",
  ]);
});

test("VP9 and AV1 are one stream of layers, and rest as one", async () => {
  const browser = new Browser();
  vi.stubGlobal("RTCRtpSender", { getCapabilities: () => ({ codecs: [{ mimeType: "video/VP9" }] }) });
  const sender = new Sender(browser.connection, "camera", "detail", "vp9");
  expect(browser.encodings).toEqual([{ maxBitrate: 1_700_000, scalabilityMode: "L3T3_KEY" }]);
  await sender.replace(camera(1280));
  await sender.watch([false, false, false]);
  expect(browser.active).toEqual([false]);
  await sender.watch([true, false, false]);
  expect(browser.active).toEqual([true]);
  const without = new Browser();
  new Sender(without.connection, "camera", "detail", "av1");
  expect(without.encodings).toHaveLength(3);
});
