/** Where a client stands in a room's durable stream. */
export interface Position {
  epoch: string;
  offset: number;
}

/** What to do with an event: it is the next one, it was seen already, or one before it is missing. */
export type Verdict = "apply" | "seen" | "gap";

/** The order of one room's durable events. */
export class Stream {
  #position: Position | null = null;

  get position(): Position | null {
    return this.#position;
  }

  /** A fresh state says that everything up to here is known. */
  reset(position: Position | null): void {
    this.#position = position;
  }

  /** Judges the next event, and moves on when it is the one that was due. */
  accept(epoch: string, offset: number): Verdict {
    const position = this.#position;
    if (!position || position.epoch !== epoch) return "gap";
    if (offset <= position.offset) return "seen";
    if (offset !== position.offset + 1) return "gap";
    this.#position = { epoch, offset };
    return "apply";
  }
}
