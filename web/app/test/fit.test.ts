import { expect, test } from "vitest";
import { fitGrid, pageOf } from "../src/call/fit.ts";

test("tiles are as large as the space allows", () => {
  expect(fitGrid(1, 1280, 720)).toEqual({ columns: 1, width: 1280, height: 720 });
  expect(fitGrid(4, 1280, 720).columns).toBe(2);
  expect(fitGrid(9, 1280, 720).columns).toBe(3);
  expect(fitGrid(25, 1280, 720).columns).toBe(5);
});

test("a narrow page stacks its tiles, and lets them be taller than the camera's picture", () => {
  const two = fitGrid(2, 344, 620);
  expect(two.columns).toBe(1);
  expect(two.height).toBeGreaterThan(two.width / (16 / 9));
  expect(two.height * 2 + 8).toBeLessThanOrEqual(620);
});

test("no grid is larger than its space", () => {
  for (let count = 1; count <= 25; count += 1) {
    for (const [width, height] of [
      [344, 500],
      [1280, 300],
      [900, 900],
    ] as const) {
      const grid = fitGrid(count, width, height);
      expect(grid.columns * grid.width + (grid.columns - 1) * 8).toBeLessThanOrEqual(width);
      expect(Math.ceil(count / grid.columns) * (grid.height + 8) - 8).toBeLessThanOrEqual(height);
    }
  }
});

test("people beyond a page are on the next one", () => {
  const people = Array.from({ length: 30 }, (_, index) => index);
  expect(pageOf(people, 0, 24).shown).toHaveLength(24);
  expect(pageOf(people, 1, 24)).toEqual({ shown: [24, 25, 26, 27, 28, 29], page: 1, pages: 2 });
  expect(pageOf([1], 7, 24)).toEqual({ shown: [1], page: 0, pages: 1 });
});
