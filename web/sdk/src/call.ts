import { Emitter } from "./emitter.js";
import type { PictureCodec, ShareMode } from "./encodings.js";
import { ConnectionLost, ParlorError } from "./errors.js";
import { type CallOver, Hosting, heldAfter, NO_CONTROLS, stillHeld, waitersAfter } from "./hosting.js";
import { onNetworkChange } from "./network.js";
import { Outgoing } from "./outgoing.js";
import { Peer, SOURCES } from "./peer.js";
import type {
  Answer,
  CallEnded,
  Call as CallState,
  Controls,
  OfferedSource,
  Participant,
  ServerFrame,
  Slot,
  Speaker,
  Track,
  TrackSource,
  TrackStopped,
  Waiter,
} from "./proto.js";
import { qualityOf, rate } from "./quality.js";
import { type RecordingNow, recordingAfter, recordingOf } from "./recording.js";
import type { Room } from "./room.js";
import { SlotMap } from "./slots.js";
import type { CallEvents, CallPhase, CallSnapshot } from "./snapshot.js";
import { expectType } from "./socket.js";
import { isLimited, LOOK_EVERY_MS, Strain } from "./strain.js";
import type { Tile, TileOptions } from "./tile.js";
import { Tiles } from "./tiles.js";
import { viewOf } from "./view.js";

/** ICE gets this long to mend itself before a restart, and a restart this long before a new connection. */
const MEND_MS = 4_000;
const RESTART_MS = 8_000;
const VIEW_AFTER_MS = 80;

export interface CallOptions {
  /** What our pictures are sent in, where the browser has it and the server takes it; else VP8, which is the default. */
  codec?: PictureCodec;
  /** What may be published: an offer with more than the place offers is refused as a whole. All by default. */
  sources?: readonly TrackSource[];
}

/** Our part in a room's call: one connection, one offer, and slots that show whom the page wants to see. */
export class Call extends Emitter<CallEvents> {
  /** What hosts do. */
  readonly hosting: Hosting;
  readonly #room: Room;
  readonly #off: (() => void)[];
  readonly #slots = new SlotMap();
  readonly #tiles = new Tiles(() => this.#viewSoon());
  readonly #outgoing: Outgoing;
  readonly #strain = new Strain();
  readonly #turns = new Map<string, number>();
  readonly #participants = new Map<string, Participant>();
  #peer: Peer | null = null;
  readonly #codec: PictureCodec;
  readonly #sources: readonly TrackSource[];
  #phase: CallPhase = "idle";
  #callId: string | null = null;
  #recording: RecordingNow | null = null;
  /** The recording that the person agreed to, by word or by staying when it began. */
  #agreedTo: string | null = null;
  #accepts = false;
  #controls: Controls = NO_CONTROLS;
  #waiting: readonly Waiter[] = [];
  #over: CallOver | null = null;
  /** How many watch a live room's call. */
  #viewers = 0;
  #participantId: string | null = null;
  #speakers: Speaker[] = [];
  #reason: CallSnapshot["reason"] = null;
  #negotiation: Promise<void> = Promise.resolve();
  #mending: ReturnType<typeof setTimeout> | undefined;
  /** The device is on another network, and the connection may only seem to live. */
  #moved = false;
  #viewing: ReturnType<typeof setTimeout> | undefined;
  #looking: ReturnType<typeof setInterval> | undefined;
  #lastView = "";
  #snapshot: CallSnapshot | null = null;

  constructor(room: Room, { codec = "vp8", sources = SOURCES }: CallOptions = {}) {
    super();
    this.#room = room;
    this.#codec = codec;
    this.#sources = sources;
    this.hosting = new Hosting(room);
    this.#outgoing = new Outgoing((trackId, muted) => {
      room.socket.send("call.mute", { roomId: room.id, trackId, muted });
    });
    this.#off = [
      room.on("call", (frame) => this.#receive(frame)),
      room.on("state", ({ call, resumed }) => this.#roomState(call, resumed)),
      room.on("change", () => {
        // Whoever watched and may publish now begins anew, with lines that send.
        if (this.#peer?.watches && room.mayPublish) void this.#reconnect();
      }),
      onNetworkChange(() => this.#networkChanged()),
    ];
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
    this.#end();
  }

  #end(): void {
    this.#become("ended");
    for (const off of this.#off) off();
    clearTimeout(this.#mending);
    clearTimeout(this.#viewing);
    clearInterval(this.#looking);
    this.#tiles.close();
    this.#peer?.close();
    this.#peer = null;
  }

  /** Publishes a track, replaces it, or stops publishing it. The caller owns the track and stops it. */
  async publish(source: TrackSource, track: MediaStreamTrack | null): Promise<void> {
    await this.#outgoing.publish(source, track);
  }

  /** Mutes or unmutes our own track, and tells the others. */
  mute(source: TrackSource, muted: boolean): void {
    this.#outgoing.mute(source, muted);
  }

  /** Shares the screen for reading (sharp, few frames) or for watching (many frames); also while it is shared. */
  async shareMode(mode: ShareMode): Promise<void> {
    await this.#outgoing.share(mode);
  }

  /** The host's mute: the server drops the packets of somebody's track. */
  async muteTrack(trackId: string, muted: boolean): Promise<void> {
    await this.#room.socket.request("call.mute_track", { roomId: this.#room.id, trackId, muted });
  }

  /** Shows a track in a <video> element until the returned function is called. The element's size decides the layer. */
  attach(trackId: string, video: HTMLVideoElement, options: TileOptions = {}): () => void {
    const tile = this.#tiles.add(trackId, video, options);
    this.#showTile(tile);
    return () => this.#tiles.remove(tile);
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
        this.#own(participant);
        break;
      }
      case "call.controls":
        this.#controls = frame.data.controls;
        this.emit("hosted", frame.data);
        break;
      case "call.waiting":
        this.#waiting = waitersAfter(this.#waiting, frame.data);
        break;
      case "call.participant_left":
        this.#participants.delete(frame.data.participantId);
        break;
      case "call.quality":
        rate(this.#participants, frame.data.participants);
        this.emit("quality", frame.data.participants);
        break;
      case "call.viewers":
        this.#viewers = frame.data.viewers;
        break;
      case "call.speakers":
        this.#speakers = frame.data.speakers;
        break;
      case "slots":
        this.#takeSlots(frame.data.slots);
        break;
      case "call.layers":
        // What cannot be switched off goes on being sent: nothing is lost but bandwidth.
        this.#outgoing.watch(frame.data).catch(() => undefined);
        return;
      case "track.stopped":
        this.#stopped(frame.data);
        return;
      case "recording.starting":
      case "recording.started":
      case "recording.stopped":
        this.#recorded(frame);
        return;
      case "call.ended":
        this.#ended(frame.data);
        return;
      default:
        return;
    }
    this.#changed();
  }

  #stopped(stopped: TrackStopped): void {
    const { source, reason } = stopped;
    const outgoing = this.#outgoing;
    outgoing.hold(heldAfter(outgoing.held, stopped));
    if (source === "microphone") outgoing.follow(this.#ownTracks());
    if (reason === "moderation") outgoing.stop(source);
    this.#changed();
    this.emit("stopped", stopped);
  }

  #ended({ reason, by }: CallEnded): void {
    if (this.#phase === "ended" || this.#phase === "idle") return;
    if (reason !== "removed_by_host" && reason !== "ended_by_host") {
      void this.#reconnect();
      return;
    }
    this.#over = { reason, by };
    this.#end();
  }

  #ownTracks(): readonly Track[] {
    return this.#participants.get(this.#participantId ?? "")?.tracks ?? [];
  }

  // What a host holds no more is ours again.
  #own({ participantId, tracks }: Participant): void {
    if (participantId !== this.#participantId) return;
    this.#outgoing.hold(stillHeld(this.#outgoing.held, tracks));
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
    tile.pause(slot?.paused ?? false);
  }

  // The room's state came again after a lost socket. A resumed session has its seat, and media never stopped; else the server
  // knows nothing of us any more, and we begin anew.
  #roomState(call: CallState | null, resumed: boolean): void {
    if (this.#phase === "ended") return;
    if (call) {
      this.#callId = call.callId;
      this.#recording = recordingOf(call, this.#recording);
      this.#controls = call.controls;
      this.#viewers = call.viewers;
      this.#everyone(call.participants);
      // Hosts are told anew who waits, if anybody does.
      this.#waiting = [];
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
    for (const participant of participants) {
      this.#participants.set(participant.participantId, participant);
      this.#own(participant);
    }
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
    const sources = this.#room.mayPublish ? this.#sources : [];
    const peer = new Peer(iceServers, this.#outgoing.mode, before?.videoSlots, this.#codec, sources);
    this.#peer = peer;
    peer.connection.addEventListener("connectionstatechange", () => this.#connectionChanged(peer));
    for (const tile of this.#tiles) this.#showTile(tile);
    await this.#outgoing.carry(peer);
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

  #answered(answer: Answer, offered: OfferedSource[]): void {
    const { callId, participantId, tracks } = answer;
    this.#callId = callId;
    this.#participantId = participantId;
    this.#controls = answer.controls;
    this.#outgoing.hold(stillHeld(this.#outgoing.held, this.#ownTracks()));
    this.#outgoing.follow(this.#ownTracks());
    this.#accepts = false;
    this.#agree();
    this.#outgoing.named(offered, tracks);
    for (const tile of this.#tiles) this.#showTile(tile);
    this.#changed();
    this.#viewSoon();
  }

  #refused(error: unknown, peer: Peer, iceRestart: boolean): void {
    // A lost socket comes back, and the room's state with it: that begins anew.
    if (error instanceof ConnectionLost) return;
    if (
      error instanceof ParlorError &&
      (error.code === "rate_limited" || error.code === "node_unavailable")
    ) {
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
      clearInterval(this.#looking);
      this.#looking = setInterval(() => void this.#look(peer), LOOK_EVERY_MS);
    } else if (state === "disconnected" || state === "failed") {
      this.#become("reconnecting");
      clearTimeout(this.#mending);
      this.#mending = setTimeout(() => this.#mend(peer), state === "failed" ? 0 : MEND_MS);
    }
  }

  // A browser notices late that a path is gone, and a restart interrupts nothing.
  #networkChanged(): void {
    if (!this.#peer || this.#participantId === null) return;
    this.#moved = true;
    this.#mend(this.#peer);
  }

  /** The network changed under us: new ICE credentials on the same connection, and if that fails, a new connection. */
  #mend(peer: Peer): void {
    if (this.#peer !== peer) return;
    if (!this.#moved && peer.connection.connectionState === "connected") return;
    // Without the socket nothing can be negotiated; the room's next state comes with it.
    if (this.#room.socket.state !== "open") return;
    this.#moved = false;
    clearTimeout(this.#mending);
    void this.#negotiate(peer, true);
    this.#mending = setTimeout(() => {
      if (this.#peer !== peer) return;
      if (peer.connection.connectionState === "connected") this.#connectionChanged(peer);
      else void this.#reconnect();
    }, RESTART_MS);
  }

  // A device that lacks the time to encode asks for smaller pictures.
  async #look(peer: Peer): Promise<void> {
    if (this.#peer !== peer || this.#phase !== "connected") return;
    const report = await peer.connection.getStats().catch(() => null);
    if (report && this.#strain.look(isLimited(report))) this.#viewSoon();
  }

  #viewSoon(): void {
    clearTimeout(this.#viewing);
    this.#viewing = setTimeout(() => this.#tellView(), VIEW_AFTER_MS);
  }

  #tellView(): void {
    const peer = this.#peer;
    if (!peer || !this.#participantId) return;
    const tracks = viewOf(this.#tiles.shown((width) => this.#strain.width(width)));
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
      viewers: this.#viewers,
      quality: qualityOf(this.#participants.get(this.#participantId ?? "")),
      speakers: this.#speakers,
      audio: (peer?.audioMids ?? []).flatMap((mid) => {
        const stream = peer?.stream(mid);
        return stream ? [{ mid, stream, participantId: this.#slots.at(mid)?.participantId ?? null }] : [];
      }),
      recording: this.#recording,
      controls: this.#controls,
      held: this.#outgoing.held,
      waiting: this.#waiting,
      over: this.#over,
      moderated: this.#outgoing.moderated,
      reason: this.#reason,
    };
  }
}
