import type { Slot } from "./proto.js";

/** Which track each receive slot carries, as the server last said. */
export class SlotMap {
  readonly #slots = new Map<string, Slot>();

  get all(): Slot[] {
    return [...this.#slots.values()];
  }

  /** Takes the slots that changed; returns those whose source is another one than before. */
  apply(slots: readonly Slot[]): Slot[] {
    return slots.filter((slot) => {
      const before = this.#slots.get(slot.mid);
      const same = (before?.trackId ?? null) === slot.trackId;
      // Told again for another layer: the first frame of the track in this slot is behind us.
      const rtpTimestamp = slot.rtpTimestamp ?? (same ? (before?.rtpTimestamp ?? null) : null);
      this.#slots.set(slot.mid, { ...slot, rtpTimestamp });
      return !same;
    });
  }

  /** The slot that carries this track, if one does. */
  of(trackId: string): Slot | null {
    return this.all.find((slot) => slot.trackId === trackId) ?? null;
  }

  at(mid: string): Slot | null {
    return this.#slots.get(mid) ?? null;
  }

  clear(): void {
    this.#slots.clear();
  }
}
