/** What the call tells a tile: the stream to show, or none. */
export interface TileSource {
  stream: MediaStream | null;
  /** Changes with each new source of the slot: what arrived before it belongs to somebody else. */
  turn: string;
}

export interface TileOptions {
  /** Lower is more important: it is served first when slots or bandwidth run out. */
  priority?: number;
  /** Called with true at the first frame of the track, with false when the slot shows something else or nothing. */
  onShown?: (shown: boolean) => void;
}

type FrameMetadata = VideoFrameCallbackMetadata & { receiveTime?: number };

/** One <video> element that shows one remote track while a slot carries it. */
export class Tile {
  readonly trackId: string;
  readonly video: HTMLVideoElement;
  readonly options: TileOptions;
  width = 0;
  visible = true;
  #turn = "";
  #shown = false;
  #callback = 0;

  constructor(trackId: string, video: HTMLVideoElement, options: TileOptions) {
    this.trackId = trackId;
    this.video = video;
    this.options = options;
  }

  /** A slot falls silent, or changes its source, without any event of the browser: so hide, and show at the next new frame. */
  show({ stream, turn }: TileSource): void {
    if (turn === this.#turn) return;
    this.#turn = turn;
    this.#become(false);
    if (this.#callback) this.video.cancelVideoFrameCallback(this.#callback);
    this.#callback = 0;
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    if (!stream) return;
    this.#await(performance.now());
    // Muted video plays without a gesture; if a browser still refuses, its own events make it try again.
    void this.video.play().catch(() => undefined);
  }

  close(): void {
    this.show({ stream: null, turn: "closed" });
  }

  #await(since: number): void {
    this.#callback = this.video.requestVideoFrameCallback((_, metadata: FrameMetadata) => {
      // A frame that arrived before the change is the last one of another source.
      if ((metadata.receiveTime ?? since) >= since) this.#become(true);
      else this.#await(since);
    });
  }

  #become(shown: boolean): void {
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.options.onShown?.(shown);
  }
}
