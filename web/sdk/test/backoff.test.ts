import { expect, test } from "vitest";
import { backoffMs } from "../src/backoff.js";

test("waits double from half a second to thirty seconds", () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 7, 100].map((attempt) => backoffMs(attempt, () => 1));
  expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
});

test("the jitter is full: anything from nothing on", () => {
  expect(backoffMs(6, () => 0)).toBe(0);
  expect(backoffMs(6, () => 0.5)).toBe(15_000);
});
