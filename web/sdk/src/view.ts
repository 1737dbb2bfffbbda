import type { View } from "./proto.js";

/** Something on the page that shows a track. */
export interface Shown {
  trackId: string;
  /** Device pixels. */
  width: number;
  visible: boolean;
  /** Lower is more important. */
  priority: number;
}

/** Widths are rounded up to steps, so that dragging a window's edge is not a stream of frames. */
const STEP = 32;

/** The `view` of a page: each track once, as wide as its widest tile, most important first. */
export function viewOf(tiles: readonly Shown[]): View[] {
  const tracks = new Map<string, Shown>();
  for (const tile of tiles) {
    const known = tracks.get(tile.trackId);
    const visible = tile.visible && tile.width > 0;
    tracks.set(tile.trackId, {
      trackId: tile.trackId,
      width: Math.max(known?.width ?? 0, visible ? tile.width : 0),
      visible: visible || (known?.visible ?? false),
      priority: Math.min(known?.priority ?? tile.priority, tile.priority),
    });
  }
  return [...tracks.values()]
    .sort((a, b) => a.priority - b.priority)
    .map(({ trackId, width, visible }) => ({ trackId, width: Math.ceil(width / STEP) * STEP, visible }));
}

export const AUDIO_SLOTS = 8;
export const VIDEO_SLOTS = 9;
export const MOST_VIDEO_SLOTS = 25;

/** How many video slots to have when the layout shows `visible` tracks: it grows once, to the most there can be. */
export function videoSlots(have: number, visible: number): number {
  return visible > have ? MOST_VIDEO_SLOTS : have;
}
