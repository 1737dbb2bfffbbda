/** What the call tells a tile: the stream to show, or none. */
export interface TileSource {
  stream: MediaStream | null;
  /** Changes with each new source of the slot: what arrived before it belongs to somebody else. */
  turn: string;
  /** The RTP timestamp of its first frame, once that is on its way. */
  from: number | null;
}

export interface TileOptions {
  /** Lower is more important: it is served first when slots or bandwidth run out. */
  priority?: number;
  /** Called with true at the first frame of the track, with false when the slot shows something else or nothing. */
  onShown?: (shown: boolean) => void;
  /** Called with true when the line does not carry the picture now, with false when it comes again. */
  onPaused?: (paused: boolean) => void;
}

/** Whether an RTP timestamp is not before another one; they wrap at 2^32. */
export function notBefore(timestamp: number, other: number): boolean {
  return ((timestamp - other) | 0) >= 0;
}

/** One <video> element that shows one remote track while a slot carries it. */
export class Tile {
  readonly trackId: string;
  readonly video: HTMLVideoElement;
  readonly options: TileOptions;
  width = 0;
  visible = true;
  #turn = "";
  #shown = false;
  #waiting = false;
  #paused = false;
  #callback = 0;

  constructor(trackId: string, video: HTMLVideoElement, options: TileOptions) {
    this.trackId = trackId;
    this.video = video;
    this.options = options;
  }

  /** A slot falls silent, or changes its source, without any event of the browser: so hide, and show at the next new frame. */
  show({ stream, turn, from }: TileSource): void {
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#waiting = false;
      this.#become(false);
      if (this.#callback) this.video.cancelVideoFrameCallback(this.#callback);
      if (this.video.srcObject !== stream) this.video.srcObject = stream;
      // Muted video plays without a gesture; if a browser still refuses, its own events make it try again.
      if (stream) void this.video.play().catch(() => undefined);
    }
    if (!stream || from === null || this.#shown || this.#waiting) return;
    this.#waiting = true;
    this.#await(from);
  }

  /** The server says whether the line carries the picture. */
  pause(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.options.onPaused?.(paused);
  }

  close(): void {
    this.pause(false);
    this.show({ stream: null, turn: "closed", from: null });
  }

  #await(from: number): void {
    this.#callback = this.video.requestVideoFrameCallback((_, { rtpTimestamp }) => {
      // An earlier frame is the last one of another source.
      if (notBefore(rtpTimestamp ?? from, from)) this.#become(true);
      else this.#await(from);
    });
  }

  #become(shown: boolean): void {
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.options.onShown?.(shown);
  }
}
