import { vi } from "vitest";

/** As much of a browser as a call needs to make offers and take answers; no packet moves. */
export class FakeConnection extends EventTarget {
  static readonly made: FakeConnection[] = [];
  /** How long the browser takes over an answer. */
  static answering: Promise<void> = Promise.resolve();
  connectionState = "new";
  localDescription: { sdp: string } | null = null;
  readonly senders: { track: unknown; encodings: RTCRtpEncodingParameters[] }[] = [];
  #mids = 0;

  constructor() {
    super();
    FakeConnection.made.push(this);
  }

  addTransceiver(
    kind: string,
    { direction, sendEncodings = [{}] }: { direction: string; sendEncodings?: RTCRtpEncodingParameters[] },
  ) {
    const sent = {
      track: null as unknown,
      encodings: structuredClone(sendEncodings),
      replaceTrack: async (track: unknown) => {
        sent.track = track;
      },
      getParameters: () => ({ encodings: structuredClone(sent.encodings) }),
      setParameters: async ({ encodings }: { encodings: RTCRtpEncodingParameters[] }) => {
        sent.encodings = encodings;
      },
    };
    if (direction === "sendonly") this.senders.push(sent);
    const mid = String(this.#mids++);
    return { mid, sender: sent, receiver: { track: { kind } }, setCodecPreferences: () => undefined };
  }

  async createOffer() {
    return { sdp: "offer" };
  }

  async setLocalDescription(description: { sdp: string }) {
    this.localDescription = description;
  }

  async setRemoteDescription() {
    await FakeConnection.answering;
  }

  /** An encoder that lacks processor time, when a test says so. */
  limited = false;

  async getStats() {
    const reason = this.limited ? "cpu" : "none";
    return new Map([["out", { type: "outbound-rtp", qualityLimitationReason: reason }]]);
  }

  close() {
    this.connectionState = "closed";
  }

  become(state: string): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
}

/** Puts it in place of the browser's own; `vi.unstubAllGlobals` takes it away. */
export function stubBrowser(): void {
  FakeConnection.made.length = 0;
  const observer = class {
    observe = () => undefined;
    unobserve = () => undefined;
    disconnect = () => undefined;
  };
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
  vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => ({ codecs: [] }) });
  vi.stubGlobal(
    "MediaStream",
    class {
      id = "stream";
    },
  );
  vi.stubGlobal("ResizeObserver", observer);
  vi.stubGlobal("IntersectionObserver", observer);
}
