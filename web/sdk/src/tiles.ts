import { Tile, type TileOptions } from "./tile.js";
import type { Shown } from "./view.js";

/** The <video> elements that show tracks, and how large and visible they are. */
export class Tiles {
  readonly #tiles = new Set<Tile>();
  readonly #resize: ResizeObserver;
  readonly #cross: IntersectionObserver;
  readonly #changed: () => void;

  /** `changed` is called when another size or another set of tiles is to be seen. */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#resize = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) this.#measure(target, contentRect.width);
    });
    this.#cross = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#appear(target, isIntersecting);
    });
  }

  [Symbol.iterator](): Iterator<Tile> {
    return this.#tiles[Symbol.iterator]();
  }

  add(trackId: string, video: HTMLVideoElement, options: TileOptions): Tile {
    const tile = new Tile(trackId, video, options);
    this.#tiles.add(tile);
    this.#resize.observe(video);
    this.#cross.observe(video);
    this.#measure(video, video.clientWidth);
    return tile;
  }

  remove(tile: Tile): void {
    this.#tiles.delete(tile);
    this.#resize.unobserve(tile.video);
    this.#cross.unobserve(tile.video);
    tile.close();
    this.#changed();
  }

  /** What is to be seen; `width` turns a tile's width into the one to ask for. */
  shown(width: (width: number) => number): Shown[] {
    return [...this.#tiles].map((tile) => ({
      trackId: tile.trackId,
      width: width(tile.width),
      visible: tile.visible,
      priority: tile.options.priority ?? 1,
    }));
  }

  close(): void {
    this.#resize.disconnect();
    this.#cross.disconnect();
    for (const tile of this.#tiles) tile.close();
  }

  #measure(element: Element, width: number): void {
    for (const tile of this.#tiles)
      if (tile.video === element) tile.width = Math.round(width * devicePixelRatio);
    this.#changed();
  }

  #appear(element: Element, visible: boolean): void {
    for (const tile of this.#tiles) if (tile.video === element) tile.visible = visible;
    this.#changed();
  }
}
