export interface Grid {
  columns: number;
  /** CSS pixels of one tile. */
  width: number;
  height: number;
}

/** Between two tiles, in CSS pixels. */
export const GAP = 8;
const ASPECT = 16 / 9;
/** A tile may leave the camera's shape this far, to fill a narrow page. */
const TALLEST = 1;

/** The grid of `count` tiles that makes them largest in a space of this size. */
export function fitGrid(count: number, width: number, height: number): Grid {
  let best: Grid = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const room = {
      width: (width - GAP * (columns - 1)) / columns,
      height: (height - GAP * (rows - 1)) / rows,
    };
    const tile = {
      width: Math.floor(Math.min(room.width, room.height * ASPECT)),
      height: Math.floor(
        Math.min(room.height, room.width / TALLEST, Math.min(room.width, room.height * ASPECT) / TALLEST),
      ),
    };
    if (
      tile.width * Math.min(tile.height, tile.width / ASPECT) >
      best.width * Math.min(best.height, best.width / ASPECT)
    ) {
      best = { columns, ...tile };
    }
  }
  return best;
}

/** The people of one page of the grid, with how many pages there are. */
export function pageOf<T>(
  all: readonly T[],
  page: number,
  size: number,
): { shown: T[]; page: number; pages: number } {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const current = Math.min(Math.max(0, page), pages - 1);
  return { shown: all.slice(current * size, (current + 1) * size), page: current, pages };
}
