const FIRST_MS = 500;
const LAST_MS = 30_000;

/** How long to wait before try number `attempt` (from 0): exponential from 0.5 s to 30 s, with full jitter. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(LAST_MS, FIRST_MS * 2 ** attempt));
}
