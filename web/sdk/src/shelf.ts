/** What keeps text over a reload: `localStorage`, or anything like it. */
export type Keep = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** One thing that is kept under one key. A keep that is full, forbidden or unreadable is as good as none. */
export class Shelf<T> {
  readonly #keep: Keep;
  readonly #key: string;

  constructor(keep: Keep, ...path: string[]) {
    this.#keep = keep;
    this.#key = ["parlor", ...path].join(":");
  }

  read(): T | null {
    try {
      const text = this.#keep.getItem(this.#key);
      return text === null ? null : (JSON.parse(text) as T);
    } catch {
      return null;
    }
  }

  /** Null: nothing is kept any more. */
  write(value: T | null): void {
    try {
      if (value === null) this.#keep.removeItem(this.#key);
      else this.#keep.setItem(this.#key, JSON.stringify(value));
    } catch {
      // What cannot be kept is still in memory.
    }
  }
}
