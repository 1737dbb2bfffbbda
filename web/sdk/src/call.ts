import { Emitter } from "./emitter.js";
import { ConnectionLost, ParlorError } from "./errors.js";
import { Peer } from "./peer.js";
import type {
  Answer,
  Call as CallState,
  OfferedSource,
  Participant,
  RecordingStopped,
  ServerFrame,
  Slot,
  Speaker,
  Track,
  TrackSource,
  TrackStopped,
} from "./proto.js";
import { type RecordingNow, recordingAfter, recordingOf } from "./recording.js";
import type { Room } from "./room.js";
import { SlotMap } from "./slots.js";
import { expectType } from "./socket.js";
import { Tile, type TileOptions } from "./tile.js";
import { type Shown, viewOf } from "./view.js";

/** `consent`: the call is recorded, and we are not in it until `acceptRecording`. */
export type CallPhase = "idle" | "connecting" | "consent" | "connected" | "reconnecting" | "ended" | "failed";

/** The sound of one audio slot, to be played by an <audio> element. */
export interface AudioSlot {
  mid: string;
  stream: MediaStream;
  participantId: string | null;
}

export interface CallSnapshot {
  phase: CallPhase;
  callId: string | null;
  participantId: string | null;
  participants: Participant[];
  /** Loudest first. */
  speakers: Speaker[];
  audio: AudioSlot[];
  /** The recording that is about to start or runs. */
  recording: RecordingNow | null;
  /** What of ours the site's moderation stopped; it stays so as long as the call lasts. */
  moderated: readonly TrackSource[];
  /** Why the call could not be entered. */
  reason: { code: string; message: string } | null;
}

export interface CallEvents {
  change: CallSnapshot;
  /** The host or the site's moderation stopped a track of ours. */
  stopped: TrackStopped;
  /** The call is being recorded: ask the person, then `acceptRecording` or `leave`. */
  consent: { message: string };
  recordingStopped: RecordingStopped;
}

interface LocalTrack {
  track: MediaStreamTrack | null;
  muted: boolean;
}

/** ICE gets this long to mend itself before a restart, and a restart this long before a new connection. */
const MEND_MS = 4_000;
const RESTART_MS = 8_000;
const VIEW_AFTER_MS = 80;

/** Our part in a room's call: one connection, one offer, and slots that show whom the page wants to see. */
export class Call extends Emitter<CallEvents> {
  readonly #room: Room;
  readonly #off: (() => void)[];
  readonly #slots = new SlotMap();
  readonly #tiles = new Set<Tile>();
  readonly #local = new Map<TrackSource, LocalTrack>();
  readonly #trackIds = new Map<TrackSource, string>();
  readonly #turns = new Map<string, number>();
  readonly #participants = new Map<string, Participant>();
  readonly #resize: ResizeObserver;
  readonly #cross: IntersectionObserver;
  #peer: Peer | null = null;
  #phase: CallPhase = "idle";
  #callId: string | null = null;
  #recording: RecordingNow | null = null;
  /** The recording that the person agreed to, by word or by staying when it began. */
  #agreedTo: string | null = null;
  #accepts = false;
  #moderated: TrackSource[] = [];
  #participantId: string | null = null;
  #speakers: Speaker[] = [];
  #reason: CallSnapshot["reason"] = null;
  #negotiation: Promise<void> = Promise.resolve();
  #mending: ReturnType<typeof setTimeout> | undefined;
  #viewing: ReturnType<typeof setTimeout> | undefined;
  #lastView = "";
  #snapshot: CallSnapshot | null = null;

  constructor(room: Room) {
    super();
    this.#room = room;
    this.#off = [
      room.on("call", (frame) => this.#receive(frame)),
      room.on("state", ({ call, resumed }) => this.#roomState(call, resumed)),
    ];
    this.#resize = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) this.#measure(target, contentRect.width);
    });
    this.#cross = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#appear(target, isIntersecting);
    });
  }

  get snapshot(): CallSnapshot {
    this.#snapshot ??= this.#take();
    return this.#snapshot;
  }

  /** The connection, for statistics. */
  get connection(): RTCPeerConnection | null {
    return this.#peer?.connection ?? null;
  }

  /** Joins the call of the room, which must be joined. Local tracks may be set before or after. */
  async join(): Promise<void> {
    if (this.#phase !== "idle" && this.#phase !== "failed") return;
    this.#reason = null;
    this.#become("connecting");
    await this.#connect();
  }

  /** The person agrees to be recorded: offers again, and publishes. */
  async acceptRecording(): Promise<void> {
    if (this.#phase !== "consent") return;
    this.#accepts = true;
    this.#become("connecting");
    await this.#connect();
  }

  leave(): void {
    if (this.#phase === "ended") return;
    if (this.#phase !== "idle") this.#room.socket.send("call.leave", { roomId: this.#room.id });
    this.#become("ended");
    for (const off of this.#off) off();
    clearTimeout(this.#mending);
    clearTimeout(this.#viewing);
    this.#resize.disconnect();
    this.#cross.disconnect();
    for (const tile of this.#tiles) tile.close();
    this.#peer?.close();
    this.#peer = null;
  }

  /** Publishes a track, replaces it, or stops publishing it. The caller owns the track and stops it. */
  async publish(source: TrackSource, track: MediaStreamTrack | null): Promise<void> {
    const muted = this.#local.get(source)?.muted ?? false;
    this.#local.set(source, { track, muted });
    if (track) track.enabled = !muted;
    await this.#peer?.send(source, this.#sendable(source));
  }

  /** Mutes or unmutes our own track, and tells the others. */
  mute(source: TrackSource, muted: boolean): void {
    const local = this.#local.get(source) ?? { track: null, muted };
    this.#local.set(source, { ...local, muted });
    if (local.track) local.track.enabled = !muted;
    this.#tellMuted(source);
  }

  /** The host's mute: the server drops the packets of somebody's track. */
  async muteTrack(trackId: string, muted: boolean): Promise<void> {
    await this.#room.socket.request("call.mute_track", { roomId: this.#room.id, trackId, muted });
  }

  /** Shows a track in a <video> element until the returned function is called. The element's size decides the layer. */
  attach(trackId: string, video: HTMLVideoElement, options: TileOptions = {}): () => void {
    const tile = new Tile(trackId, video, options);
    this.#tiles.add(tile);
    this.#resize.observe(video);
    this.#cross.observe(video);
    this.#measure(video, video.clientWidth);
    this.#showTile(tile);
    return () => {
      this.#tiles.delete(tile);
      this.#resize.unobserve(video);
      this.#cross.unobserve(video);
      tile.close();
      this.#viewSoon();
    };
  }

  /** The slot that carries a track now. */
  slotOf(trackId: string): Slot | null {
    return this.#slots.of(trackId);
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case "call.participant": {
        const { participant } = frame.data;
        this.#participants.set(participant.participantId, participant);
        break;
      }
      case "call.participant_left":
        this.#participants.delete(frame.data.participantId);
        break;
      case "call.speakers":
        this.#speakers = frame.data.speakers;
        break;
      case "slots":
        this.#takeSlots(frame.data.slots);
        break;
      case "track.stopped":
        this.#stopped(frame.data);
        return;
      case "recording.starting":
      case "recording.started":
      case "recording.stopped":
        this.#recorded(frame);
        return;
      case "call.ended":
        if (this.#phase === "ended" || this.#phase === "idle") return;
        void this.#reconnect();
        return;
      default:
        return;
    }
    this.#changed();
  }

  /** What of ours may be sent: what moderation stopped would only be dropped. */
  #sendable(source: TrackSource): MediaStreamTrack | null {
    return this.#moderated.includes(source) ? null : (this.#local.get(source)?.track ?? null);
  }

  #stopped(stopped: TrackStopped): void {
    const { source, reason } = stopped;
    if (reason === "moderation" && !this.#moderated.includes(source)) {
      this.#moderated = [...this.#moderated, source];
      void this.#peer?.send(source, null);
      this.#changed();
    }
    this.emit("stopped", stopped);
  }

  #recorded(frame: ServerFrame): void {
    this.#recording = recordingAfter(this.#recording, frame, Date.now());
    this.#agree();
    this.#changed();
    if (frame.type === "recording.stopped") this.emit("recordingStopped", frame.data);
    // There is nothing to agree to any more.
    if (this.#recording || this.#phase !== "consent") return;
    this.#become("connecting");
    void this.#connect();
  }

  // Who does not agree leaves: to be in the call while it is recorded is to agree, also after a lost connection.
  #agree(): void {
    if (this.#participantId && this.#recording?.state === "running")
      this.#agreedTo = this.#recording.recordingId;
  }

  #takeSlots(slots: Slot[]): void {
    for (const { mid } of this.#slots.apply(slots)) this.#turns.set(mid, (this.#turns.get(mid) ?? 0) + 1);
    for (const tile of this.#tiles) this.#showTile(tile);
  }

  #showTile(tile: Tile): void {
    const slot = this.#slots.of(tile.trackId);
    const stream = slot ? (this.#peer?.stream(slot.mid) ?? null) : null;
    const turn = slot && stream ? `${stream.id}/${slot.mid}/${this.#turns.get(slot.mid) ?? 0}` : "";
    tile.show({ stream, turn, from: slot?.rtpTimestamp ?? null });
  }

  // The room's state came again after a lost socket. A resumed session has its seat, and media never stopped; else the server
  // knows nothing of us any more, and we begin anew.
  #roomState(call: CallState | null, resumed: boolean): void {
    if (this.#phase === "ended") return;
    if (call) {
      this.#callId = call.callId;
      this.#recording = recordingOf(call, this.#recording);
      this.#everyone(call.participants);
    }
    this.#changed();
    if (this.#phase === "idle" || this.#phase === "failed" || this.#phase === "consent") return;
    const peer = this.#peer;
    if (!resumed || !peer || this.#participantId === null) {
      void this.#reconnect();
      return;
    }
    this.#mend(peer);
    this.#lastView = "";
    this.#viewSoon();
  }

  #everyone(participants: Participant[]): void {
    this.#participants.clear();
    for (const participant of participants) this.#participants.set(participant.participantId, participant);
  }

  async #reconnect(): Promise<void> {
    this.#become("reconnecting");
    await this.#connect();
  }

  /** A fresh connection: the first one, or one in place of one that is beyond mending. */
  async #connect(): Promise<void> {
    clearTimeout(this.#mending);
    const before = this.#peer;
    before?.close();
    this.#slots.clear();
    this.#participantId = null;
    this.#lastView = "";
    const iceServers = await this.#room.api.iceServers().catch(() => []);
    if (this.#phase === "ended" || this.#peer !== before) return;
    const peer = new Peer(iceServers, before?.videoSlots);
    this.#peer = peer;
    peer.connection.addEventListener("connectionstatechange", () => this.#connectionChanged(peer));
    for (const tile of this.#tiles) this.#showTile(tile);
    for (const source of this.#local.keys()) {
      const track = this.#sendable(source);
      if (track) await peer.send(source, track);
    }
    await this.#negotiate(peer, false);
  }

  /** One offer, one answer; a second one waits for the first. */
  #negotiate(peer: Peer, iceRestart: boolean): Promise<void> {
    this.#negotiation = this.#negotiation.then(async () => {
      if (this.#peer !== peer) return;
      try {
        const offer = await peer.offer(iceRestart);
        const acceptRecording = this.#accepts || (this.#recording?.recordingId ?? "") === this.#agreedTo;
        const data = { roomId: this.#room.id, ...offer, acceptRecording };
        const frame = await this.#room.socket.request("call.offer", data);
        const answer = expectType(frame, "call.answer").data;
        if (this.#peer !== peer) return;
        // At once: what is told of somebody while the browser takes the answer is newer than this list.
        this.#everyone(answer.participants);
        await peer.answer(answer.sdp);
        this.#answered(answer, offer.tracks);
        // An ICE restart can mend the path without any change of state.
        if (this.#phase === "reconnecting" && peer.connection.connectionState === "connected")
          this.#connectionChanged(peer);
      } catch (error) {
        if (this.#peer === peer) this.#refused(error, peer, iceRestart);
      }
    });
    return this.#negotiation;
  }

  #answered({ callId, participantId, tracks }: Answer, offered: OfferedSource[]): void {
    this.#callId = callId;
    this.#participantId = participantId;
    this.#accepts = false;
    this.#agree();
    for (const { mid, source } of offered) {
      const trackId = tracks.find((track) => track.mid === mid)?.trackId;
      if (trackId) this.#trackIds.set(source, trackId);
    }
    for (const source of this.#local.keys()) this.#tellMuted(source);
    for (const tile of this.#tiles) this.#showTile(tile);
    this.#changed();
    this.#viewSoon();
  }

  #refused(error: unknown, peer: Peer, iceRestart: boolean): void {
    // A lost socket comes back, and the room's state with it: that begins anew.
    if (error instanceof ConnectionLost) return;
    if (error instanceof ParlorError && error.code === "rate_limited") {
      setTimeout(() => void this.#negotiate(peer, iceRestart), error.retryAfterMs ?? 1_000);
      return;
    }
    const { code, message } =
      error instanceof ParlorError ? error : { code: "internal", message: String(error) };
    this.#peer?.close();
    this.#peer = null;
    if (code === "recording_consent") {
      this.#become("consent");
      this.emit("consent", { message });
      return;
    }
    this.#reason = { code, message };
    this.#become("failed");
  }

  #connectionChanged(peer: Peer): void {
    if (this.#peer !== peer || this.#phase === "ended") return;
    const state = peer.connection.connectionState;
    if (state === "connected") {
      clearTimeout(this.#mending);
      this.#room.socket.send("call.ready", { roomId: this.#room.id });
      this.#become("connected");
    } else if (state === "disconnected" || state === "failed") {
      this.#become("reconnecting");
      clearTimeout(this.#mending);
      this.#mending = setTimeout(() => this.#mend(peer), state === "failed" ? 0 : MEND_MS);
    }
  }

  /** The network changed under us: new ICE credentials on the same connection, and if that fails, a new connection. */
  #mend(peer: Peer): void {
    if (this.#peer !== peer || peer.connection.connectionState === "connected") return;
    // Without the socket nothing can be negotiated; the room's next state comes with it.
    if (this.#room.socket.state !== "open") return;
    void this.#negotiate(peer, true);
    this.#mending = setTimeout(() => {
      if (this.#peer !== peer) return;
      if (peer.connection.connectionState === "connected") this.#connectionChanged(peer);
      else void this.#reconnect();
    }, RESTART_MS);
  }

  #tellMuted(source: TrackSource): void {
    const trackId = this.#trackIds.get(source);
    const muted = this.#local.get(source)?.muted;
    if (trackId === undefined || muted === undefined) return;
    this.#room.socket.send("call.mute", { roomId: this.#room.id, trackId, muted });
  }

  #measure(element: Element, width: number): void {
    for (const tile of this.#tiles)
      if (tile.video === element) tile.width = Math.round(width * devicePixelRatio);
    this.#viewSoon();
  }

  #appear(element: Element, visible: boolean): void {
    for (const tile of this.#tiles) if (tile.video === element) tile.visible = visible;
    this.#viewSoon();
  }

  #viewSoon(): void {
    clearTimeout(this.#viewing);
    this.#viewing = setTimeout(() => this.#tellView(), VIEW_AFTER_MS);
  }

  #tellView(): void {
    const peer = this.#peer;
    if (!peer || !this.#participantId) return;
    const shown = [...this.#tiles].map(
      ({ trackId, width, visible, options }): Shown => ({
        trackId,
        width,
        visible,
        priority: options.priority ?? 1,
      }),
    );
    const tracks = viewOf(shown);
    if (peer.grow(tracks.filter(({ visible }) => visible).length)) void this.#negotiate(peer, false);
    const text = JSON.stringify(tracks);
    if (text === this.#lastView) return;
    if (this.#room.socket.send("view", { roomId: this.#room.id, tracks })) this.#lastView = text;
  }

  #become(phase: CallPhase): void {
    this.#phase = phase;
    this.#changed();
  }

  #changed(): void {
    this.#snapshot = null;
    this.emit("change", this.snapshot);
  }

  #take(): CallSnapshot {
    const peer = this.#peer;
    return {
      phase: this.#phase,
      callId: this.#callId,
      participantId: this.#participantId,
      participants: [...this.#participants.values()],
      speakers: this.#speakers,
      audio: (peer?.audioMids ?? []).flatMap((mid) => {
        const stream = peer?.stream(mid);
        return stream ? [{ mid, stream, participantId: this.#slots.at(mid)?.participantId ?? null }] : [];
      }),
      recording: this.#recording,
      moderated: this.#moderated,
      reason: this.#reason,
    };
  }
}

/** The track of a participant with this source. */
export function trackOf(participant: Participant, source: TrackSource): Track | null {
  return participant.tracks.find((track) => track.source === source) ?? null;
}
