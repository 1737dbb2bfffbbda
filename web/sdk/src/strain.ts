/** How often a call looks at how its device bears it. */
export const LOOK_EVERY_MS = 5_000;
/** The encoder is short of processor time in so many looks in a row: show everything smaller. */
const HOT_LOOKS = 2;
/** It is not in so many: try one size more. */
const CALM_LOOKS = 6;
/** At most a quarter of the width. */
const MOST_STEPS = 2;

/**
 * What a device can bear. When its encoders lack processor time, what it asks the server for becomes smaller: decoding is the
 * other half of the work, and the one that nobody else notices.
 */
export class Strain {
  #steps = 0;
  #hot = 0;
  #calm = 0;

  /** One look: whether an encoder is held back by the processor. True when widths change by it. */
  look(limited: boolean): boolean {
    this.#hot = limited ? this.#hot + 1 : 0;
    this.#calm = limited ? 0 : this.#calm + 1;
    const step = this.#hot >= HOT_LOOKS ? 1 : this.#calm >= CALM_LOOKS ? -1 : 0;
    if (step === 0) return false;
    this.#hot = 0;
    this.#calm = 0;
    const before = this.#steps;
    this.#steps = Math.max(0, Math.min(MOST_STEPS, before + step));
    return this.#steps !== before;
  }

  /** The width to ask for in place of the tile's own. */
  width(width: number): number {
    return Math.round(width / 2 ** this.#steps);
  }
}

/** Whether a report of a connection names an encoder that lacks processor time. */
export function isLimited(
  report: Iterable<[string, { type: string; qualityLimitationReason?: string }]>,
): boolean {
  for (const [, { type, qualityLimitationReason }] of report)
    if (type === "outbound-rtp" && qualityLimitationReason === "cpu") return true;
  return false;
}
