import { narrowCodecs, type PictureCodec, type ShareMode } from "./encodings.js";
import type { OfferedSource, TrackSource } from "./proto.js";
import { Sender } from "./sender.js";
import { AUDIO_SLOTS, MOST_VIDEO_SLOTS, VIDEO_SLOTS, videoSlots } from "./view.js";

export const SOURCES: readonly TrackSource[] = ["microphone", "camera", "screen", "screenAudio"];

/**
 * One RTCPeerConnection laid out as the protocol wants it: four send-only transceivers (none for who only watches), then the
 * receive slots. It makes offers and takes answers; it knows nothing of the socket.
 */
export class Peer {
  readonly connection: RTCPeerConnection;
  readonly #senders: readonly Sender[];
  readonly #streams = new Map<string, MediaStream>();
  readonly #slots: RTCRtpTransceiver[] = [];
  #videoSlots = 0;

  constructor(
    iceServers: RTCIceServer[],
    mode: ShareMode,
    wantedVideoSlots = VIDEO_SLOTS,
    codec: PictureCodec = "vp8",
    sources: readonly TrackSource[] = SOURCES,
  ) {
    this.connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#senders = sources.map((source) => new Sender(this.connection, source, mode, codec));
    for (let index = 0; index < AUDIO_SLOTS; index += 1) this.#addSlot("audio");
    this.#addVideoSlots(wantedVideoSlots);
  }

  /** Whether it only receives. */
  get watches(): boolean {
    return this.#senders.length === 0;
  }

  get videoSlots(): number {
    return this.#videoSlots;
  }

  /** Audio slots in the order of the offer, once it is made. */
  get audioMids(): string[] {
    return this.#slots
      .filter(({ receiver }) => receiver.track.kind === "audio")
      .flatMap(({ mid }) => mid ?? []);
  }

  /** More slots for a layout of `visible` tiles; true when a new offer has to tell the server of them. */
  grow(visible: number): boolean {
    const more = Math.min(videoSlots(this.#videoSlots, visible), MOST_VIDEO_SLOTS) - this.#videoSlots;
    this.#addVideoSlots(more);
    return more > 0;
  }

  /** The media stream of a slot; the same object as long as the connection lives. */
  stream(mid: string): MediaStream | null {
    const known = this.#streams.get(mid);
    if (known) return known;
    const transceiver = this.#slots.find((slot) => slot.mid === mid);
    if (!transceiver) return null;
    const stream = new MediaStream([transceiver.receiver.track]);
    this.#streams.set(mid, stream);
    return stream;
  }

  receiver(mid: string): RTCRtpReceiver | null {
    return this.#slots.find((slot) => slot.mid === mid)?.receiver ?? null;
  }

  async offer(iceRestart: boolean): Promise<{ sdp: string; tracks: OfferedSource[] }> {
    await this.connection.setLocalDescription(await this.connection.createOffer({ iceRestart }));
    const tracks = this.#senders.map(({ mid, source }) => ({ mid, source }));
    return { sdp: this.connection.localDescription?.sdp ?? "", tracks };
  }

  async answer(sdp: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** Puts a track on the wire, or takes it off. Nobody renegotiates. */
  async send(source: TrackSource, track: MediaStreamTrack | null): Promise<void> {
    await this.#sender(source)?.replace(track);
  }

  /** Which layers of a source anybody watches. */
  async watch(source: TrackSource, layers: readonly boolean[]): Promise<void> {
    await this.#sender(source)?.watch(layers);
  }

  async share(mode: ShareMode): Promise<void> {
    await this.#sender("screen")?.share(mode);
  }

  close(): void {
    this.connection.close();
  }

  #sender(source: TrackSource): Sender | undefined {
    return this.#senders.find((sender) => sender.source === source);
  }

  #addSlot(kind: "audio" | "video"): void {
    const transceiver = this.connection.addTransceiver(kind, { direction: "recvonly" });
    narrowCodecs(transceiver, kind, ["vp8", "vp9", "av1"]);
    this.#slots.push(transceiver);
  }

  #addVideoSlots(count: number): void {
    for (let index = 0; index < count; index += 1) this.#addSlot("video");
    this.#videoSlots += Math.max(0, count);
  }
}
