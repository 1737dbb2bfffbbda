import { expect, test } from "vitest";
import { lengthText, secondsLeft } from "../src/clock.ts";

test("a countdown begins at its full length and ends at nought", () => {
  expect(secondsLeft(3_000, 0)).toBe(3);
  expect(secondsLeft(3_000, 1)).toBe(3);
  expect(secondsLeft(3_000, 2_000)).toBe(1);
  expect(secondsLeft(3_000, 2_999)).toBe(1);
  expect(secondsLeft(3_000, 3_000)).toBe(0);
  expect(secondsLeft(3_000, 60_000)).toBe(0);
});

test("lengths are written as clocks write them", () => {
  expect([0, 499, 65_000, 61_230, 3_725_000].map(lengthText)).toEqual([
    "0:00",
    "0:00",
    "1:05",
    "1:01",
    "1:02:05",
  ]);
});
