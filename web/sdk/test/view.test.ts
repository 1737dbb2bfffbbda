import { expect, test } from "vitest";
import { videoSlots, viewOf } from "../src/view.js";

const tile = (trackId: string, width: number, priority = 1, visible = true) => ({
  trackId,
  width,
  visible,
  priority,
});

test("the most important comes first, and else the page's own order", () => {
  const tracks = viewOf([tile("a", 320), tile("b", 320), tile("screen", 1280, 0), tile("c", 320)]);
  expect(tracks.map(({ trackId }) => trackId)).toEqual(["screen", "a", "b", "c"]);
});

test("a track shown twice is named once, as wide as its widest tile", () => {
  expect(viewOf([tile("a", 160), tile("a", 640), tile("a", 960, 1, false)])).toEqual([
    { trackId: "a", width: 640, visible: true },
  ]);
});

test("widths go in steps, and what is out of sight has none", () => {
  expect(viewOf([tile("a", 321), tile("b", 500, 1, false)])).toEqual([
    { trackId: "a", width: 352, visible: true },
    { trackId: "b", width: 0, visible: false },
  ]);
});

test("slots grow once, to the most there can be", () => {
  expect(videoSlots(9, 9)).toBe(9);
  expect(videoSlots(9, 10)).toBe(25);
  expect(videoSlots(25, 40)).toBe(25);
});
