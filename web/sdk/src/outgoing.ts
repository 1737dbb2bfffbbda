import type { ShareMode } from "./encodings.js";
import type { Held } from "./hosting.js";
import { type Peer, SOURCES } from "./peer.js";
import type { AnsweredTrack, Layers, OfferedSource, Track, TrackSource } from "./proto.js";

interface LocalTrack {
  track: MediaStreamTrack | null;
  muted: boolean;
}

/** What we publish: our tracks by their sources, whichever connection carries them. */
export class Outgoing {
  readonly #tell: (trackId: string, muted: boolean) => void;
  readonly #local = new Map<TrackSource, LocalTrack>();
  readonly #trackIds = new Map<TrackSource, string>();
  #peer: Peer | null = null;
  #moderated: TrackSource[] = [];
  #mode: ShareMode = "detail";
  #held: Held = {};

  /** `tell` says to the server whether a track of ours is muted. */
  constructor(tell: (trackId: string, muted: boolean) => void) {
    this.#tell = tell;
  }

  /** What of ours the site's moderation stopped; it stays so as long as the call lasts. */
  get moderated(): readonly TrackSource[] {
    return this.#moderated;
  }

  /** What of ours a host, or the site's moderation, holds. */
  get held(): Held {
    return this.#held;
  }

  get mode(): ShareMode {
    return this.#mode;
  }

  /** From now on this connection carries it all. */
  async carry(peer: Peer): Promise<void> {
    this.#peer = peer;
    for (const source of this.#local.keys()) {
      const track = this.#sendable(source);
      if (track) await peer.send(source, track);
    }
  }

  async publish(source: TrackSource, track: MediaStreamTrack | null): Promise<void> {
    const muted = this.#local.get(source)?.muted ?? false;
    this.#local.set(source, { track, muted });
    if (track) track.enabled = !muted;
    if (track && source === "screen") track.contentHint = this.#mode;
    await this.#peer?.send(source, this.#sendable(source));
  }

  mute(source: TrackSource, muted: boolean): void {
    const local = this.#local.get(source) ?? { track: null, muted };
    this.#local.set(source, { ...local, muted });
    if (local.track) local.track.enabled = !muted;
    this.#tellMuted(source);
  }

  /** What the screen is shared for; it may change while it is shared. */
  async share(mode: ShareMode): Promise<void> {
    this.#mode = mode;
    const screen = this.#local.get("screen")?.track;
    if (screen) screen.contentHint = mode;
    await this.#peer?.share(mode);
  }

  /** An offer is answered: our tracks have these names now. */
  named(offered: readonly OfferedSource[], answered: readonly AnsweredTrack[]): void {
    for (const { mid, source } of offered) {
      const trackId = answered.find((track) => track.mid === mid)?.trackId;
      if (trackId) this.#trackIds.set(source, trackId);
    }
    for (const source of this.#local.keys()) this.#tellMuted(source);
  }

  /** The server says who watches what of ours. */
  async watch({ trackId, layers }: Layers): Promise<void> {
    for (const [source, known] of this.#trackIds)
      if (known === trackId) await this.#peer?.watch(source, layers);
  }

  /** The site's moderation stopped a source for as long as the call lasts. */
  stop(source: TrackSource): void {
    if (this.#moderated.includes(source)) return;
    this.#moderated = [...this.#moderated, source];
    void this.#peer?.send(source, null);
  }

  /** This is held now: what a host has disabled is taken off the wire, and what they let go comes back on it. */
  hold(held: Held): void {
    const before = this.#held;
    this.#held = held;
    const isDisabled = (of: Held, source: TrackSource) => of[source]?.reason === "disabled_by_host";
    for (const source of SOURCES)
      if (isDisabled(before, source) !== isDisabled(held, source))
        void this.#peer?.send(source, this.#sendable(source));
  }

  /** Whom a host muted with all others has muted themselves: only they open their microphone again. */
  follow(tracks: readonly Track[]): void {
    for (const { source, muted, mutedByHost } of tracks) {
      const local = this.#local.get(source);
      if (!muted || !mutedByHost || !local || local.muted) continue;
      this.#local.set(source, { ...local, muted: true });
      if (local.track) local.track.enabled = false;
    }
  }

  /** What of ours may be sent: the rest would only be dropped. */
  #sendable(source: TrackSource): MediaStreamTrack | null {
    const isKept = this.#moderated.includes(source) || this.#held[source]?.reason === "disabled_by_host";
    return isKept ? null : (this.#local.get(source)?.track ?? null);
  }

  #tellMuted(source: TrackSource): void {
    const trackId = this.#trackIds.get(source);
    const muted = this.#local.get(source)?.muted;
    if (trackId !== undefined && muted !== undefined) this.#tell(trackId, muted);
  }
}
