import { expect, test } from "vitest";
import { isBlurred } from "../src/call/blur.ts";

test("a stranger's picture is blurred until the server says otherwise, and whenever nothing is known", () => {
  expect(isBlurred(null, true)).toBe(true);
  expect(isBlurred({} as { cleared: boolean }, true)).toBe(true);
  expect(isBlurred({ cleared: false }, true)).toBe(true);
  expect(isBlurred({ cleared: true }, true)).toBe(false);
});

test("elsewhere a picture is blurred only when the server says so", () => {
  expect(isBlurred(null, false)).toBe(false);
  expect(isBlurred({ cleared: true }, false)).toBe(false);
  expect(isBlurred({ cleared: false }, false)).toBe(true);
});
